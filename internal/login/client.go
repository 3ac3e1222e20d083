package login

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// requestTimeout bounds one request to a provider.
const requestTimeout = 15 * time.Second

// Client is what the provider knows this program as.
type Client struct {
	Issuer string `json:"issuer"`
	ID     string `json:"clientID"`
	// Secret is what some providers give to programs that cannot keep one.
	Secret string `json:"clientSecret,omitempty"`
	// Scopes are asked for besides openid and offline_access.
	Scopes []string `json:"scopes,omitempty"`
	// CA has signed the provider's certificate, in PEM; empty: one that the system trusts.
	CA []byte `json:"certificateAuthority,omitempty"`
}

// key names the client's session: one for each provider and client.
func (c Client) key() string {
	sum := sha256.Sum256([]byte(c.Issuer + "\x00" + c.ID))
	return hex.EncodeToString(sum[:16])
}

// provider is an identity provider as its discovery document describes it.
type provider struct {
	*oidc.Provider
	client     Client
	config     oauth2.Config
	revocation string
}

// discover reads the provider's discovery document. Further requests belong into the context that it returns, which trusts
// the client's CA.
func discover(ctx context.Context, c Client) (context.Context, *provider, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if len(c.CA) > 0 {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(c.CA) {
			return ctx, nil, errors.New("the provider's CA holds no certificate. Try: --oidc-ca-file FILE, in PEM")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	ctx = oidc.ClientContext(ctx, &http.Client{Transport: transport, Timeout: requestTimeout})
	found, err := oidc.NewProvider(ctx, c.Issuer)
	if err != nil {
		return ctx, nil, fmt.Errorf("the provider %s cannot be asked: %w. Try: open %s/.well-known/openid-configuration", c.Issuer, err, c.Issuer)
	}
	var more struct {
		Revocation string   `json:"revocation_endpoint"`
		Scopes     []string `json:"scopes_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return ctx, nil, fmt.Errorf("the discovery document of %s cannot be read: %w", c.Issuer, err)
	}
	scopes := append([]string{oidc.ScopeOpenID}, c.Scopes...)
	// Without it there may be no refresh token; a provider that does not know it may refuse it.
	if len(more.Scopes) == 0 || slices.Contains(more.Scopes, oidc.ScopeOfflineAccess) {
		scopes = append(scopes, oidc.ScopeOfflineAccess)
	}
	slices.Sort(scopes)
	return ctx, &provider{
		Provider: found, client: c, revocation: more.Revocation,
		config: oauth2.Config{ClientID: c.ID, ClientSecret: c.Secret, Endpoint: found.Endpoint(), Scopes: slices.Compact(scopes)},
	}, nil
}

// session checks what the provider answered and makes a session of it. nonce is empty where none was sent. When the ID token
// expires is judged by how long it lives: the clock of this machine may be wrong.
func (p *provider) session(ctx context.Context, t *oauth2.Token, nonce string, now time.Time) (Session, error) {
	raw, ok := t.Extra("id_token").(string)
	if !ok {
		return Session{}, fmt.Errorf("the provider %s gave no ID token. Try: allow the client %s the scope openid", p.client.Issuer, p.client.ID)
	}
	verifier := p.VerifierContext(ctx, &oidc.Config{ClientID: p.client.ID, SkipExpiryCheck: true})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return Session{}, fmt.Errorf("the ID token of %s cannot be trusted: %w", p.client.Issuer, err)
	}
	if token.Nonce != nonce && nonce != "" {
		return Session{}, fmt.Errorf("the ID token of %s is the answer to another login. Try: again", p.client.Issuer)
	}
	if !token.Expiry.After(token.IssuedAt) {
		return Session{}, fmt.Errorf("the ID token of %s expires before it was issued", p.client.Issuer)
	}
	s := Session{Client: p.client, IDToken: raw, RefreshToken: t.RefreshToken, Expires: expiry(token.IssuedAt, token.Expiry, now), Renews: now}
	s.Renews = s.Expires.Add(-leeway(s.Expires.Sub(now)))
	return s, nil
}

// expiry of a token by the clock of this machine, which may be ahead of or behind the provider's.
func expiry(issued, expires, now time.Time) time.Time {
	byLife := now.Add(expires.Sub(issued))
	if expires.After(now) && expires.Before(byLife) {
		return expires
	}
	return byLife
}

// leeway is how long before its end a token is replaced, so that it is still good when the hub looks at it.
func leeway(life time.Duration) time.Duration { return min(time.Minute, life/10) }
