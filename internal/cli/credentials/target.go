package credentials

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/kubeconfig"
	"github.com/hanse-dev/hanse/internal/login"
)

// target is the hub to log in to.
type target struct {
	// url is empty for that of the context.
	url, ca string
	// replace says that the context is the hub's already.
	replace bool
}

// cluster is a hub as a kubeconfig has it, complete in itself.
type cluster struct{ *clientcmdapi.Cluster }

// config reaches the hub as nobody.
func (c *cluster) config() *rest.Config {
	config := clientcmdapi.NewConfig()
	config.Clusters["hub"] = c.Cluster
	config.Contexts["hub"] = &clientcmdapi.Context{Cluster: "hub"}
	rc, err := clientcmd.NewNonInteractiveClientConfig(*config, "hub", &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return &rest.Config{Host: c.Server} // whose first request says what is wrong
	}
	rc.UserAgent = "hanse-cli"
	return rc
}

// files are client-go's rules.
func files(at hub.Flags) *clientcmd.ClientConfigLoadingRules {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = at.Kubeconfig
	return rules
}

// find is the hub at the URL, or that of the context.
func (t *target) find(at hub.Flags) (*cluster, error) {
	config, err := files(at).Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the kubeconfig: %w", err)
	}
	var known *clientcmdapi.Cluster
	if config != nil && config.Contexts[at.Context] != nil {
		known = config.Clusters[config.Contexts[at.Context].Cluster]
	}
	if t.url == "" {
		if known == nil {
			return nil, fmt.Errorf("there is no context %q that says where the hub is. Try: hanse login URL --certificate-authority FILE", at.Context)
		}
		t.replace = true
		return flatten(known)
	}
	if u, err := url.Parse(t.url); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a hub. Try: https://HOST:6443", t.url)
	}
	t.replace = known != nil && known.Server == t.url
	return flatten(&clientcmdapi.Cluster{Server: t.url, CertificateAuthority: t.ca})
}

func flatten(c *clientcmdapi.Cluster) (*cluster, error) {
	c = c.DeepCopy()
	if c.CertificateAuthority != "" {
		ca, err := os.ReadFile(c.CertificateAuthority)
		if err != nil {
			return nil, fmt.Errorf("the hub's CA cannot be read: %w. Try: --certificate-authority FILE", err)
		}
		c.CertificateAuthority, c.CertificateAuthorityData = "", ca
	}
	return &cluster{c}, nil
}

// write puts the context into the kubeconfig, with hanse token as the user's credential plugin, and says whether it is new.
func (t *target) write(ctx context.Context, at hub.Flags, c *cluster, client login.Client) (change string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	user, err := plugin(client)
	if err != nil {
		return "", err
	}
	entry := kubeconfig.Context{Name: at.Context, Source: "login:" + c.Server, Overwrite: t.replace, Cluster: c.Cluster, User: user}
	change = "unchanged"
	_, err = kubeconfig.Update(ctx, files(at).GetDefaultFilename(), func(old []byte) ([]byte, error) {
		result, err := kubeconfig.Merge(old, []kubeconfig.Context{entry}, "")
		switch {
		case len(result.Added) > 0:
			change = "added"
		case len(result.Updated) > 0:
			change = "updated"
		}
		return result.Data, err
	})
	var clash *kubeconfig.ClashError
	if errors.As(err, &clash) {
		return "", fmt.Errorf("%w, which lead elsewhere. Try: --context NAME", clash)
	}
	return change, err
}

// plugin is a user whose token hanse token gives.
func plugin(c login.Client) (*clientcmdapi.AuthInfo, error) {
	command := "hanse"
	if _, err := exec.LookPath(command); err != nil {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		command = self
	}
	return &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion:      "client.authentication.k8s.io/v1",
		Command:         command,
		Args:            []string{"token", "--oidc-issuer-url", c.Issuer, "--oidc-client-id", c.ID},
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		InstallHint:     "hanse is not in the PATH. Try: install it, or hanse login again",
	}}, nil
}

// loggedIn is the client of a context that hanse login wrote.
func loggedIn(at hub.Flags) (login.Client, error) {
	config, err := files(at).Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return login.Client{}, fmt.Errorf("cannot read the kubeconfig: %w", err)
	}
	if config != nil && config.Contexts[at.Context] != nil {
		user := config.AuthInfos[config.Contexts[at.Context].AuthInfo]
		if user != nil && user.Exec != nil && len(user.Exec.Args) == 5 && user.Exec.Args[0] == "token" {
			return login.Client{Issuer: user.Exec.Args[2], ID: user.Exec.Args[4]}, nil
		}
	}
	return login.Client{}, fmt.Errorf("the context %q does not come from hanse login. Try: --context NAME, or --oidc-issuer-url and --oidc-client-id", at.Context)
}
