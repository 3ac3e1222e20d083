package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// endedError says that the provider does not give tokens for a session any more.
type endedError struct{ issuer, why string }

func (e *endedError) Error() string {
	return fmt.Sprintf("the login at %s has ended: %s. Try: hanse login", e.issuer, e.why)
}

// refresh gets new tokens for a session.
func (s Session) refresh(ctx context.Context, now time.Time) (Session, error) {
	if s.RefreshToken == "" {
		return s, &endedError{s.Client.Issuer, "the provider gave no refresh token"}
	}
	ctx, p, err := discover(ctx, s.Client)
	if err != nil {
		return s, err
	}
	token, err := p.config.TokenSource(ctx, &oauth2.Token{RefreshToken: s.RefreshToken}).Token()
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && ends(refused) {
		return s, &endedError{s.Client.Issuer, strings.TrimSpace(refused.ErrorCode + " " + refused.ErrorDescription)}
	}
	if err != nil {
		return s, fmt.Errorf("the provider %s does not refresh the tokens: %w", s.Client.Issuer, err)
	}
	return p.session(ctx, token, "", now)
}

// ends says whether a refusal is the last word on a refresh token, as RFC 6749 has it.
func ends(r *oauth2.RetrieveError) bool {
	return slices.Contains([]string{"invalid_grant", "invalid_client", "unauthorized_client"}, r.ErrorCode)
}

// Logout has the provider revoke the session's refresh token and removes the session. It is removed even if the provider
// cannot be told, which the error says.
func (s Store) Logout(ctx context.Context, c Client) error {
	unlock, err := s.lock(ctx, c)
	if err != nil {
		return err
	}
	defer unlock()
	session, err := s.Get(c)
	if err != nil {
		return err
	}
	if err := os.Remove(s.file(c)); err != nil {
		return fmt.Errorf("removing the tokens: %w", err)
	}
	if err := session.revoke(ctx); err != nil {
		return fmt.Errorf("the tokens are removed here, but %s still takes them: %w. Try: end the session at the provider", c.Issuer, err)
	}
	return nil
}

// revoke is RFC 7009. A provider without that endpoint has nothing to be told.
func (s Session) revoke(ctx context.Context) error {
	if s.RefreshToken == "" {
		return nil
	}
	ctx, p, err := discover(ctx, s.Client)
	if err != nil || p.revocation == "" {
		return err
	}
	form := url.Values{"token": {s.RefreshToken}, "token_type_hint": {"refresh_token"}, "client_id": {s.Client.ID}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if s.Client.Secret != "" {
		request.SetBasicAuth(url.QueryEscape(s.Client.ID), url.QueryEscape(s.Client.Secret))
	}
	answer, err := httpClient(ctx).Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %s", answer.Status)
	}
	return nil
}

// httpClient is the one that discover put into ctx.
func httpClient(ctx context.Context) *http.Client {
	if c, ok := ctx.Value(oauth2.HTTPClient).(*http.Client); ok {
		return c
	}
	return http.DefaultClient
}
