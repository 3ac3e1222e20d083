package globaldns

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/dns"
)

func newExportCommand(s genericiooptions.IOStreams) *cobra.Command {
	var at hub.Flags
	cmd := &cobra.Command{
		Use:   "export DOMAIN",
		Short: "Print a zone as a master file, as secondaries get it",
		Long: `Print a zone that the hub serves as a master file, as secondaries get it: a
hostname that is answered differently to different places has the answer for an
unknown place.`,
		Example: "  hanse dns export devfest.example > devfest.example.zone",
		Args:    args.One("domain", "hanse dns zones"),
		RunE: func(cmd *cobra.Command, domains []string) error {
			body, err := at.Get(cmd.Context(), dns.PathExport, url.Values{"zone": domains})
			if err != nil {
				return err
			}
			_, err = s.Out.Write(body)
			return err
		},
	}
	at.Bind(cmd)
	return cmd
}

func newAboutCommand(s genericiooptions.IOStreams) *cobra.Command {
	var at hub.Flags
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "about",
		Short: "Show where the name server listens, and whose geographic data it uses",
		Args:  args.RejectUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var about dns.About
			if err := at.GetJSON(cmd.Context(), dns.PathAbout, nil, &about); err != nil {
				return err
			}
			return format.Print(s.Out, output.Result{Content: about, Table: func(w io.Writer, _ bool) error {
				printAbout(w, &about)
				return nil
			}})
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	return cmd
}

func printAbout(w io.Writer, about *dns.About) {
	fmt.Fprintf(w, "name server: %s\ngeographic data: %s\n", output.Dash(strings.Join(about.Listeners, ", ")), about.Database)
	if about.Error != "" {
		fmt.Fprintf(w, "problem: %s\n", about.Error)
	}
	for _, member := range slices.Sorted(maps.Keys(about.Panics)) {
		fmt.Fprintf(w, "problem: what %s says made the hub fail %s: see its log\n", cmp.Or(member, "somebody"), output.Count(about.Panics[member], "time"))
	}
}
