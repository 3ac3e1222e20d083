package app

import (
	"encoding/json"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/hanse-dev/hanse/internal/controlplane"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/login"
)

// loginRole lets everybody read how to log in.
const loginRole = "hanse:login"

// keysRole lets hubs ask each other for keys.
const keysRole = "hanse:keys"

// people answers questions about the hub itself: how people log in, which is public, how long its certificates last and
// how its database is encrypted, and to other hubs, what its keys are.
type people struct {
	provider *datadir.OIDC
	// hub is set once it has started.
	hub atomic.Pointer[controlplane.ControlPlane]
}

// filter answers them. Who may ask is settled before, but for the keys.
func (p *people) filter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hub := p.hub.Load()
		switch {
		case r.URL.Path == datadir.PathKeys && hub != nil:
			hub.ServeKeys(w, r)
		case r.Method != http.MethodGet:
			next.ServeHTTP(w, r)
		case r.URL.Path == datadir.PathLogin:
			p.serveLogin(w)
		case r.URL.Path == datadir.PathCertificates && hub != nil:
			answer(w, hub.Certificates())
		case r.URL.Path == datadir.PathEncryption && hub != nil:
			report, err := hub.Encryption(r.Context())
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			answer(w, report)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (p *people) serveLogin(w http.ResponseWriter) {
	if p.provider == nil {
		http.Error(w, "this hub does not say how to log in", http.StatusNotFound)
		return
	}
	c := login.Client{Issuer: p.provider.IssuerURL, ID: p.provider.ClientID, Scopes: p.provider.Scopes}
	if p.provider.CAFile != "" {
		ca, err := os.ReadFile(p.provider.CAFile)
		if err != nil {
			http.Error(w, "the provider's CA cannot be read", http.StatusInternalServerError)
			return
		}
		c.CA = ca
	}
	answer(w, c)
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // whoever asked may be gone
}
