package credentials

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/pki"
)

// leastOverlap is twice as long as clients take to read files of CAs again.
const leastOverlap = 10 * time.Minute

// NewCertsCommand is hanse certs and what is below it.
func NewCertsCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var at hub.Flags
	var dir string
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "certs",
		Short: "List the hub's certificates, and replace its authority",
		Long: `List the certificates of a hub: whom they are for, when they expire, and when
the hub renews them, which a running hub does by itself with a third of their
life left.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var report datadir.Report
			if dir != "" {
				report = datadir.NewReport(dir, now.Now())
			} else if err := at.GetJSON(cmd.Context(), datadir.PathCertificates, nil, &report); err != nil {
				return err
			}
			if len(report.Certificates) == 0 && report.Problem == "" {
				return fmt.Errorf("there are no certificates in %s. Try: the --data-dir of hanse server", dir)
			}
			err := format.Print(s.Out, output.Result{Content: report, Table: func(w io.Writer, _ bool) error { return printCertificates(w, report, now) }})
			if err == nil && report.Problem != "" {
				err = errors.New(report.Problem)
			}
			return err
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	cmd.Flags().StringVar(&dir, "data-dir", "", "read the files of a hub instead of asking one, which need not run")
	_ = cmd.MarkFlagDirname("data-dir")
	cmd.AddCommand(newRotateCommand(s, now))
	return cmd
}

func printCertificates(w io.Writer, report datadir.Report, now clock.PassiveClock) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NAME\tSUBJECT\tGROUPS\tEXPIRES\tRENEWS")
	for _, c := range report.Certificates {
		renews := "-"
		if c.Renews != nil {
			renews = in(c.Renews.Sub(now.Now()))
		}
		fmt.Fprintln(t, strings.Join([]string{c.Name, output.Dash(c.Subject), output.Dash(strings.Join(c.Groups, ",")), in(c.Expires.Sub(now.Now())), renews}, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r := report.Rotation; r != nil {
		fmt.Fprintf(w, "\nThe authority is being replaced: %s. Next step: %s.\n", r.Stage, in(r.Next().Sub(now.Now())))
	}
	return nil
}

func in(d time.Duration) string {
	if d <= 0 {
		return "now"
	}
	return "in " + span(d)
}

func span(d time.Duration) string { return duration.HumanDuration(d) }

func newRotateCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var dir string
	var overlap time.Duration
	cmd := &cobra.Command{
		Use:   "rotate-ca --data-dir DIR",
		Short: "Have the hub replace its certificate authority",
		Long: `Have the hub replace its certificate authority, step by step, without a lost
request: first the new one is trusted beside the old one; after the overlap it
signs, and all of the hub's certificates are renewed; after the overlap again
the old one is trusted no more. Within each overlap, everybody who has the old
CA in a kubeconfig or a file needs the new one, which is in pki/ca.crt and in
admin.kubeconfig: hanse login writes it.

Run it on the hub's machine. A hub that runs begins within seconds, another one
when it starts. Without it, a hub does the same when a third of the authority's
ten years is left.`,
		Example: `  hanse certs rotate-ca --data-dir /var/lib/hanse`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case dir == "":
				return errors.New("which hub's? Try: --data-dir DIR, as hanse server has it")
			case overlap < leastOverlap:
				return fmt.Errorf("--overlap=%s is shorter than clients take to read the new CA. Try: %s or more", overlap, leastOverlap)
			}
			if err := datadir.RequestRotation(dir, overlap, now.Now()); err != nil {
				return err
			}
			fmt.Fprintf(s.ErrOut, "The hub will trust a new authority at once, have it sign %s later, and forget the old one after another %s.\n", overlap, overlap)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "directory of the hub")
	cmd.Flags().DurationVar(&overlap, "overlap", pki.DefaultOverlap, "how long both authorities are trusted before the new one signs, and again after")
	_ = cmd.MarkFlagDirname("data-dir")
	return cmd
}
