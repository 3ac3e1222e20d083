package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet"
	"github.com/hanse-dev/hanse/internal/overview"
)

// hubTimeout bounds one request to the hub.
const hubTimeout = 15 * time.Second

func newClustersCommand(s Streams) *cobra.Command {
	var hub hubFlags
	var output string
	cmd := &cobra.Command{
		Use:   "clusters",
		Short: "List the members of the federation",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clusters, err := hub.clusters()
			if err != nil {
				return err
			}
			list, err := clusters.list(cmd.Context())
			if err != nil {
				return err
			}
			if len(list.Items) == 0 && (output == "" || output == "wide") {
				fmt.Fprintln(s.Err, "No cluster has joined. Try: hanse join NAME --kubeconfig FILE")
				return nil
			}
			return printClusters(s.Out, list, output, time.Now())
		},
	}
	hub.bind(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "wide, json, yaml or name")
	completeWith(cmd, "output", func() []string { return []string{"wide", "json", "yaml", "name"} })
	return cmd
}

// hubClusters is the way to the Clusters of a hub.
type hubClusters struct {
	*fleet.ClusterClient
	at string // the hub's address, for errors
}

func (h *hubFlags) clusters() (hubClusters, error) {
	cfg, err := h.restConfig()
	if err != nil {
		return hubClusters{}, err
	}
	client, err := fleet.NewClusterClient(cfg)
	return hubClusters{client, cfg.Host}, err
}

// list lists them by name.
func (h hubClusters) list(ctx context.Context) (*v1alpha1.ClusterList, error) {
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	list, err := h.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fleet.HubError(h.at, err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.Cluster) int { return strings.Compare(a.Name, b.Name) })
	list.APIVersion, list.Kind = v1alpha1.GroupVersion().String(), "ClusterList"
	for i := range list.Items {
		list.Items[i].APIVersion, list.Items[i].Kind = v1alpha1.GroupVersion().String(), "Cluster"
	}
	return list, nil
}

// get reads one.
func (h hubClusters) get(ctx context.Context, name string) (*v1alpha1.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	c, err := h.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no cluster %s. Try: hanse clusters", name)
	}
	if err != nil {
		return nil, fleet.HubError(h.at, err)
	}
	return c, nil
}

func printClusters(w io.Writer, list *v1alpha1.ClusterList, output string, now time.Time) error {
	switch output {
	case "", "wide":
		return printClusterTable(w, list, output == "wide", now)
	case "name":
		for i := range list.Items {
			fmt.Fprintf(w, "cluster.hanse.dev/%s\n", list.Items[i].Name)
		}
		return nil
	case "json":
		return new(printers.JSONPrinter).PrintObj(list, w)
	case "yaml":
		return new(printers.YAMLPrinter).PrintObj(list, w)
	}
	return fmt.Errorf("unknown output %q. Try: -o wide, json, yaml or name", output)
}

// clusterPhase is the STATUS column, with what kubectl adds for nodes.
func clusterPhase(c *v1alpha1.Cluster) string {
	switch {
	case c.Spec.Drain:
		return c.Status.Phase + ",Draining"
	case c.Spec.Unschedulable:
		return c.Status.Phase + ",SchedulingDisabled"
	}
	return c.Status.Phase
}

// printClusterTable prints the columns of kubectl get clusters.
func printClusterTable(w io.Writer, list *v1alpha1.ClusterList, wide bool, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	header := []string{"NAME", "STATUS", "PROVIDER", "REGION", "VERSION", "NODES", "AGE"}
	if wide {
		header = append(header, "ZONES", "ENDPOINT", "MESSAGE")
	}
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for i := range list.Items {
		c := &list.Items[i]
		row := []string{c.Name, clusterPhase(c), c.Status.Provider, c.Status.Region, c.Status.Version, fmt.Sprint(c.Status.Nodes),
			duration.HumanDuration(now.Sub(c.CreationTimestamp.Time))}
		if wide {
			row = append(row, strings.Join(c.Status.Zones, ","), c.Spec.Endpoint, overview.ClusterMessage(c))
		}
		for i := range row {
			row[i] = orDash(row[i])
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}
