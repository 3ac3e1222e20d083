package login

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/test/identity"
)

// world is a provider and somebody's machine.
type world struct {
	*testing.T
	provider *identity.Provider
	clock    *clocktesting.FakePassiveClock
	store    Store
	client   Client
}

func newWorld(t *testing.T) *world {
	p := identity.New()
	t.Cleanup(p.Close)
	w := &world{T: t, provider: p, clock: clocktesting.NewFakePassiveClock(time.Now())}
	w.store = Store{Dir: filepath.Join(t.TempDir(), "tokens"), Clock: w.clock}
	w.client = Client{Issuer: p.Issuer(), ID: identity.ClientID, Scopes: []string{"email"}, CA: p.CA}
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) person(name string) identity.Person {
	return identity.Person{Name: name, CA: w.provider.CA}
}

// login is alice's, by her browser.
func (w *world) login() Session {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	s, err := w.store.Login(ctx, w.client, Options{Way: Browser, Listen: "127.0.0.1:0", Open: w.person("alice").Browse, Tell: io.Discard})
	w.must(err)
	return s
}

func (w *world) pass(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

func (w *world) token() (Session, error) {
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	return w.store.Token(ctx, w.client)
}

func TestBrowser(t *testing.T) {
	w := newWorld(t)
	s := w.login()
	if s.RefreshToken == "" || s.IDToken == "" {
		t.Errorf("%+v", s)
	}
	if left := s.Expires.Sub(w.clock.Now()); left < 50*time.Minute || left > time.Hour {
		t.Errorf("it expires in %s", left)
	}
	for path, mode := range map[string]os.FileMode{w.store.Dir: 0o700, w.store.file(w.client): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	got, err := w.token()
	if err != nil || got.IDToken != s.IDToken || w.provider.Refreshes() != 0 {
		t.Errorf("%v after %d refreshes", err, w.provider.Refreshes())
	}
}

// TestAnswerToAnotherLogin has somebody slip in the ID token of a login that is not this one.
func TestAnswerToAnotherLogin(t *testing.T) {
	w := newWorld(t)
	s := w.login()
	ctx, p, err := discover(t.Context(), w.client)
	w.must(err)
	answer := (&oauth2.Token{}).WithExtra(map[string]any{"id_token": s.IDToken})
	if _, err := p.session(ctx, answer, "another", w.clock.Now()); err == nil || !strings.Contains(err.Error(), "another login") {
		t.Error(err)
	}
	if _, err := p.session(ctx, &oauth2.Token{}, "", w.clock.Now()); err == nil || !strings.Contains(err.Error(), "no ID token") {
		t.Error(err)
	}
	p.client.ID = identity.OtherClientID
	if _, err := p.session(ctx, answer, "", w.clock.Now()); err == nil || !strings.Contains(err.Error(), "cannot be trusted") {
		t.Errorf("a token for another client: %v", err)
	}
}

// TestDevice has the person read the code off the terminal.
func TestDevice(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	terminal, out := io.Pipe()
	entered := make(chan error, 1)
	go func() {
		line := make([]byte, 1000)
		n, err := terminal.Read(line)
		if err == nil {
			err = w.person("alice").Browse(ctx, regexp.MustCompile(`https://\S+`).FindString(string(line[:n])))
		}
		entered <- err
	}()
	s, err := w.store.Login(ctx, w.client, Options{Way: Device, Tell: out})
	w.must(errors.Join(err, <-entered))
	if s.RefreshToken == "" {
		t.Error("a device gets no refresh token")
	}
}

func TestRefresh(t *testing.T) {
	w := newWorld(t)
	first := w.login()
	w.pass(59*time.Minute + time.Second) // less than the leeway is left
	second, err := w.token()
	w.must(err)
	if second.IDToken == first.IDToken || second.RefreshToken == first.RefreshToken || w.provider.Refreshes() != 1 {
		t.Errorf("not refreshed: %d", w.provider.Refreshes())
	}
	if again, err := w.token(); err != nil || again.IDToken != second.IDToken || w.provider.Refreshes() != 1 {
		t.Errorf("refreshed again: %v", err)
	}
}

// TestManyRefreshesAtOnce has twenty commands find the tokens out of date. The provider takes a refresh token once.
func TestManyRefreshesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.login()
	w.pass(2 * time.Hour)
	release := w.provider.Hold()
	var wg sync.WaitGroup
	tokens, errs := make([]string, 20), make([]error, 20)
	for i := range tokens {
		wg.Go(func() {
			s, err := w.token()
			tokens[i], errs[i] = s.IDToken, err
		})
	}
	for w.provider.Refreshes() == 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("nobody refreshes")
		case <-time.After(time.Millisecond):
		}
	}
	release()
	wg.Wait()
	w.must(errors.Join(errs...))
	for _, token := range tokens {
		if token != tokens[0] {
			t.Error("they got different tokens")
		}
	}
	if n := w.provider.Refreshes(); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
}

func TestRevoked(t *testing.T) {
	w := newWorld(t)
	s := w.login()
	w.must(w.provider.EndSessions(t.Context(), "alice", identity.ClientID, s.RefreshToken))
	if _, err := w.token(); err != nil {
		t.Errorf("the ID token is good until it expires: %v", err)
	}
	w.pass(2 * time.Hour)
	_, err := w.token()
	if err == nil || !strings.Contains(err.Error(), "has ended") || !strings.Contains(err.Error(), "Try: hanse login") {
		t.Fatal(err)
	}
	if _, err := os.Stat(w.store.file(w.client)); err == nil {
		t.Error("what is of no use was kept")
	}
	w.login()
	_, err = w.token()
	w.must(err)
}

func TestProviderIsDown(t *testing.T) {
	w := newWorld(t)
	s := w.login()
	w.provider.SetDown(true)
	w.pass(59*time.Minute + 30*time.Second)
	if got, err := w.token(); err != nil || got.IDToken != s.IDToken {
		t.Errorf("what is still good was not used: %v", err)
	}
	w.pass(time.Hour)
	if _, err := w.token(); err == nil || !strings.Contains(err.Error(), "cannot be asked") {
		t.Error(err)
	}
	w.provider.SetDown(false)
	if _, err := w.token(); err != nil {
		t.Errorf("it was up again, and the login gone: %v", err)
	}
}

// TestClockOfThisMachine has it be wrong: what was just given is not refreshed, and what has ended is.
func TestClockOfThisMachine(t *testing.T) {
	for _, skew := range []time.Duration{-48 * time.Hour, -30 * time.Minute, -time.Minute, time.Minute, 30 * time.Minute, 48 * time.Hour} {
		t.Run(fmt.Sprint(skew), func(t *testing.T) {
			w := newWorld(t)
			w.pass(skew)
			w.login()
			w.pass(10 * time.Minute)
			if _, err := w.token(); err != nil || w.provider.Refreshes() != 0 {
				t.Errorf("after ten minutes: %d refreshes, %v", w.provider.Refreshes(), err)
			}
			w.pass(50 * time.Minute)
			if _, err := w.token(); err != nil || w.provider.Refreshes() != 1 {
				t.Errorf("after an hour: %d refreshes, %v", w.provider.Refreshes(), err)
			}
		})
	}
}

func TestLogout(t *testing.T) {
	w := newWorld(t)
	s := w.login()
	w.must(w.store.Logout(t.Context(), w.client))
	if _, err := w.token(); err == nil || !strings.Contains(err.Error(), "not logged in") {
		t.Error(err)
	}
	if err := w.store.Logout(t.Context(), w.client); err == nil {
		t.Error("logged out twice")
	}
	// Whoever has a copy of the tokens gets no new ones.
	w.must(w.store.put(s))
	w.pass(2 * time.Hour)
	if _, err := w.token(); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("the provider was not told: %v", err)
	}
	w.login()
	w.provider.SetDown(true)
	if err := w.store.Logout(t.Context(), w.client); err == nil || !strings.Contains(err.Error(), "still takes them") {
		t.Error(err)
	}
	if _, err := w.store.Get(w.client); err == nil {
		t.Error("the tokens are still here")
	}
}

// TestStrangersAtTheLanding come to where the browser is to come back to.
func TestStrangersAtTheLanding(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var said bytes.Buffer
	open := func(ctx context.Context, at string) error {
		u, err := http.NewRequest(http.MethodGet, at, nil)
		if err != nil {
			return err
		}
		back := u.URL.Query().Get("redirect_uri")
		for _, query := range []string{"", "?code=stolen", "?code=stolen&state=guessed", "?error=access_denied"} {
			answer, err := http.Get(back + query)
			if err != nil {
				return err
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusBadRequest {
				t.Errorf("%q was answered with %s", query, answer.Status)
			}
		}
		if q := u.URL.Query(); q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "" {
			t.Errorf("no PKCE, or no nonce: %v", q)
		}
		return w.person("alice").Browse(ctx, at)
	}
	_, err := w.store.Login(ctx, w.client, Options{Way: Browser, Listen: "127.0.0.1:0", Open: open, Tell: &said})
	w.must(err)
	if !strings.Contains(said.String(), w.provider.Issuer()) {
		t.Errorf("the person was told %q", said.String())
	}
}

func TestBadLogins(t *testing.T) {
	w := newWorld(t)
	nobody := func(context.Context, string) error { return nil }
	for _, test := range []struct {
		name, part string
		spoil      func(*Client, *Options)
	}{
		{"nobody logs in", "nobody logged in", func(_ *Client, o *Options) { o.Open = nobody }},
		{"everybody could listen", "others could take", func(_ *Client, o *Options) { o.Listen = "0.0.0.0:0" }},
		{"no address", "cannot come back", func(_ *Client, o *Options) { o.Listen = "nowhere" }},
		{"another CA", "cannot be asked", func(c *Client, _ *Options) { c.CA = nil }},
		{"no CA", "holds no certificate", func(c *Client, _ *Options) { c.CA = []byte("x") }},
		{"another issuer", "cannot be asked", func(c *Client, _ *Options) { c.Issuer += "/elsewhere" }},
		{"an unknown client", "gives no code", func(c *Client, o *Options) { c.ID, o.Way = "unknown", Device }},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			c, o := w.client, Options{Way: Browser, Listen: "127.0.0.1:0", Open: w.person("alice").Browse, Tell: io.Discard}
			test.spoil(&c, &o)
			if _, err := w.store.Login(ctx, c, o); err == nil || !strings.Contains(err.Error(), test.part) {
				t.Errorf("%v does not say %q", err, test.part)
			}
		})
	}
}

func TestBrokenFile(t *testing.T) {
	w := newWorld(t)
	w.login()
	w.must(os.WriteFile(w.store.file(w.client), []byte("{"), 0o600))
	if _, err := w.token(); err == nil || !strings.Contains(err.Error(), "Try: hanse login") {
		t.Error(err)
	}
	w.login()
	if _, err := w.token(); err != nil {
		t.Error(err)
	}
}

// TestLockIsHeld by a command that hangs.
func TestLockIsHeld(t *testing.T) {
	w := newWorld(t)
	w.login()
	w.pass(2 * time.Hour)
	unlock, err := w.store.lock(t.Context(), w.client)
	w.must(err)
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 3*lockPoll)
	defer cancel()
	if _, err := w.store.Token(ctx, w.client); err == nil || !strings.Contains(err.Error(), "another command") {
		t.Error(err)
	}
}
