package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet"
)

// statusRows is how many objects that are not in sync the table shows.
const statusRows = 20

// federationStatus is what hanse status prints.
type federationStatus struct {
	Hub      hubStatus       `json:"hub"`
	Clusters []clusterStatus `json:"clusters"`
	// NotInSync are the objects that are not everywhere as the hub wants them.
	NotInSync []objectStatus `json:"notInSync"`
}

type hubStatus struct {
	Endpoint string `json:"endpoint"`
	Version  string `json:"version"`
	Ready    bool   `json:"ready"`
	// Problem is what /readyz says fails.
	Problem string `json:"problem,omitempty"`
}

type clusterStatus struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	// Synced is True, False or Unknown.
	Synced  string `json:"synced"`
	Held    int32  `json:"held"`
	Message string `json:"message,omitempty"`
}

type objectStatus struct {
	Namespace string `json:"namespace,omitempty"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Clusters  string `json:"clusters"`
	Message   string `json:"message,omitempty"`
}

func newStatusCommand(s Streams) *cobra.Command {
	var hub hubFlags
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "How the hub, the clusters and the objects in them are",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "" && output != "json" {
				return fmt.Errorf("unknown output %q. Try: -o json", output)
			}
			clusters, err := hub.clusters()
			if err != nil {
				return err
			}
			status, err := readStatus(cmd.Context(), clusters)
			if err != nil {
				return err
			}
			if output == "json" {
				return printJSON(s.Out, status)
			}
			return printStatus(s.Out, status)
		},
	}
	hub.bind(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "json")
	completeWith(cmd, "output", func() []string { return []string{"json"} })
	return cmd
}

func printJSON(w io.Writer, value any) error {
	out, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode the status: %w", err)
	}
	_, err = fmt.Fprintln(w, string(out))
	return err
}

// readStatus asks the hub for all of it.
func readStatus(ctx context.Context, clusters hubClusters) (federationStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*hubTimeout)
	defer cancel()
	status := federationStatus{Clusters: []clusterStatus{}, NotInSync: []objectStatus{}}
	var err error
	if status.Hub, err = readHub(ctx, clusters); err != nil {
		return status, err
	}
	list, err := clusters.list(ctx)
	if err != nil {
		return status, err
	}
	for i := range list.Items {
		status.Clusters = append(status.Clusters, summarize(&list.Items[i]))
	}
	status.NotInSync, err = readNotInSync(ctx, clusters)
	return status, err
}

func readHub(ctx context.Context, clusters hubClusters) (hubStatus, error) {
	hub := hubStatus{Endpoint: clusters.at}
	body, err := clusters.GetClient().Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return hub, fleet.HubError(clusters.at, err)
	}
	var info version.Info
	if err := json.Unmarshal(body, &info); err != nil {
		return hub, fmt.Errorf("%s is no Kubernetes API server: %w", clusters.at, err)
	}
	hub.Version = info.GitVersion
	body, err = clusters.GetClient().Get().AbsPath("/readyz").MaxRetries(0).DoRaw(ctx)
	if hub.Ready = err == nil; !hub.Ready {
		hub.Problem = strings.Join(failedLines(string(body)), "; ")
	}
	return hub, nil
}

// failedLines are those of a /readyz answer that say what fails.
func failedLines(body string) []string {
	var failed []string
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "[-]"); ok {
			failed = append(failed, rest)
		}
	}
	return failed
}

func summarize(c *v1alpha1.Cluster) clusterStatus {
	s := clusterStatus{Name: c.Name, Status: c.Status.Phase, Synced: string(metav1.ConditionUnknown), Held: c.Status.Held, Message: clusterMessage(c)}
	if synced := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionSynced); synced != nil {
		s.Synced = string(synced.Status)
	}
	return s
}

// readNotInSync reads the Placements; a hub that does not serve them has none.
func readNotInSync(ctx context.Context, clusters hubClusters) ([]objectStatus, error) {
	objects := []objectStatus{}
	var list v1alpha1.PlacementList
	err := clusters.GetClient().Get().Resource("placements").Do(ctx).Into(&list)
	if apierrors.IsNotFound(err) {
		return objects, nil
	}
	if err != nil {
		return nil, fleet.HubError(clusters.at, err)
	}
	for _, p := range list.Items {
		if p.Summary.Synced != metav1.ConditionTrue {
			objects = append(objects, objectStatus{p.Object.Namespace, p.Object.Kind, p.Object.Name, p.Summary.Clusters, p.Summary.Message})
		}
	}
	return objects, nil
}

func printStatus(w io.Writer, s federationStatus) error {
	health := "ready"
	if !s.Hub.Ready {
		health = "not ready: " + s.Hub.Problem
	}
	fmt.Fprintf(w, "hub %s, Kubernetes %s, %s\n\n", s.Hub.Endpoint, s.Hub.Version, health)
	if len(s.Clusters) == 0 {
		fmt.Fprintln(w, "No cluster has joined. Try: hanse join NAME --kubeconfig FILE")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CLUSTER\tSTATUS\tSYNCED\tHELD\tMESSAGE")
	for _, c := range s.Clusters {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", c.Name, orDash(c.Status), c.Synced, c.Held, c.Message)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(s.NotInSync) == 0 {
		fmt.Fprintln(w, "\nEvery object is where it should be.")
		return nil
	}
	fmt.Fprintf(w, "\n%d objects are not everywhere as the hub wants them:\n", len(s.NotInSync))
	fmt.Fprintln(t, "NAMESPACE\tKIND\tNAME\tCLUSTERS\tMESSAGE")
	for _, o := range s.NotInSync[:min(statusRows, len(s.NotInSync))] {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", orDash(o.Namespace), o.Kind, o.Name, orDash(o.Clusters), o.Message)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := len(s.NotInSync) - statusRows; more > 0 {
		fmt.Fprintf(w, "… and %d more. Try: kubectl --context federation get placements -A\n", more)
	}
	return nil
}

// orDash is s, or a dash where a table would have a hole.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
