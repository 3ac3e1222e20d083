package credentials

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/controlplane/hubs"
)

// NewEncryptionCommand is hanse encryption and what is below it.
func NewEncryptionCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "encryption",
		Short: "Show how the hub's database is encrypted, and replace the key",
		Args:  args.RejectUnknown,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newEncryptionStatusCommand(s, now), newEncryptionRotateCommand(s, now))
	return cmd
}

func newEncryptionStatusCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var at hub.Flags
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which keys encrypt the hub's database, and what they encrypt",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var report hubs.Report
			if err := at.GetJSON(cmd.Context(), datadir.PathEncryption, nil, &report); err != nil {
				return err
			}
			err := format.Print(s.Out, output.Result{Content: report, Table: func(w io.Writer, _ bool) error { return printEncryption(w, report, now) }})
			if err == nil && report.Problem != "" {
				err = errors.New(report.Problem)
			}
			return err
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	return cmd
}

func printEncryption(w io.Writer, report hubs.Report, now clock.PassiveClock) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "KEY\tID\tUSE")
	for i, k := range report.Keys {
		use := "reads"
		if i == 0 {
			use = "reads and writes"
		}
		fmt.Fprintln(t, strings.Join([]string{k.Name, k.ID, use}, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nEncrypted: %s.\n", output.Dash(strings.Join(report.Resources, ", ")))
	if len(report.Reads) > 0 {
		fmt.Fprintf(w, "In plain text, and readable if encrypted: %s.\n", strings.Join(report.Reads, ", "))
	}
	if !report.Own {
		fmt.Fprintln(w, "The keys are those of an --encryption-provider-config.")
	}
	if r := report.Rotation; r != nil {
		fmt.Fprintf(w, "The key is being replaced: %s for %s, %d objects written again.\n", r.Stage, span(now.Since(r.Since)), report.Rewritten)
	}
	for _, h := range report.Hubs {
		if !h.InStep {
			fmt.Fprintf(w, "The hub at %s has not taken over these keys yet.\n", strings.Join(h.Addresses, ", "))
		}
	}
	return nil
}

func newEncryptionRotateCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var dir string
	var encrypt []string
	cmd := &cobra.Command{
		Use:   "rotate --data-dir DIR [--encrypt RESOURCE,…]",
		Short: "Have the hub replace the key that encrypts its database",
		Long: `Have the hub replace the key that encrypts its database: all hubs get a new key,
then they write by it, then everything that is encrypted is written again, and
when no value in the database needs the old key, that is removed. A hub that is
killed meanwhile goes on when it starts.

With --encrypt, other resources are encrypted afterwards than before. Secrets
always are. Where the keys are those of an --encryption-provider-config, they
stay as they are, and everything is written again by the first of them.

Run it on a hub's machine. A hub that runs begins within seconds, another one
when it starts; hanse encryption status shows how far it has come.`,
		Example: `  hanse encryption rotate --data-dir /var/lib/hanse
  hanse encryption rotate --data-dir /var/lib/hanse --encrypt secrets,configmaps`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if dir == "" {
				return errors.New("which hub's? Try: --data-dir DIR, as hanse server has it")
			}
			resources, err := datadir.Encrypted(encrypt)
			if err != nil {
				return err
			}
			if err := datadir.RequestEncryption(dir, datadir.RotationRequest{Encrypt: resources, Requested: now.Now().UTC()}); err != nil {
				return err
			}
			fmt.Fprintln(s.ErrOut, "The hub will replace the key that encrypts its database. See hanse encryption status.")
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "directory of the hub")
	cmd.Flags().StringSliceVar(&encrypt, "encrypt", nil, "resources to encrypt, as secrets,configmaps,widgets.example.com (default: those that are)")
	_ = cmd.MarkFlagDirname("data-dir")
	return cmd
}
