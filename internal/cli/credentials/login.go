package credentials

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/login"
)

const (
	// loginTimeout is how long a person may take.
	loginTimeout = 5 * time.Minute
	// fileTimeout bounds how long login waits for another program that writes the kubeconfig.
	fileTimeout = 5 * time.Second
)

// auto is the --method that fits the machine.
const auto = "auto"

type loginOptions struct {
	at     hub.Flags
	target target
	client clientFlags
	method string
	listen string
	store  login.Store
}

// NewLoginCommand is hanse login.
func NewLoginCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var o loginOptions
	cmd := &cobra.Command{
		Use:   "login [URL]",
		Short: "Log in to a hub at its identity provider",
		Long: `Log in at the identity provider of a hub, in a browser or with a code that is
entered in one elsewhere, and write a context into the kubeconfig that uses it.
The hub is the one at URL, or that of the context.

The hub says which provider that is, unless the --oidc flags do. Tokens are kept
in ~/.hanse/tokens, and renewed when they are used.`,
		Example: `  hanse login https://hub.example.com:6443 --certificate-authority ca.crt
  hanse login                    # again, as the context federation has it
  hanse login --method device    # on a machine without a browser`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, given []string) error {
			var err error
			if o.store, err = newStore(now); err != nil {
				return err
			}
			o.target.url = strings.TrimSuffix(strings.Join(given, ""), "/")
			return o.run(cmd.Context(), s)
		},
	}
	o.at.Bind(cmd)
	o.client.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.target.ca, "certificate-authority", "", "with URL: the hub's CA, in PEM (default: those that the system trusts)")
	f.StringVar(&o.client.caFile, "oidc-ca-file", "", "CA of the provider, in PEM (default: as the hub says)")
	f.StringVar(&o.client.Secret, "oidc-client-secret", "", "the client's secret, if the provider insists on one")
	f.StringSliceVar(&o.client.Scopes, "oidc-scopes", nil, "scopes to ask for, besides openid (default: as the hub says)")
	f.StringVar(&o.method, "method", auto, "browser, device, or auto: a browser if there is one")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "HOST:PORT, on loopback, where the browser comes back to; port 0 is any")
	args.CompleteWith(cmd, "method", func() []string { return []string{auto, login.Browser, login.Device} })
	_ = cmd.MarkFlagFilename("certificate-authority")
	_ = cmd.MarkFlagFilename("oidc-ca-file")
	return cmd
}

func (o *loginOptions) run(ctx context.Context, s genericiooptions.IOStreams) error {
	way, err := wayOf(o.method)
	if err != nil {
		return err
	}
	cluster, err := o.target.find(o.at)
	if err != nil {
		return err
	}
	client, err := o.client.complete(ctx, cluster)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	session, err := o.store.Login(waiting, client, login.Options{Way: way, Listen: o.listen, Open: openBrowser, Tell: s.ErrOut})
	if err != nil {
		return err
	}
	who, err := whoami(ctx, cluster, session)
	if err != nil {
		return err
	}
	change, err := o.target.write(ctx, o.at, cluster, client)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "context/%s %s\n", o.at.Context, change)
	fmt.Fprintf(s.ErrOut, "Logged in to %s as %s%s.\n", cluster.Server, who.Username, groups(who.Groups))
	if session.RefreshToken == "" {
		fmt.Fprintf(s.ErrOut, "The provider gives no refresh token: log in again in %s.\n", session.Expires.Sub(o.store.Clock.Now()).Round(time.Minute))
	}
	return nil
}

// groups are those that RBAC can be about.
func groups(all []string) string {
	var own []string
	for _, g := range all {
		if !strings.HasPrefix(g, "system:") {
			own = append(own, g)
		}
	}
	if len(own) == 0 {
		return ""
	}
	return " (groups: " + strings.Join(own, ", ") + ")"
}

func wayOf(method string) (string, error) {
	switch method {
	case login.Browser, login.Device:
		return method, nil
	case auto:
		if hasBrowser() {
			return login.Browser, nil
		}
		return login.Device, nil
	}
	return "", fmt.Errorf("unknown --method=%s. Try: auto, browser or device", method)
}

// whoami asks the hub whom it takes the session for.
func whoami(ctx context.Context, cluster *cluster, session login.Session) (authenticationv1.UserInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, hub.Timeout)
	defer cancel()
	config := cluster.config()
	config.BearerToken = session.IDToken
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return authenticationv1.UserInfo{}, fmt.Errorf("the hub at %s cannot be asked: %w", cluster.Server, err)
	}
	review, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, refused(cluster.Server, session.Client, err)
	}
	return review.Status.UserInfo, nil
}

// newStore is where this user's sessions are.
func newStore(now clock.PassiveClock) (login.Store, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return login.Store{}, errors.New("there is no home directory for the tokens. Try: HOME=DIR")
	}
	return login.Store{Dir: tokensDir(home), Clock: now}, nil
}
