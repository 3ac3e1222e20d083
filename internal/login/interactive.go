package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Ways to log in.
const (
	Browser = "browser"
	Device  = "device"
)

// Options say how a person logs in.
type Options struct {
	// Way is Browser or Device.
	Way string
	// Listen is HOST:PORT on loopback, where the browser comes back to; port 0 is any.
	Listen string
	// Open shows a URL to the person; its error is not the login's, since the URL is printed, too.
	Open func(ctx context.Context, url string) error
	// Tell receives what the person is to do.
	Tell io.Writer
}

// Login has a person log in, and keeps the session. It blocks until that is done or ctx ends.
func (s Store) Login(ctx context.Context, c Client, o Options) (Session, error) {
	with, p, err := discover(ctx, c)
	if err != nil {
		return Session{}, err
	}
	way := p.byBrowser
	if o.Way == Device {
		way = p.byDevice
	}
	token, nonce, err := way(with, o)
	if err != nil {
		return Session{}, err
	}
	session, err := p.session(with, token, nonce, s.Clock.Now())
	if err != nil {
		return Session{}, err
	}
	unlock, err := s.lock(ctx, c)
	if err != nil {
		return Session{}, err
	}
	defer unlock()
	return session, s.put(session)
}

// byDevice shows a code that the person enters in a browser anywhere (RFC 8628).
func (p *provider) byDevice(ctx context.Context, o Options) (*oauth2.Token, string, error) {
	if p.config.Endpoint.DeviceAuthURL == "" {
		return nil, "", fmt.Errorf("the provider %s knows no codes for devices. Try: --method browser", p.client.Issuer)
	}
	code, err := p.config.DeviceAuth(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("the provider %s gives no code: %w. Try: allow the client %s the device authorization grant, or --method browser", p.client.Issuer, err, p.client.ID)
	}
	if code.VerificationURIComplete != "" {
		fmt.Fprintf(o.Tell, "Open %s in a browser and confirm the code %s.\n", code.VerificationURIComplete, code.UserCode)
	} else {
		fmt.Fprintf(o.Tell, "Open %s in a browser and enter the code %s.\n", code.VerificationURI, code.UserCode)
	}
	token, err := p.config.DeviceAccessToken(ctx, code)
	if err != nil {
		return nil, "", fmt.Errorf("the login was not completed: %w. Try: again", err)
	}
	return token, "", nil
}

// arrival is what the browser came back with.
type arrival struct {
	code string
	err  error
}

// byBrowser sends the person's browser to the provider and waits for it to come back, with PKCE (RFC 8252).
func (p *provider) byBrowser(ctx context.Context, o Options) (*oauth2.Token, string, error) {
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, "", fmt.Errorf("the browser cannot come back to %s: %w. Try: --listen 127.0.0.1:0", o.Listen, err)
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		return nil, "", errors.Join(fmt.Errorf("others could take the login from %s. Try: --listen 127.0.0.1:0", o.Listen), listener.Close())
	}
	p.config.RedirectURL = "http://" + listener.Addr().String() + "/callback"
	// Each of them is 32 random bytes.
	state, nonce, verifier := oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	arrived := make(chan arrival, 1)
	server := &http.Server{Handler: landing(state, arrived), ReadHeaderTimeout: requestTimeout}
	go func() { _ = server.Serve(listener) }() // it ends by the Shutdown below
	defer shutDown(ctx, server)

	at := p.config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier))
	fmt.Fprintf(o.Tell, "Log in with a browser at %s\n", at)
	if err := o.Open(ctx, at); err != nil {
		fmt.Fprintf(o.Tell, "No browser could be opened (%v): open that address yourself, on this machine.\n", err)
	}
	select {
	case <-ctx.Done():
		return nil, "", errors.New("nobody logged in. Try: again, or --method device")
	case back := <-arrived:
		if back.err != nil {
			return nil, "", fmt.Errorf("the provider %s did not let you in: %w", p.client.Issuer, back.err)
		}
		token, err := p.config.Exchange(ctx, back.code, oauth2.VerifierOption(verifier))
		if err != nil {
			return nil, "", fmt.Errorf("the provider %s gives no tokens: %w. Try: again", p.client.Issuer, err)
		}
		return token, nonce, nil
	}
}

// landing is where the browser comes back to. Who does not know the state is turned away, and the wait goes on.
func landing(state string, arrived chan<- arrival) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
			http.Error(w, "This is not the login that is waited for.", http.StatusBadRequest)
			return
		}
		back := arrival{code: q.Get("code")}
		if back.code == "" {
			back.err = fmt.Errorf("%s %s", q.Get("error"), q.Get("error_description"))
		}
		fmt.Fprintln(w, "You may close this window and go back to the terminal.")
		select {
		case arrived <- back:
		default: // it has come back before
		}
	})
	return mux
}

// shutDown lets the last answer get out.
func shutDown(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = server.Shutdown(ctx)
	_ = server.Close()
}
