package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/pki"
	"github.com/hanse-dev/hanse/test/identity"
)

// TestFilesOfTheOwner starts a hub with kube-apiserver's own files, which are read again when they change, and replaces its
// authority.
func TestFilesOfTheOwner(t *testing.T) {
	var authentication, audit string
	g := guard(t, "files", func(_ *guarded, dir string) []string {
		authentication, audit = filepath.Join(dir, "authentication.yaml"), filepath.Join(dir, "audit.log")
		authorization, policy := filepath.Join(dir, "authorization.yaml"), filepath.Join(dir, "policy.yaml")
		for file, content := range map[string]string{
			authentication: "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt: []\n",
			authorization:  "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers: [{type: RBAC, name: rbac}]\n",
			policy:         "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, resources: [{group: '', resources: [configmaps]}]}]\n",
		} {
			must(t, os.WriteFile(file, []byte(content), 0o600))
		}
		return []string{"--authentication-config", authentication, "--authorization-config", authorization, "--audit-policy-file", policy,
			"--audit-log-path", audit, "--audit-log-mode", "blocking"}
	})
	t.Run("authentication", func(t *testing.T) { g.reloaded(t, authentication) })
	t.Run("audit", func(t *testing.T) { g.logged(t, audit) })
	t.Run("authority", g.authority)
}

// reloaded adds the provider to the file of a running hub. The file says nothing of anonymous requests, so that there are none.
func (g *guarded) reloaded(t *testing.T, file string) {
	_, s := g.session(t, "alice", identity.ClientID)
	alice := g.as(t, s.IDToken)
	if _, err := whoami(t.Context(), alice); !apierrors.IsUnauthorized(err) {
		t.Errorf("alice is let in, at a provider that the hub does not know: %v", err)
	}
	nobody := g.as(t, "")
	if err := nobody.Discovery().RESTClient().Get().AbsPath("/readyz").Do(t.Context()).Error(); !apierrors.IsUnauthorized(err) {
		t.Errorf("nobody is answered: %v", err)
	}
	config := map[string]any{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": []any{map[string]any{
		"issuer":        map[string]any{"url": g.provider.Issuer(), "audiences": []string{identity.ClientID}, "certificateAuthority": string(g.provider.CA)},
		"claimMappings": map[string]any{"username": map[string]any{"claim": "sub", "prefix": "people:"}},
	}}}
	data, err := json.Marshal(config)
	must(t, err)
	must(t, pki.WriteFile(file, data))
	eventually(t, 2*time.Minute, func(ctx context.Context) error {
		who, err := whoami(ctx, alice)
		if err == nil && who.Username != "people:alice" {
			err = fmt.Errorf("alice is taken for %+v", who)
		}
		return err
	})
}

func (g *guarded) logged(t *testing.T, file string) {
	_, err := g.admin(t).CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	must(t, err)
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("the audit log of the owner's policy: %v", err)
	}
	if _, err := os.Stat(filepath.Join(g.hub.DataDir(), "audit", "audit.log")); err == nil {
		t.Error("there is another audit log")
	}
}

// authority is replaced step by step: whoever has what was published before each step gets on with the next.
func (g *guarded) authority(t *testing.T) {
	admin, err := g.hub.Config()
	must(t, err)
	files := pki.Rotating{Cert: filepath.Join(g.hub.DataDir(), "pki", "ca.crt"), Key: filepath.Join(g.hub.DataDir(), "pki", "ca.key")}
	r, err := suite.home.Run(t.Context(), "certs", "rotate-ca", "--data-dir", g.hub.DataDir(), "--overlap", "24h")
	must(t, err)
	if r.Code != 0 {
		t.Fatal(r)
	}
	before := admin
	for _, want := range []pki.Stage{pki.Published, pki.Signing, ""} {
		if want != pki.Published { // a running hub takes the first step; a day later the others
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			must(t, g.hub.Stop(ctx))
			must(t, age(files))
			must(t, g.hub.Start(ctx))
		}
		eventually(t, soon, func(context.Context) error {
			state, err := files.State()
			if err == nil && state != nil && state.Stage != want || state == nil && want != "" {
				err = fmt.Errorf("stage %+v, want %q", state, want)
			}
			return err
		})
		must(t, ask(t, before))
		before, err = g.hub.Config()
		must(t, err)
		must(t, ask(t, before))
	}
	if ask(t, admin) == nil {
		t.Error("the old authority is still good")
	}
}

// age has the stage have begun two days earlier.
func age(files pki.Rotating) error {
	state, err := files.State()
	if err != nil || state == nil {
		return errors.Join(err, errors.New("there is no rotation"))
	}
	state.Since = state.Since.Add(-48 * time.Hour)
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return pki.WriteFile(filepath.Join(filepath.Dir(files.Cert), "ca-rotation.json"), data)
}

func ask(t *testing.T, cfg *rest.Config) error {
	t.Helper()
	c, err := newClients("the administrator", cfg, nil)
	must(t, err)
	_, err = c.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	return err
}
