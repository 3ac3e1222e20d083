package hubs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/pki"
)

const (
	// bringTimeout bounds a request to another hub.
	bringTimeout = 15 * time.Second
	// longestAnswer bounds its answer.
	longestAnswer = 1 << 20
)

// Ask is the body of a POST to datadir.PathKeys.
type Ask struct {
	// Token is of hanse admin join-token; empty: the client is of system:masters.
	Token string `json:"token,omitempty"`
}

// Public is the answer to a GET of datadir.PathKeys: what a client trusts.
type Public struct {
	Authority []byte `json:"ca"`
}

// Invited says where a hub gets the keys of the database that it is to serve.
type Invited struct {
	// Server is the URL of a hub that has them, Token one of hanse admin join-token, and Authority the hash of the CA by which the hub
	// is known.
	Server, Token, Authority string
	// Kubeconfig stands for all of these: of a user in system:masters.
	Kubeconfig string
}

// Given says whether there is any of it.
func (i Invited) Given() bool { return i != Invited{} }

// Validate says what is missing or cannot be.
func (i Invited) Validate() error {
	u, err := url.Parse(i.Server)
	switch {
	case !i.Given():
		return nil
	case i.Kubeconfig != "" && (i.Server != "" || i.Token != "" || i.Authority != ""):
		return errors.New("--join-kubeconfig says where the hub is and how to be let in. Try: without --join, --token and --ca-cert-hash")
	case i.Kubeconfig != "":
		return nil
	case i.Server == "":
		return errors.New("--token and --ca-cert-hash need the hub that has the keys. Try: --join https://HOST:6443")
	case err != nil || u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("--join=%s is not the URL of a hub. Try: https://HOST:6443", i.Server)
	case i.Token == "":
		return errors.New("--join needs a token. Try: --token, from hanse admin join-token --data-dir DIR on the machine of that hub")
	case len(i.Authority) != len("sha256:")+64 || !strings.HasPrefix(i.Authority, "sha256:"):
		return errors.New("--join needs the hash of that hub's CA, or anybody could answer. Try: --ca-cert-hash sha256:…, as hanse admin join-token prints it")
	}
	return nil
}

// Bring gets the keys from the hub that i names. It blocks until that answers.
func (i Invited) Bring(ctx context.Context) (datadir.Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, bringTimeout)
	defer cancel()
	if i.Kubeconfig != "" {
		config, err := clientcmd.BuildConfigFromFlags("", i.Kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("--join-kubeconfig: %w. Try: a file of hanse admin kubeconfig --break-glass", err)
		}
		keys, err := bring(ctx, config, Ask{})
		if err != nil {
			return nil, fmt.Errorf("getting the keys from the hub at %s: %w. Try: a kubeconfig of hanse admin kubeconfig --break-glass", config.Host, err)
		}
		return keys, nil
	}
	ca, err := i.authority(ctx)
	if err != nil {
		return nil, fmt.Errorf("joining the hub at %s: %w", i.Server, err)
	}
	keys, err := bring(ctx, &rest.Config{Host: i.Server, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}, Ask{Token: i.Token})
	if err != nil {
		return nil, fmt.Errorf("getting the keys from the hub at %s: %w. Try: again, with a new token of hanse admin join-token", i.Server, err)
	}
	return keys, nil
}

// authority gets the certificates that the hub says it is known by, from whoever answers, and returns the one with the hash that
// was given. No secret is sent before the hub has shown that it has a certificate of that one.
func (i Invited) authority(ctx context.Context) ([]byte, error) {
	var public Public
	anybody := &rest.Config{Host: i.Server, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	if err := do(ctx, anybody, http.MethodGet, nil, &public); err != nil {
		return nil, fmt.Errorf("%w. Try: correct --join; a hub with an --authentication-config has to let anonymous requests for %s in, or use --join-kubeconfig", err, datadir.PathKeys)
	}
	certs, err := pki.ParseCertificates(public.Authority)
	if err != nil {
		return nil, fmt.Errorf("its CA cannot be read: %w. Try: the URL of a hub", err)
	}
	for _, c := range certs {
		if pki.Hash(c) == i.Authority {
			return pki.EncodeCertificates(c), nil
		}
	}
	return nil, errors.New("it is not known by the CA of --ca-cert-hash: it is another hub, or somebody between. Try: what hanse admin join-token prints there now")
}

// FromPeer gets the keys from a hub that runs, by the client certificate in this hub's own data directory.
func FromPeer(ctx context.Context, dir *datadir.Dir, h Hub) (datadir.Keys, error) {
	var failures error
	for _, address := range h.Addresses {
		config := &rest.Config{Host: address, TLSClientConfig: dir.ClientTLS()}
		keys, err := func() (datadir.Keys, error) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			return bring(ctx, config, Ask{})
		}()
		if err == nil {
			return keys, nil
		}
		failures = errors.Join(failures, err)
	}
	return nil, failures
}

func bring(ctx context.Context, config *rest.Config, ask Ask) (keys datadir.Keys, err error) {
	err = do(ctx, config, http.MethodPost, ask, &keys)
	return keys, err
}

// do asks for datadir.PathKeys. Nothing is followed to elsewhere.
func do(ctx context.Context, config *rest.Config, method string, body, into any) error {
	by, err := rest.TransportFor(config)
	if err != nil {
		return err
	}
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(config.Host, "/")+datadir.PathKeys, bytes.NewReader(content))
	if err != nil {
		return err
	}
	answer, err := by.RoundTrip(r)
	if err != nil {
		var unknown x509.UnknownAuthorityError
		var verification *tls.CertificateVerificationError
		if errors.As(err, &unknown) || errors.As(err, &verification) {
			return fmt.Errorf("it does not show a certificate of the CA: %w", err)
		}
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	content, err = io.ReadAll(io.LimitReader(answer.Body, longestAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s: %s", answer.Status, strings.TrimSpace(string(content[:min(len(content), 500)])))
	}
	return json.Unmarshal(content, into)
}
