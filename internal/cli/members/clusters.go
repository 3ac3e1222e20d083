package members

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/overview"
)

// NewClustersCommand is hanse clusters.
func NewClustersCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var at hub.Flags
	format := output.ForObjects(output.Wide)
	cmd := &cobra.Command{
		Use:   "clusters",
		Short: "List the members of the federation",
		Example: `  hanse clusters
  hanse clusters -o wide
  hanse clusters -o custom-columns=NAME:.metadata.name,REGION:.status.region`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, clusters, err := hub.List[v1alpha1.Cluster](cmd.Context(), &at, "clusters")
			if err != nil {
				return err
			}
			if len(clusters) == 0 && format.ForPeople() {
				fmt.Fprintln(s.ErrOut, "No cluster has joined. Try: hanse join NAME --kubeconfig FILE")
				return nil
			}
			return format.Print(s.Out, output.Result{Content: list, Table: func(w io.Writer, wide bool) error {
				return printClusters(w, clusters, wide, now)
			}})
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	return cmd
}

// phase is the STATUS column, with what kubectl adds for nodes.
func phase(c *v1alpha1.Cluster) string {
	switch {
	case c.Spec.Drain:
		return c.Status.Phase + ",Draining"
	case c.Spec.Unschedulable:
		return c.Status.Phase + ",SchedulingDisabled"
	}
	return c.Status.Phase
}

// printClusters prints the columns of kubectl get clusters.
func printClusters(w io.Writer, clusters []v1alpha1.Cluster, wide bool, now clock.PassiveClock) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	header := []string{"NAME", "STATUS", "PROVIDER", "REGION", "VERSION", "NODES", "AGE"}
	if wide {
		header = append(header, "ZONES", "ENDPOINT", "MESSAGE")
	}
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for i := range clusters {
		c := &clusters[i]
		row := []string{c.Name, phase(c), c.Status.Provider, c.Status.Region, c.Status.Version, fmt.Sprint(c.Status.Nodes),
			duration.HumanDuration(now.Since(c.CreationTimestamp.Time))}
		if wide {
			row = append(row, strings.Join(c.Status.Zones, ","), c.Spec.Endpoint, overview.ClusterMessage(c))
		}
		for i := range row {
			row[i] = output.Dash(row[i])
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}
