package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/fleet"
)

// newDNSCommand is hanse dns: what the hub answers to whom, and why.
func newDNSCommand(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dns",
		Short: "See what global DNS answers, and why",
		Long: `A GlobalRoute, or an Ingress, Service or Gateway with the annotation
hanse.dev/global: "true", is answered by the hub's name server: each client gets
the addresses of the cluster that suits it best.`,
		Args: rejectUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newDNSQueryCommand(s),
		newDNSRoutesCommand(s),
		newDNSZonesCommand(s),
		newDNSCheckCommand(s),
		newDNSExportCommand(s),
		newDNSAboutCommand(s),
	)
	return cmd
}

// errHubSays is what the hub answered to a request that it could not serve.
type errHubSays string

func (e errHubSays) Error() string { return string(e) }

// get reads a path of the hub that is no resource.
func (h *hubFlags) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return h.ask(ctx, http.MethodGet, path, nil)
}

// ask sends a request to a path of the hub that is no resource.
func (h *hubFlags) ask(ctx context.Context, method, path string, content io.Reader) ([]byte, error) {
	cfg, err := h.restConfig()
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fleet.HubError(cfg.Host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(cfg.Host, "/")+path, content)
	if err != nil {
		return nil, fmt.Errorf("the hub's address %s cannot be used: %w", cfg.Host, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fleet.HubError(cfg.Host, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fleet.HubError(cfg.Host, err)
	}
	switch {
	case response.StatusCode == http.StatusOK:
		return body, nil
	case response.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("the hub at %s refuses the credential in its kubeconfig (401). Try: the admin.kubeconfig in the hub's data directory", cfg.Host)
	case response.StatusCode == http.StatusForbidden && !strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain"):
		return nil, fmt.Errorf("the hub at %s does not let you read %s. Try: as an administrator of the hub, or with a binding to the role view", cfg.Host, path)
	case strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain"):
		return nil, errHubSays(strings.TrimSpace(string(body)))
	}
	return nil, fmt.Errorf("the hub at %s answers %s to %s. Try: the same version of hanse for both", cfg.Host, response.Status, path)
}

// oneArgument wants one argument of a name.
func oneArgument(what, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s wants one %s. Try: %s", cmd.CommandPath(), what, example)
		}
		return nil
	}
}
