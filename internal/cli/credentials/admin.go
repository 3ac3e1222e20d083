package credentials

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/pki"
)

// NewAdminCommand is hanse admin and what is below it.
func NewAdminCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "Do what only the owner of a hub's data directory can",
		Args:  args.RejectUnknown,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAdminKubeconfigCommand(s, now), newJoinTokenCommand(s, now))
	return cmd
}

func newAdminKubeconfigCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	request := datadir.AdminRequest{Now: now.Now}
	var file string
	cmd := &cobra.Command{
		Use:   "kubeconfig --data-dir DIR [--file FILE]",
		Short: "Renew the administrator's kubeconfig, or make another one",
		Long: `Renew admin.kubeconfig in a hub's data directory, or with --file write another
kubeconfig for an administrator. The hub need not run.

Its user is in the group hanse:admins, which the ClusterRoleBinding hanse:admins
makes cluster-admin: remove the subject from that, and the group's members can do
nothing more. With --break-glass it is system:masters, whose rights nobody can
take away; the only way to revoke it is hanse certs rotate-ca.`,
		Example: `  hanse admin kubeconfig --data-dir /var/lib/hanse
  hanse admin kubeconfig --data-dir /var/lib/hanse --user alice --file alice.kubeconfig
  hanse admin kubeconfig --data-dir /var/lib/hanse --break-glass --validity 1h --file -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case request.Path == "":
				return errors.New("which hub's? Try: --data-dir DIR, as hanse server has it")
			case request.Life < time.Minute:
				return fmt.Errorf("--validity=%s is too short to be of use. Try: 1h", request.Life)
			case file == "":
				return renewAdmin(s, cmd, request)
			}
			data, err := datadir.AdminKubeconfig(request)
			if err != nil {
				return err
			}
			if file == "-" {
				_, err = s.Out.Write(data)
				return err
			}
			if err := pki.WriteFile(file, data); err != nil {
				return fmt.Errorf("cannot write the kubeconfig: %w", err)
			}
			fmt.Fprintf(s.ErrOut, "%s is valid for %s.\n", file, request.Life)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&request.Path, "data-dir", "", "directory of the hub")
	f.DurationVar(&request.Life, "validity", datadir.DefaultAdminLife, "how long it is valid")
	f.StringVar(&request.User, "user", "admin", "with --file: the user's name, which the audit log has")
	f.StringVar(&request.Server, "server", "", "with --file: URL of the hub in it (default: as the hub knows itself)")
	f.BoolVar(&request.BreakGlass, "break-glass", false, "with --file: be system:masters, whatever RBAC says")
	f.StringVar(&file, "file", "", "file to write, -: print (default: renew DIR/admin.kubeconfig)")
	_ = cmd.MarkFlagDirname("data-dir")
	return cmd
}

// renewAdmin renews the file in the directory, which has the rights and the address that the hub gives it.
func renewAdmin(s genericiooptions.IOStreams, cmd *cobra.Command, request datadir.AdminRequest) error {
	for _, flag := range []string{"user", "server", "break-glass"} {
		if cmd.Flags().Changed(flag) {
			return fmt.Errorf("--%s is for another kubeconfig than admin.kubeconfig. Try: with --file FILE", flag)
		}
	}
	file, err := datadir.RenewAdmin(request.Path, request.Life, request.Now)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.ErrOut, "%s is valid for %s.\n", file, request.Life)
	return nil
}

// longestInvitation is how long a token may be good for: it gives everything, once.
const longestInvitation = 24 * time.Hour

func newJoinTokenCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var dir, server string
	var life time.Duration
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "join-token --data-dir DIR",
		Short: "Let one more hub on the same etcd get this hub's keys",
		Long: `Make a token with which one more hub on the same etcd gets the keys of this one,
and print the flags that it is to be started with. The token is good once, and
for an hour unless --validity says otherwise. Only its hash is kept, in the
hub's data directory. The hub has to run when the token is used.

Whoever has the token gets the encryption keys and the hub's authority, and with
these can do everything at the hub: send it as you would send these.`,
		Example: `  hanse admin join-token --data-dir /var/lib/hanse --server https://10.0.0.6:6443`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case dir == "":
				return errors.New("which hub's? Try: --data-dir DIR, as hanse server has it")
			case life < time.Minute || life > longestInvitation:
				return fmt.Errorf("--validity=%s must be from 1m to %s. Try: 1h", life, longestInvitation)
			}
			made, err := datadir.Invite(dir, life, now.Now())
			if err != nil {
				return err
			}
			if server != "" {
				made.Server = server
			}
			return format.Print(s.Out, output.Result{Content: made, Table: func(w io.Writer, _ bool) error {
				fmt.Fprintf(s.ErrOut, "Start the other hub with these flags, and its own --data-dir and --etcd-servers, before %s:\n", made.Expires.Format(time.RFC3339))
				_, err := fmt.Fprintf(w, "--join=%s --token=%s --ca-cert-hash=%s\n", made.Server, made.Token, made.Authority)
				return err
			}})
		},
	}
	format.Bind(cmd)
	f := cmd.Flags()
	f.StringVar(&dir, "data-dir", "", "directory of the hub that has the keys")
	f.StringVar(&server, "server", "", "URL of that hub, as the other one reaches it (default: as the hub knows itself)")
	f.DurationVar(&life, "validity", time.Hour, "how long the token is good")
	_ = cmd.MarkFlagDirname("data-dir")
	return cmd
}
