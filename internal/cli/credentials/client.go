package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/login"
)

func tokensDir(home string) string { return filepath.Join(home, ".hanse", "tokens") }

// clientFlags say which provider and client.
type clientFlags struct {
	login.Client
	caFile string
}

func (c *clientFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.Issuer, "oidc-issuer-url", "", "URL of the identity provider")
	cmd.Flags().StringVar(&c.ID, "oidc-client-id", "", "the client that the provider knows")
}

// complete asks the hub for what no flag says.
func (c *clientFlags) complete(ctx context.Context, at *cluster) (login.Client, error) {
	client := c.Client
	switch {
	case client.Issuer == "" && client.ID == "":
		said, err := ask(ctx, at)
		if err != nil {
			return client, err
		}
		if len(client.Scopes) == 0 {
			client.Scopes = said.Scopes
		}
		client.Issuer, client.ID, client.CA = said.Issuer, said.ID, said.CA
	case client.Issuer == "" || client.ID == "":
		return client, errors.New("--oidc-issuer-url and --oidc-client-id belong together. Try: both, or neither to have the hub say it")
	}
	if c.caFile != "" {
		ca, err := os.ReadFile(c.caFile)
		if err != nil {
			return client, fmt.Errorf("--oidc-ca-file: %w. Try: a file with the provider's CA in PEM", err)
		}
		client.CA = ca
	}
	return client, nil
}

// ask has the hub say where its people log in, as anybody may.
func ask(ctx context.Context, at *cluster) (login.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, hub.Timeout)
	defer cancel()
	client, err := kubernetes.NewForConfig(at.config())
	if err != nil {
		return login.Client{}, fmt.Errorf("the hub at %s cannot be asked: %w", at.Server, err)
	}
	body, err := client.RESTClient().Get().AbsPath(datadir.PathLogin).DoRaw(ctx)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return login.Client{}, fmt.Errorf("the hub at %s does not say where to log in. Try: --oidc-issuer-url URL --oidc-client-id ID, as its administrator has them", at.Server)
	case err != nil:
		return login.Client{}, access.HubError(at.Server, err)
	}
	var said login.Client
	if err := json.Unmarshal(body, &said); err != nil || said.Issuer == "" {
		return login.Client{}, fmt.Errorf("what the hub at %s says of its provider cannot be read. Try: the same version of hanse for both", at.Server)
	}
	return said, nil
}

// refused explains why the hub does not take a token that the provider has just given.
func refused(at string, c login.Client, err error) error {
	if !apierrors.IsUnauthorized(err) {
		return access.HubError(at, err)
	}
	return fmt.Errorf("%s let you in, but the hub at %s does not take its token for the client %s. Try: the --oidc-issuer-url and --oidc-client-id of hanse server; the hub's log says more", c.Issuer, at, c.ID)
}

// hasBrowser says whether a browser would show on this machine.
func hasBrowser() bool {
	for _, variable := range []string{"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} {
		if os.Getenv(variable) != "" {
			return true
		}
	}
	return runtime.GOOS == "darwin"
}

// openBrowser shows a URL, by $BROWSER or as the system does it. It does not wait for the person.
func openBrowser(ctx context.Context, url string) error {
	program := os.Getenv("BROWSER")
	if program == "" {
		program = "xdg-open"
		if runtime.GOOS == "darwin" {
			program = "open"
		}
	}
	cmd := exec.CommandContext(ctx, program, url)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // what the person does with it is seen elsewhere
	return nil
}
