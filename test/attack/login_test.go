package attack

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/login"
	"github.com/hanse-dev/hanse/test/federation"
	"github.com/hanse-dev/hanse/test/identity"
)

// TestTokensThatAreNotForTheHub are of the hub's own provider, or look like it, and give what a provider has no right to give.
// Mallory administers groups there.
func TestTokensThatAreNotForTheHub(t *testing.T) {
	provider := identity.New()
	t.Cleanup(provider.Close)
	hub := hubWith(t, provider)
	now := time.Now()
	claims := func(change map[string]any) string {
		all := map[string]any{"iss": provider.Issuer(), "aud": identity.ClientID, "sub": "alice", "email": "alice@example.com",
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
		for k, v := range change {
			all[k] = v
		}
		token, err := provider.Sign(t.Context(), all)
		must(t, err)
		return token
	}
	good := claims(nil)
	eventually(t, func(ctx context.Context) error { return lets(ctx, hub, good) }) // the hub asks the provider for its keys first
	for name, test := range map[string]struct {
		token string
		good  bool
	}{
		"alice's":                     {loggedIn(t, provider, "alice", identity.ClientID), true},
		"issued in half a minute":     {claims(map[string]any{"iat": now.Add(30 * time.Second).Unix(), "nbf": now.Add(30 * time.Second).Unix()}), true},
		"for another client":          {loggedIn(t, provider, "alice", identity.OtherClientID), false},
		"with groups of rights":       {loggedIn(t, provider, "mallory", identity.ClientID), false},
		"with the name of the hub":    {claims(map[string]any{"email": "system:hanse"}), false},
		"with the hub's own group":    {claims(map[string]any{"groups": []string{"hanse:admins"}}), false},
		"with an email not confirmed": {claims(map[string]any{"email_verified": false}), false},
		"expired a minute ago":        {claims(map[string]any{"exp": now.Add(-time.Minute).Unix()}), false},
		"good in an hour":             {claims(map[string]any{"nbf": now.Add(time.Hour).Unix()}), false},
		"of another provider":         {claims(map[string]any{"iss": "https://elsewhere.example.com"}), false},
		"without a signature":         {"eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".", false},
		"changed":                     {good[:60] + "AAAA" + good[64:], false},
	} {
		err := lets(t.Context(), hub, test.token)
		if test.good && err != nil || !test.good && !apierrors.IsUnauthorized(err) {
			t.Errorf("a token %s: %v", name, err)
		}
	}
}

// hubWith starts a hub at which the provider's people log in.
func hubWith(t *testing.T, provider *identity.Provider) *rest.Config {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(ca, provider.CA, 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var hub *federation.Hub
	hub, err := suite.home.NewHub(ctx, "login", "--oidc-issuer-url", provider.Issuer(), "--oidc-client-id", identity.ClientID, "--oidc-ca-file", ca,
		"--oidc-username-claim", "email", "--oidc-groups-claim", "groups")
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = hub.Stop(ctx) // its guard ends it otherwise
	})
	cfg, err := hub.Config()
	must(t, err)
	return cfg
}

// loggedIn is the ID token of somebody who has logged in.
func loggedIn(t *testing.T, provider *identity.Provider, name, client string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := login.Client{Issuer: provider.Issuer(), ID: client, Scopes: []string{"email"}, CA: provider.CA}
	browser := identity.Person{Name: name, CA: provider.CA}
	s, err := login.Store{Dir: t.TempDir(), Clock: clock.RealClock{}}.Login(ctx, c,
		login.Options{Way: login.Browser, Listen: "127.0.0.1:0", Open: browser.Browse, Tell: io.Discard})
	must(t, err)
	return s.IDToken
}

// lets says whether a hub lets the bearer of a token in.
func lets(ctx context.Context, hub *rest.Config, token string) error {
	cfg := rest.AnonymousClientConfig(hub)
	cfg.BearerToken = token
	p, err := newPerson("somebody", cfg)
	if err != nil {
		return err
	}
	_, err = p.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	return err
}

// TestNobodyMakesThemselvesAnAdministrator tries the ways that lead into hanse:admins: its binding, impersonation, a certificate.
func TestNobodyMakesThemselvesAnAdministrator(t *testing.T) {
	t.Parallel()
	f, ctx := suite, t.Context()
	binder := f.person(t, "binder", everywhere(may("get,list,create,update,patch,delete", "clusterrolebindings.rbac.authorization.k8s.io")))
	binding, err := binder.RbacV1().ClusterRoleBindings().Get(ctx, "hanse:admins", metav1.GetOptions{})
	must(t, err)
	binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: binder.name})
	_, err = binder.RbacV1().ClusterRoleBindings().Update(ctx, binding, metav1.UpdateOptions{})
	refused(t, err, "attempting to grant RBAC permissions not currently held")

	pretender := f.person(t, "pretender", everywhere(may("impersonate", "users")))
	if pretender.can(ctx, "", may("impersonate", "groups", "hanse:admins")) == nil {
		t.Error("who may be another user may be an administrator")
	}

	asker := f.person(t, "asker", everywhere(may("create,get", "certificatesigningrequests.certificates.k8s.io"), may("update", "certificatesigningrequests/approval.certificates.k8s.io")))
	_, err = asker.CertificatesV1().CertificateSigningRequests().Create(ctx, request(t, "masters", "system:masters", certificatesv1.KubeAPIServerClientSignerName, certificatesv1.UsageClientAuth), metav1.CreateOptions{})
	refused(t, err, "system:masters")
	mine, err := asker.CertificatesV1().CertificateSigningRequests().Create(ctx, request(t, "mine", "hanse:admins", certificatesv1.KubeAPIServerClientSignerName, certificatesv1.UsageClientAuth), metav1.CreateOptions{})
	must(t, err)
	_, err = asker.CertificatesV1().CertificateSigningRequests().UpdateApproval(ctx, mine.Name, approved(mine), metav1.UpdateOptions{})
	refused(t, err, "not permitted to approve requests with signerName")
}

// TestNobodyGetsACertificateToServeWith has even an administrator's approval come to nothing.
func TestNobodyGetsACertificateToServeWith(t *testing.T) {
	t.Parallel()
	f, ctx := suite, t.Context()
	requests := f.admin.CertificatesV1().CertificateSigningRequests()
	for _, r := range []*certificatesv1.CertificateSigningRequest{
		request(t, "serving", "system:nodes", certificatesv1.KubeletServingSignerName, certificatesv1.UsageServerAuth),
		request(t, "client", "people", certificatesv1.KubeAPIServerClientSignerName, certificatesv1.UsageClientAuth),
	} {
		made, err := requests.Create(ctx, r, metav1.CreateOptions{})
		must(t, err)
		_, err = requests.UpdateApproval(ctx, made.Name, approved(made), metav1.UpdateOptions{})
		must(t, err)
	}
	eventually(t, func(ctx context.Context) error { // the signer works
		r, err := requests.Get(ctx, "client", metav1.GetOptions{})
		if err == nil && len(r.Status.Certificate) == 0 {
			err = errors.New("it is not signed")
		}
		return err
	})
	if r, err := requests.Get(ctx, "serving", metav1.GetOptions{}); err != nil || len(r.Status.Certificate) > 0 {
		t.Errorf("the hub signed what another hub could serve with: %v", err)
	}
}

// request is one for a certificate of a user in a group.
func request(t *testing.T, name, group, signer string, usage certificatesv1.KeyUsage) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	asked := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:" + name, Organization: []string{group}}, DNSNames: []string{"hub"}}
	if usage == certificatesv1.UsageClientAuth {
		asked.DNSNames = nil
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, asked, key)
	must(t, err)
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: signer, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, usage},
		},
	}
}

func approved(r *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequest {
	r = r.DeepCopy()
	r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Known"})
	return r
}
