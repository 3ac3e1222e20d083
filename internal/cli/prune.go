package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet"
)

func newPruneCommand(s Streams) *cobra.Command {
	var hub hubFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "prune NAME",
		Short: "Let the hub delete what it has never known in a cluster",
		Long: `A cluster may hold objects that came from a hub, but that this hub's database
has never known: after the hub was restored from an old backup, or when a new hub
took the cluster over. Many of them are not deleted just like that. prune shows
how many there are and lets their deletion go on.`,
		Example:           "  hanse prune aws",
		Args:              oneCluster,
		ValidArgsFunction: hub.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			clusters, err := hub.clusters()
			if err != nil {
				return err
			}
			return runPrune(cmd.Context(), s, clusters, args[0], yes)
		},
	}
	hub.bind(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func runPrune(ctx context.Context, s Streams, clusters hubClusters, name string, yes bool) error {
	c, err := clusters.get(ctx, name)
	if err != nil {
		return err
	}
	held := c.Status.Held
	if held == 0 {
		fmt.Fprintf(s.Out, "cluster/%s holds nothing that the hub does not know\n", name)
		return nil
	}
	fmt.Fprintf(s.Err, "%d objects in cluster %s came from a hub, but this one has never known them.\n", held, name)
	if !yes {
		agreed, err := agree(s, fmt.Sprintf("Delete them from cluster %s?", name))
		if err != nil {
			return err
		}
		if !agreed {
			fmt.Fprintln(s.Err, "Nothing was changed.")
			return nil
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": c.UID, "annotations": map[string]string{v1alpha1.AnnotationPrune: fmt.Sprint(held)}}})
	if err != nil {
		return fmt.Errorf("cannot encode the annotation: %w", err)
	}
	if _, err := clusters.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fleet.HubError(clusters.at, err)
	}
	fmt.Fprintf(s.Out, "cluster/%s pruning %d objects\n", name, held)
	return nil
}

// agree asks a question; anything but y or yes is no. Without anybody to
// answer it is an error.
func agree(s Streams, question string) (bool, error) {
	fmt.Fprint(s.Err, question+" [y/N] ")
	line, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return false, errors.New("nobody answers. Try: --yes")
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
