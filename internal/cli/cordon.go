package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet"
)

// closing is what cordon, uncordon and drain have in common: they say in the spec of
// Clusters what may run there.
type closing struct {
	hub    hubFlags
	dryRun string
}

func (o *closing) bind(cmd *cobra.Command) {
	o.hub.bind(cmd)
	cmd.Flags().StringVar(&o.dryRun, "dry-run", "none", "say what would be done: client, or server to let the hub check it")
	cmd.Flags().Lookup("dry-run").NoOptDefVal = "client"
	completeWith(cmd, "dry-run", func() []string { return []string{"none", "client", "server"} })
	cmd.ValidArgsFunction = o.hub.completeClusters
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("no cluster is named. Try: hanse clusters, then %s NAME", cmd.CommandPath())
		}
		if !slices.Contains([]string{"none", "client", "server"}, o.dryRun) {
			return fmt.Errorf("unknown --dry-run=%s. Try: --dry-run=client or server", o.dryRun)
		}
		return nil
	}
}

func newCordonCommand(s Streams) *cobra.Command {
	var o closing
	cmd := &cobra.Command{
		Use:   "cordon CLUSTER [CLUSTER…]",
		Short: "Keep new replicas away from clusters; what runs there stays",
		Example: `  hanse cordon aws
  hanse cordon aws azure --dry-run=server`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), s, args, "cordoned",
				func(spec v1alpha1.ClusterSpec) bool { return spec.Unschedulable },
				map[string]any{"unschedulable": true})
		},
	}
	o.bind(cmd)
	return cmd
}

func newUncordonCommand(s Streams) *cobra.Command {
	var o closing
	cmd := &cobra.Command{
		Use:   "uncordon CLUSTER [CLUSTER…]",
		Short: "Let clusters have new replicas again, and end a drain",
		Long: `Let clusters have new replicas again, and end a drain. What was moved away stays
where it is; new replicas go where there are fewest.`,
		Example: "  hanse uncordon aws",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), s, args, "uncordoned",
				func(spec v1alpha1.ClusterSpec) bool { return !spec.Unschedulable && !spec.Drain },
				map[string]any{"unschedulable": nil, "drain": nil})
		},
	}
	o.bind(cmd)
	return cmd
}

func (o *closing) run(ctx context.Context, s Streams, names []string, done string, is func(v1alpha1.ClusterSpec) bool, spec map[string]any) error {
	hub, err := o.hub.clusters()
	if err != nil {
		return err
	}
	clusters, err := hub.named(ctx, names)
	if err != nil {
		return err
	}
	for _, c := range clusters {
		if is(c.Spec) {
			fmt.Fprintf(s.Out, "cluster/%s already %s\n", c.Name, done)
			continue
		}
		if err := o.patch(ctx, hub, c, spec); err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "cluster/%s %s%s\n", c.Name, done, o.suffix())
	}
	return nil
}

// suffix is what kubectl says after what it has only tried.
func (o *closing) suffix() string {
	switch o.dryRun {
	case "client":
		return " (dry run)"
	case "server":
		return " (server dry run)"
	}
	return ""
}

// patch changes the spec of a cluster, unless it is only to be said.
func (o *closing) patch(ctx context.Context, hub hubClusters, c *v1alpha1.Cluster, spec map[string]any) error {
	options := metav1.PatchOptions{FieldManager: "hanse-cli"}
	switch o.dryRun {
	case "client":
		return nil
	case "server":
		options.DryRun = []string{metav1.DryRunAll}
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": c.UID}, "spec": spec})
	if err != nil {
		return fmt.Errorf("encode the change of cluster %s: %w", c.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	if _, err := hub.Patch(ctx, c.Name, types.MergePatchType, body, options); err != nil {
		return fleet.HubError(hub.at, err)
	}
	return nil
}

// named are the clusters of these names. The error names those that there are.
func (h hubClusters) named(ctx context.Context, names []string) ([]*v1alpha1.Cluster, error) {
	list, err := h.list(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for i := range list.Items {
		all = append(all, list.Items[i].Name)
	}
	var out []*v1alpha1.Cluster
	for _, name := range names {
		i := slices.Index(all, name)
		switch {
		case i < 0 && len(all) == 0:
			return nil, fmt.Errorf("there is no cluster %s: none has joined. Try: hanse join %s --kubeconfig FILE", name, name)
		case i < 0:
			return nil, fmt.Errorf("there is no cluster %s, only %s. Try: hanse clusters", name, strings.Join(all, ", "))
		}
		out = append(out, &list.Items[i])
	}
	return out, nil
}
