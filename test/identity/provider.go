// Package identity is an OpenID Connect provider for tests: a real one, made of a library that others run in production, with
// people, clients and failures as tests want them. It serves on loopback, in the process of the test.
package identity

import (
	"context"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/crypto"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// ClientID is the client of the hub's users, OtherClientID one of somebody else's.
const (
	ClientID      = "hanse"
	OtherClientID = "other"
)

// Password is everybody's.
const Password = "correct horse"

// People are the users, with their groups. Mallory's groups are not a provider's to give.
func People() map[string][]string {
	return map[string][]string{
		"alice":   {"developers", "oncall"},
		"mallory": {"system:masters", "hanse:admins"},
	}
}

// Provider is a running provider.
type Provider struct {
	// CA has signed its certificate, in PEM.
	CA []byte

	server    *httptest.Server
	storage   *storage.Storage
	life      atomic.Int64
	refreshes atomic.Int64
	down      atomic.Bool
	mu        sync.Mutex
	delay     chan struct{}
}

// New starts a provider. The caller closes it.
func New() *Provider {
	p := &Provider{}
	p.life.Store(int64(time.Hour))
	p.storage = storage.NewStorageWithClients(people{}, map[string]*storage.Client{
		ClientID: storage.NativeClient(ClientID, "http://127.0.0.1/callback"), OtherClientID: storage.NativeClient(OtherClientID, "http://127.0.0.1/callback"),
	})
	before := slog.Default()
	p.server = httptest.NewUnstartedServer(nil)
	issuer := "https://" + p.server.Listener.Addr().String()
	quiet := slog.New(slog.DiscardHandler)
	router := exampleop.SetupServer(issuer, &store{Storage: p.storage, provider: p}, quiet, false, op.WithLogger(quiet))
	slog.SetDefault(before) // which it has replaced
	p.server.Config.Handler = p.watch(router)
	p.server.StartTLS()
	p.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	return p
}

// Close ends it.
func (p *Provider) Close() { p.server.Close() }

// Issuer is its URL.
func (p *Provider) Issuer() string { return p.server.URL }

// SetLife says how long ID tokens live that are given from now on.
func (p *Provider) SetLife(d time.Duration) { p.life.Store(int64(d)) }

// SetDown has it answer everything with 503.
func (p *Provider) SetDown(down bool) { p.down.Store(down) }

// Refreshes is how many refreshes it was asked for.
func (p *Provider) Refreshes() int { return int(p.refreshes.Load()) }

// Hold has refreshes wait for release.
func (p *Provider) Hold() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(chan struct{})
	p.delay = held
	return sync.OnceFunc(func() { close(held) })
}

// EndSessions revokes all tokens of a user, as an administrator of the provider does.
func (p *Provider) EndSessions(ctx context.Context, user, client string, refreshToken string) error {
	if err := p.storage.RevokeToken(ctx, refreshToken, user, client); err != nil {
		return err
	}
	return nil
}

// watch counts refreshes, and fails on demand.
func (p *Provider) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path == "/oauth/token" && r.FormValue("grant_type") == string(oidc.GrantTypeRefreshToken) {
			p.refreshes.Add(1)
			p.mu.Lock()
			held := p.delay
			p.mu.Unlock()
			if held != nil {
				<-held
			}
		}
		next.ServeHTTP(w, r)
	})
}

// store is the library's, with the clients and claims that a hub needs.
type store struct {
	*storage.Storage
	provider *Provider
}

func (s *store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return client{c, s.provider}, nil
}

// SetUserinfoFromRequest puts the user's groups into ID tokens.
func (s *store) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if err := s.Storage.SetUserinfoFromRequest(ctx, info, token, scopes); err != nil {
		return err
	}
	info.AppendClaims("groups", People()[token.GetSubject()])
	return nil
}

// client may use codes for devices and refresh tokens, and has claims in its ID tokens.
type client struct {
	op.Client
	provider *Provider
}

func (c client) IDTokenLifetime() time.Duration       { return time.Duration(c.provider.life.Load()) }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c client) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken, oidc.GrantTypeDeviceCode}
}

// people is who can log in.
type people struct{}

func (people) GetUserByID(id string) *storage.User {
	if _, ok := People()[id]; !ok {
		return nil
	}
	return &storage.User{ID: id, Username: id, Password: Password, Email: id + "@example.com", EmailVerified: true}
}

func (p people) GetUserByUsername(name string) *storage.User { return p.GetUserByID(name) }
func (people) ExampleClientID() string                       { return "service" }

// Sign makes an ID token with the claims, which none of its own logins may have had.
func (p *Provider) Sign(ctx context.Context, claims map[string]any) (string, error) {
	key, err := p.storage.SigningKey(ctx)
	if err != nil {
		return "", err
	}
	signer, err := op.SignerFromKey(key)
	if err != nil {
		return "", err
	}
	return crypto.Sign(claims, signer)
}
