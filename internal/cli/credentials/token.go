package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientauthenticationv1 "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/hub"
)

// tokenTimeout bounds how long a command waits for the provider, and for others that refresh the same tokens.
const tokenTimeout = 30 * time.Second

// NewTokenCommand is hanse token, the credential plugin that hanse login writes into kubeconfigs.
func NewTokenCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var c clientFlags
	cmd := &cobra.Command{
		Use:   "token --oidc-issuer-url URL --oidc-client-id ID",
		Short: "Print the token of a login, for kubectl and other clients",
		Long: `Print the token of a login as an ExecCredential (client.authentication.k8s.io/v1),
renewed if need be. Kubeconfigs that hanse login writes have clients run this;
it never asks a person anything.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.Issuer == "" || c.ID == "" {
				return errors.New("a token is of a provider and for a client. Try: hanse login, which writes a kubeconfig that says both")
			}
			store, err := newStore(now)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), tokenTimeout)
			defer cancel()
			session, err := store.Token(ctx, c.Client)
			if err != nil {
				return err
			}
			expires := metav1.NewTime(session.Renews)
			return json.NewEncoder(s.Out).Encode(clientauthenticationv1.ExecCredential{
				TypeMeta: metav1.TypeMeta{APIVersion: clientauthenticationv1.SchemeGroupVersion.String(), Kind: "ExecCredential"},
				Status:   &clientauthenticationv1.ExecCredentialStatus{Token: session.IDToken, ExpirationTimestamp: &expires},
			})
		},
	}
	c.bind(cmd)
	return cmd
}

// NewLogoutCommand is hanse logout.
func NewLogoutCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var at hub.Flags
	var c clientFlags
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "End a login, here and at the identity provider",
		Long: `Have the identity provider revoke what hanse login got, and remove it from
~/.hanse/tokens. The context stays in the kubeconfig, for the next hanse login.

A token that somebody has copied is good until it expires, which is for the
provider to say.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := c.Client
			if client.Issuer == "" || client.ID == "" {
				var err error
				if client, err = loggedIn(at); err != nil {
					return err
				}
			}
			store, err := newStore(now)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), tokenTimeout)
			defer cancel()
			if err := store.Logout(ctx, client); err != nil {
				return err
			}
			fmt.Fprintf(s.ErrOut, "Logged out at %s.\n", client.Issuer)
			return nil
		},
	}
	at.Bind(cmd)
	c.bind(cmd)
	return cmd
}
