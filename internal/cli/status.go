package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/version"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet"
	"github.com/hanse-dev/hanse/internal/overview"
)

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
			return status.Print(s.Out)
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
func readStatus(ctx context.Context, clusters hubClusters) (overview.Federation, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*hubTimeout)
	defer cancel()
	hub, err := readHub(ctx, clusters)
	if err != nil {
		return overview.Federation{}, err
	}
	list, err := clusters.list(ctx)
	if err != nil {
		return overview.Federation{}, err
	}
	var placements v1alpha1.PlacementList
	if err := clusters.GetClient().Get().Resource("placements").Do(ctx).Into(&placements); err != nil {
		return overview.Federation{}, fleet.HubError(clusters.at, err)
	}
	return overview.Of(hub, list.Items, placements.Items), nil
}

func readHub(ctx context.Context, clusters hubClusters) (overview.Hub, error) {
	hub := overview.Hub{Endpoint: clusters.at}
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
		if hub.Problem = strings.Join(failedLines(string(body)), "; "); hub.Problem == "" {
			hub.Problem = err.Error()
		}
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

// orDash is s, or a dash where a table would have a hole.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
