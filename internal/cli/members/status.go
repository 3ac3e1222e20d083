package members

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/overview"
)

// NewStatusCommand is hanse status.
func NewStatusCommand(s genericiooptions.IOStreams) *cobra.Command {
	var at hub.Flags
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the health of the hub and the clusters, and what is not in sync",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clusters, err := at.Clusters()
			if err != nil {
				return err
			}
			status, err := readStatus(cmd.Context(), clusters)
			if err != nil {
				return err
			}
			return format.Print(s.Out, output.Result{Content: status, Table: func(w io.Writer, _ bool) error { return status.Print(w) }})
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	return cmd
}

// readStatus asks the hub for all of it.
func readStatus(ctx context.Context, clusters hub.Clusters) (overview.Federation, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*hub.Timeout)
	defer cancel()
	self, err := readHub(ctx, clusters)
	if err != nil {
		return overview.Federation{}, err
	}
	all, err := clusters.All(ctx)
	if err != nil {
		return overview.Federation{}, err
	}
	placements, err := clusters.Placements(ctx)
	if err != nil {
		return overview.Federation{}, err
	}
	return overview.Of(self, all, placements), nil
}

func readHub(ctx context.Context, clusters hub.Clusters) (overview.Hub, error) {
	self := overview.Hub{Endpoint: clusters.At}
	body, err := clusters.GetClient().Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return self, access.HubError(clusters.At, err)
	}
	var info version.Info
	if err := json.Unmarshal(body, &info); err != nil {
		return self, fmt.Errorf("%s is not a Kubernetes API server: %w", clusters.At, err)
	}
	self.Version = info.GitVersion
	body, err = clusters.GetClient().Get().AbsPath("/readyz").MaxRetries(0).DoRaw(ctx)
	if self.Ready = err == nil; !self.Ready {
		if self.Problem = strings.Join(failedLines(string(body)), "; "); self.Problem == "" {
			self.Problem = err.Error()
		}
	}
	self.Certificates = readCertificates(ctx, clusters)
	return self, nil
}

// readCertificates is nil where the hub does not say, or not to this user.
func readCertificates(ctx context.Context, clusters hub.Clusters) *overview.Certificates {
	body, err := clusters.GetClient().Get().AbsPath(datadir.PathCertificates).MaxRetries(0).DoRaw(ctx)
	var report datadir.Report
	if err != nil || json.Unmarshal(body, &report) != nil || len(report.Certificates) == 0 {
		return nil
	}
	first := slices.MinFunc(report.Certificates, func(a, b datadir.Certificate) int { return a.Expires.Compare(b.Expires) })
	return &overview.Certificates{First: first.Name, Expires: first.Expires, Problem: report.Problem}
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
