package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// Person is somebody with a browser.
type Person struct {
	Name string
	// CA is what the browser trusts.
	CA []byte
}

// Browse opens a URL that a command showed, logs in, and agrees. It returns when the last page was shown.
func (p Person) Browse(ctx context.Context, at string) error {
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	browser, err := p.browser()
	if err != nil {
		return err
	}
	if strings.HasPrefix(u.Path, "/device") {
		return p.enterCode(ctx, browser, u)
	}
	page, err := get(ctx, browser, at)
	if err != nil {
		return err
	}
	id := page.Query().Get("authRequestID")
	if id == "" {
		return fmt.Errorf("%s is not a page to log in at", page)
	}
	form := url.Values{"id": {id}, "username": {p.Name}, "password": {Password}}
	_, err = post(ctx, browser, page.ResolveReference(&url.URL{Path: "/login/username"}), form)
	return err
}

func (p Person) enterCode(ctx context.Context, browser *http.Client, at *url.URL) error {
	form := url.Values{"user_code": {at.Query().Get("user_code")}, "username": {p.Name}, "password": {Password}}
	if _, err := post(ctx, browser, at.ResolveReference(&url.URL{Path: "/device/login"}), form); err != nil {
		return err
	}
	_, err := get(ctx, browser, at.ResolveReference(&url.URL{Path: "/device/confirm", RawQuery: "action=allowed"}).String())
	return err
}

func (p Person) browser() (*http.Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(p.CA) {
		return nil, errors.New("the person trusts nobody")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &http.Client{Jar: jar, Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}, nil
}

func get(ctx context.Context, browser *http.Client, at string) (*url.URL, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	return do(browser, r)
}

func post(ctx context.Context, browser *http.Client, at *url.URL, form url.Values) (*url.URL, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(browser, r)
}

// do is where the browser is in the end.
func do(browser *http.Client, r *http.Request) (*url.URL, error) {
	answer, err := browser.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s shows %s: %s", answer.Request.URL, answer.Status, body)
	}
	return answer.Request.URL, nil
}
