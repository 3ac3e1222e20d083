package members

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// fieldManager is that of what these verbs write in the spec of Clusters.
const fieldManager = "hanse-cli"

// closing is what cordon, uncordon and drain have in common: they say in the spec of
// Clusters what may run there.
type closing struct {
	hub    hub.Flags
	dryRun args.DryRun
}

func (o *closing) bind(cmd *cobra.Command) {
	o.hub.Bind(cmd)
	o.dryRun.Bind(cmd, "only show what would be done: none, client, or server to let the hub check it")
	cmd.ValidArgsFunction = o.hub.CompleteClusters
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if len(given) == 0 {
			return fmt.Errorf("%s requires at least one cluster name. Try: hanse clusters, then %s NAME", cmd.CommandPath(), cmd.CommandPath())
		}
		return o.dryRun.Check()
	}
}

// NewCordonCommand is hanse cordon.
func NewCordonCommand(s genericiooptions.IOStreams) *cobra.Command {
	var o closing
	cmd := &cobra.Command{
		Use:   "cordon CLUSTER [CLUSTER…]",
		Short: "Keep new replicas away from clusters; what runs there stays",
		Example: `  hanse cordon aws
  hanse cordon aws azure --dry-run=server`,
		RunE: func(cmd *cobra.Command, names []string) error {
			return o.run(cmd.Context(), s, names, "cordoned",
				func(spec v1alpha1.ClusterSpec) bool { return spec.Unschedulable },
				map[string]any{"unschedulable": true})
		},
	}
	o.bind(cmd)
	return cmd
}

// NewUncordonCommand is hanse uncordon.
func NewUncordonCommand(s genericiooptions.IOStreams) *cobra.Command {
	var o closing
	cmd := &cobra.Command{
		Use:   "uncordon CLUSTER [CLUSTER…]",
		Short: "Allow new replicas in clusters again, and end a drain",
		Long: `Allow new replicas in clusters again, and end a drain. What was moved away stays
where it is; new replicas go where there are fewest.`,
		Example: "  hanse uncordon aws",
		RunE: func(cmd *cobra.Command, names []string) error {
			return o.run(cmd.Context(), s, names, "uncordoned",
				func(spec v1alpha1.ClusterSpec) bool { return !spec.Unschedulable && !spec.Drain },
				map[string]any{"unschedulable": nil, "drain": nil})
		},
	}
	o.bind(cmd)
	return cmd
}

func (o *closing) run(ctx context.Context, s genericiooptions.IOStreams, names []string, done string, is func(v1alpha1.ClusterSpec) bool, spec map[string]any) error {
	clusters, err := o.hub.Clusters()
	if err != nil {
		return err
	}
	named, err := clusters.Named(ctx, names)
	if err != nil {
		return err
	}
	for _, c := range named {
		if is(c.Spec) {
			fmt.Fprintf(s.Out, "cluster/%s already %s\n", c.Name, done)
			continue
		}
		if err := o.patch(ctx, clusters, c, spec); err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "cluster/%s %s%s\n", c.Name, done, o.dryRun.Suffix())
	}
	return nil
}

// patch changes the spec of a cluster, unless it is only to be shown.
func (o *closing) patch(ctx context.Context, clusters hub.Clusters, c *v1alpha1.Cluster, spec map[string]any) error {
	if !o.dryRun.Writes() {
		return nil
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": c.UID}, "spec": spec})
	if err != nil {
		return fmt.Errorf("encode the change of cluster %s: %w", c.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, hub.Timeout)
	defer cancel()
	if _, err := clusters.Patch(ctx, c.Name, types.MergePatchType, body, o.dryRun.PatchOptions(fieldManager)); err != nil {
		return access.HubError(clusters.At, err)
	}
	return nil
}
