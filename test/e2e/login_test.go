package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/hanse-dev/hanse/internal/login"
	"github.com/hanse-dev/hanse/test/federation"
	"github.com/hanse-dev/hanse/test/identity"
)

// guarded is a hub without members, at which people log in, whose audit log goes to a webhook, too.
type guarded struct {
	hub      *federation.Hub
	provider *identity.Provider
	flags    []string

	mu      sync.Mutex
	audited []string // user and URI of each audit event
}

// guard starts a hub. The provider's CA is in a file of its directory.
func guard(t *testing.T, name string, flags func(g *guarded, dir string) []string) *guarded {
	t.Helper()
	g := &guarded{provider: identity.New()}
	t.Cleanup(g.provider.Close)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "ca.crt"), g.provider.CA, 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var err error
	g.flags = flags(g, dir)
	g.hub, err = suite.home.NewHub(ctx, name, g.flags...)
	must(t, err)
	t.Cleanup(func() {
		stopping, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = g.hub.Stop(stopping) // its guard ends it otherwise
	})
	return g
}

func (g *guarded) admin(t *testing.T) *clients {
	t.Helper()
	cfg, err := g.hub.Config()
	c, err := newClients("the administrator", cfg, err)
	must(t, err)
	return c
}

// as reaches the hub with a token.
func (g *guarded) as(t *testing.T, token string) *clients {
	t.Helper()
	cfg, err := g.hub.Config()
	must(t, err)
	cfg = rest.AnonymousClientConfig(cfg)
	cfg.BearerToken = token
	c, err := newClients("somebody", cfg, nil)
	must(t, err)
	return c
}

// session is a login of somebody at the provider, with the store that it is kept in.
func (g *guarded) session(t *testing.T, person, client string) (login.Store, login.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	store := login.Store{Dir: t.TempDir(), Clock: clock.RealClock{}}
	c := login.Client{Issuer: g.provider.Issuer(), ID: client, Scopes: []string{"email"}, CA: g.provider.CA}
	browser := identity.Person{Name: person, CA: g.provider.CA}
	s, err := store.Login(ctx, c, login.Options{Way: login.Browser, Listen: "127.0.0.1:0", Open: browser.Browse, Tell: io.Discard})
	must(t, err)
	return store, s
}

func whoami(ctx context.Context, c kubernetes.Interface) (authenticationv1.UserInfo, error) {
	review, err := c.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	return review.Status.UserInfo, nil
}

// webhook receives audit events, and returns the kubeconfig that leads there.
func (g *guarded) webhook(t *testing.T, dir string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var list struct {
			Items []struct {
				User       struct{ Username string }
				RequestURI string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			t.Error(err)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, e := range list.Items {
			g.audited = append(g.audited, e.User.Username+" "+e.RequestURI)
		}
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(dir, "audit.kubeconfig")
	must(t, os.WriteFile(file, []byte("apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: '"+server.URL+"'}}]\ncontexts: [{name: a, context: {cluster: a}}]\ncurrent-context: a\n"), 0o600))
	return file
}

func oidcFlags(g *guarded, dir string) []string {
	return []string{
		"--oidc-issuer-url", g.provider.Issuer(), "--oidc-client-id", identity.ClientID, "--oidc-ca-file", filepath.Join(dir, "ca.crt"),
		"--oidc-username-claim", "email", "--oidc-groups-claim", "groups",
	}
}

// TestPeople is what people and the owner of a hub do with it, one thing after the other.
func TestPeople(t *testing.T) {
	g := guard(t, "people", func(g *guarded, dir string) []string {
		return append(oidcFlags(g, dir), "--admin-kubeconfig-validity", "1m", "--audit-webhook-config-file", g.webhook(t, dir), "--audit-webhook-batch-max-wait", "1s")
	})
	t.Run("login", g.login)
	t.Run("expiry", g.expiry)
	t.Run("short certificates", g.certificates)
	t.Run("renewal", g.renewal)
	t.Run("revoked administrators", g.revoked)
}

func (g *guarded) login(t *testing.T) {
	ctx := t.Context()
	_, s := g.session(t, "alice", identity.ClientID)
	alice := g.as(t, s.IDToken)
	eventually(t, soon, func(ctx context.Context) error { // the hub asks the provider for its keys
		_, err := whoami(ctx, alice)
		return err
	})
	who, err := whoami(ctx, alice)
	must(t, err)
	if who.Username != "alice@example.com" || !slices.Contains(who.Groups, "developers") {
		t.Errorf("alice is taken for %+v", who)
	}
	if _, err := alice.CoreV1().Namespaces().List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("alice may list namespaces without having the right: %v", err)
	}
	admin := g.admin(t)
	_, err = admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "developers"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "developers"}},
	}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, soon, func(ctx context.Context) error {
		_, err := alice.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		return err
	})
	eventually(t, soon, func(context.Context) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !slices.ContainsFunc(g.audited, func(e string) bool { return strings.HasPrefix(e, "admin /apis/rbac.authorization.k8s.io/") }) {
			return fmt.Errorf("the webhook knows nothing of the binding: %q", g.audited)
		}
		return nil
	})
}

// expiry has the hub refuse a token that has ended, and take the one that a refresh gives.
func (g *guarded) expiry(t *testing.T) {
	public := g.as(t, "").Discovery().RESTClient().Get()
	if said, err := public.AbsPath("/hanse/login").DoRaw(t.Context()); err != nil || !strings.Contains(string(said), g.provider.Issuer()) {
		t.Errorf("who has no credential is not told where to get one: %s, %v", said, err)
	}
	g.provider.SetLife(8 * time.Second)
	store, s := g.session(t, "alice", identity.ClientID)
	alice := g.as(t, s.IDToken)
	_, err := whoami(t.Context(), alice)
	must(t, err)
	eventually(t, soon, func(ctx context.Context) error {
		if _, err := whoami(ctx, alice); !apierrors.IsUnauthorized(err) {
			return fmt.Errorf("a token of 8 s is still taken: %w", errors.Join(err))
		}
		return nil
	})
	g.provider.SetLife(time.Hour)
	next, err := store.Token(t.Context(), s.Client)
	must(t, err)
	if next.IDToken == s.IDToken {
		t.Fatal("it was not refreshed")
	}
	_, err = whoami(t.Context(), g.as(t, next.IDToken))
	must(t, err)
}

// certificates are asked for by alice, approved by an administrator, and signed for a day at most.
func (g *guarded) certificates(t *testing.T) {
	ctx, admin := t.Context(), g.admin(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	request := func(name, signer string, usage certificatesv1.KeyUsage, subject pkix.Name) (*certificatesv1.CertificateSigningRequest, error) {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, DNSNames: nil}, key)
		must(t, err)
		return admin.CertificatesV1().CertificateSigningRequests().Create(ctx, &certificatesv1.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: certificatesv1.CertificateSigningRequestSpec{
				Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
				SignerName: signer, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, usage},
				ExpirationSeconds: ptr.To(int32(30 * 24 * 3600)),
			},
		}, metav1.CreateOptions{})
	}
	approve := func(r *certificatesv1.CertificateSigningRequest) {
		r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Known"})
		_, err := admin.CertificatesV1().CertificateSigningRequests().UpdateApproval(ctx, r.Name, r, metav1.UpdateOptions{})
		must(t, err)
	}
	ci, err := request("ci", certificatesv1.KubeAPIServerClientSignerName, certificatesv1.UsageClientAuth, pkix.Name{CommonName: "ci", Organization: []string{"developers"}})
	must(t, err)
	approve(ci)
	var signed []byte
	eventually(t, soon, func(ctx context.Context) error {
		r, err := admin.CertificatesV1().CertificateSigningRequests().Get(ctx, "ci", metav1.GetOptions{})
		if err == nil && len(r.Status.Certificate) == 0 {
			err = errors.New("it is not signed")
		}
		if err == nil {
			signed = r.Status.Certificate
		}
		return err
	})
	block, _ := pem.Decode(signed)
	certificate, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	if left := time.Until(certificate.NotAfter); left > 24*time.Hour {
		t.Errorf("it is good for %s", left)
	}
	der, err := x509.MarshalECPrivateKey(key)
	must(t, err)
	cfg, err := g.hub.Config()
	must(t, err)
	cfg = rest.AnonymousClientConfig(cfg)
	cfg.CertData, cfg.KeyData = signed, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	c, err := newClients("ci", cfg, nil)
	must(t, err)
	if who, err := whoami(ctx, c); err != nil || who.Username != "ci" {
		t.Errorf("%+v, %v", who, err)
	}
}

// renewal has a running hub replace what it serves with, and admin.kubeconfig, which lives a minute here, while requests are made
// all the time by whoever reads its files first.
func (g *guarded) renewal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked, lost int
	done := make(chan error, 1)
	go func() {
		var failures []error
		for ctx.Err() == nil {
			cfg, err := g.hub.Config()
			if err == nil {
				cfg.Dial = nil
				var c *kubernetes.Clientset
				if c, err = kubernetes.NewForConfig(cfg); err == nil {
					_, err = c.CoreV1().Namespaces().List(context.Background(), metav1.ListOptions{})
				}
			}
			asked++
			if err != nil {
				lost++
				failures = append(failures, err)
			}
		}
		done <- errors.Join(failures...)
	}()
	kubeconfig, err := os.ReadFile(g.hub.Kubeconfig())
	must(t, err)
	first := g.served(t)
	for range 2 {
		before := g.served(t)
		must(t, os.Remove(filepath.Join(g.hub.DataDir(), "pki", "apiserver.crt"))) // as if it were due
		eventually(t, soon, func(context.Context) error {
			if g.served(t) == before {
				return errors.New("the hub serves with the old certificate")
			}
			return nil
		})
	}
	eventually(t, soon, func(context.Context) error {
		now, err := os.ReadFile(g.hub.Kubeconfig())
		if err == nil && slices.Equal(now, kubeconfig) {
			err = errors.New("admin.kubeconfig is the old one")
		}
		return err
	})
	cancel()
	err = <-done
	t.Logf("%d requests, %d lost; serving certificate %s, then %s", asked, lost, first, g.served(t))
	if err != nil {
		t.Error(err)
	}
	eventually(t, soon, func(ctx context.Context) error {
		events, err := g.admin(t).CoreV1().Events("hanse-system").List(ctx, metav1.ListOptions{FieldSelector: "reason=CertificateRenewed"})
		if err == nil && len(events.Items) == 0 {
			err = errors.New("there is no event about it")
		}
		return err
	})
}

// served is the serial number of the certificate that the hub shows.
func (g *guarded) served(t *testing.T) string {
	t.Helper()
	cfg, err := g.hub.Config()
	must(t, err)
	c, err := tls.Dial("tcp", strings.TrimPrefix(cfg.Host, "https://"), &tls.Config{InsecureSkipVerify: true}) // which one is shown is all that is asked
	must(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// revoked takes the rights of hanse:admins away, for good, and gives them back by the break-glass file.
func (g *guarded) revoked(t *testing.T) {
	ctx := t.Context()
	file := filepath.Join(t.TempDir(), "break-glass")
	r, err := suite.home.Run(ctx, "admin", "kubeconfig", "--data-dir", g.hub.DataDir(), "--break-glass", "--validity", "1h", "--file", file)
	must(t, err)
	if r.Code != 0 {
		t.Fatal(r)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", file)
	glass, err := newClients("break-glass", cfg, err)
	must(t, err)
	binding, err := glass.RbacV1().ClusterRoleBindings().Get(ctx, "hanse:admins", metav1.GetOptions{})
	must(t, err)
	subjects := binding.Subjects
	binding.Subjects = nil
	binding, err = glass.RbacV1().ClusterRoleBindings().Update(ctx, binding, metav1.UpdateOptions{})
	must(t, err)
	forbidden := func(ctx context.Context) error {
		_, err := g.admin(t).CoreV1().Secrets("kube-system").List(ctx, metav1.ListOptions{})
		if !apierrors.IsForbidden(err) {
			return fmt.Errorf("the administrator may still read Secrets: %w", errors.Join(err))
		}
		return nil
	}
	eventually(t, soon, forbidden)
	_, err = glass.CoreV1().Secrets("kube-system").List(ctx, metav1.ListOptions{})
	must(t, err)
	binding.Subjects = subjects
	_, err = glass.RbacV1().ClusterRoleBindings().Update(ctx, binding, metav1.UpdateOptions{})
	must(t, err)
	eventually(t, soon, func(ctx context.Context) error {
		_, err := g.admin(t).CoreV1().Secrets("kube-system").List(ctx, metav1.ListOptions{})
		return err
	})
}
