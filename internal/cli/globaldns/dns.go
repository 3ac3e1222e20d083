package globaldns

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/args"
)

// NewCommand is hanse dns.
func NewCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dns",
		Short: "Show what global DNS answers, and why",
		Long: `A GlobalRoute, or an Ingress, Service or Gateway with the annotation
hanse.dev/global: "true", is answered by the hub's name server: each client gets
the addresses of the cluster that suits it best.`,
		Args: args.RejectUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newQueryCommand(s),
		newRoutesCommand(s),
		newZonesCommand(s, now),
		newCheckCommand(s),
		newExportCommand(s),
		newAboutCommand(s),
	)
	return cmd
}
