package serve

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/hanse-dev/hanse/internal/app"
	"github.com/hanse-dev/hanse/internal/controlplane"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
)

// The shortest lives of which a third is long against how often the files are read: those of the hub's own certificates by its
// clients, every five minutes; that of admin.kubeconfig by every command.
const (
	leastLife      = time.Hour
	leastAdminLife = time.Minute
)

// accessFlags say who is let into a hub and how long its certificates are valid.
type accessFlags struct{ oidc datadir.OIDC }

func (a *accessFlags) bind(f *pflag.FlagSet, o *app.ServerOptions) {
	f.StringVar(&a.oidc.IssuerURL, "oidc-issuer-url", "", "URL of the OpenID Connect provider at which people log in")
	f.StringVar(&a.oidc.ClientID, "oidc-client-id", "", "the client that its tokens have to be for")
	f.StringVar(&a.oidc.UsernameClaim, "oidc-username-claim", "sub", "claim that is the user's name: sub, email, …")
	f.StringVar(&a.oidc.UsernamePrefix, "oidc-username-prefix", "", "what the user's name begins with (default: ISSUER# unless the claim is email; -: nothing)")
	f.StringVar(&a.oidc.GroupsClaim, "oidc-groups-claim", "", "claim with the user's groups (default: users have none)")
	f.StringVar(&a.oidc.GroupsPrefix, "oidc-groups-prefix", "", "what the groups' names begin with")
	f.StringToStringVar(&a.oidc.RequiredClaims, "oidc-required-claim", nil, "CLAIM=VALUE that tokens have to have; may be repeated")
	f.StringVar(&a.oidc.CAFile, "oidc-ca-file", "", "CA of the provider, in PEM (default: those that the system trusts)")
	f.StringSliceVar(&a.oidc.Scopes, "oidc-scopes", []string{"email", "profile"}, "scopes that hanse login asks for, besides openid")
	f.DurationVar(&o.AdminLife, "admin-kubeconfig-validity", datadir.DefaultAdminLife, "how long admin.kubeconfig is valid; a running hub renews it")
	f.DurationVar(&o.CertificateLife, "certificate-validity", 365*24*time.Hour, "how long the hub's own certificates are valid; a running hub renews them")
	for _, flag := range controlplane.PassedOn() {
		f.String(flag[0], "", flag[1])
	}
}

// complete checks the flags and puts them into o.
func (a *accessFlags) complete(f *pflag.FlagSet, o *app.ServerOptions) error {
	if o.AdminLife < leastAdminLife {
		return fmt.Errorf("--admin-kubeconfig-validity=%s is too short to be renewed in time. Try: 1h", o.AdminLife)
	}
	if o.CertificateLife < leastLife {
		return fmt.Errorf("--certificate-validity=%s is too short to be renewed in time. Try: 24h", o.CertificateLife)
	}
	if a.given(f) {
		if err := a.oidc.Validate(); err != nil {
			return err
		}
		o.OIDC = &a.oidc
	}
	o.APIServer = map[string]string{}
	for _, flag := range controlplane.PassedOn() {
		if f.Changed(flag[0]) {
			o.APIServer[flag[0]] = f.Lookup(flag[0]).Value.String()
		}
	}
	return nil
}

// given says whether there is to be a provider.
func (a *accessFlags) given(f *pflag.FlagSet) (found bool) {
	f.Visit(func(flag *pflag.Flag) { found = found || strings.HasPrefix(flag.Name, "oidc-") })
	return found
}
