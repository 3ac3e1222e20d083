package fleet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// selfSigned is a certificate for 127.0.0.1 that nobody has signed.
func selfSigned(t *testing.T) *x509.Certificate { return keyPair(t, time.Hour, "127.0.0.1").Leaf }

func keyPair(t *testing.T, life time.Duration, ip string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(life), IPAddresses: []net.IP{net.ParseIP(ip)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// closedAddress is an https address at which nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "https://" + l.Addr().String()
}

func TestClassify(t *testing.T) {
	serve := func(pair *tls.Certificate, h http.HandlerFunc) (string, []byte) {
		s := httptest.NewUnstartedServer(h)
		if pair != nil {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{*pair}}
		}
		s.StartTLS()
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		return s.URL, pemOf(s.Certificate())
	}
	code := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); _, _ = w.Write([]byte(body)) }
	}
	plain := httptest.NewServer(code(200, "ok"))
	t.Cleanup(plain.Close)
	expired, elsewhere := keyPair(t, -time.Hour, "127.0.0.1"), keyPair(t, time.Hour, "10.9.8.7")
	// One that hangs must not end with an answer, which a client that has just given up may still take.
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); panic(http.ErrAbortHandler) }
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, c := range map[string]struct {
		pair    *tls.Certificate
		handler http.HandlerFunc
		host    string // instead of a server
		ca      []byte // instead of the server's
		reason  string
		detail  string
	}{
		"401":        {handler: code(401, ""), reason: v1alpha1.ReasonAuthenticationFailed, detail: "401"},
		"403":        {handler: code(403, `{"kind":"Status","code":403,"message":"may not\nread"}`), reason: v1alpha1.ReasonPermissionDenied, detail: "may not read"},
		"500":        {handler: code(500, "[+]ping ok\n[-]etcd failed: reason withheld\n[-]disk failed"), reason: v1alpha1.ReasonNotReady, detail: "etcd, disk failed"},
		"429":        {handler: code(429, ""), reason: v1alpha1.ReasonNotReady, detail: "429 Too Many Requests"},
		"503":        {handler: code(503, ""), reason: v1alpha1.ReasonNotReady, detail: "503"},
		"wrong CA":   {handler: code(200, ""), ca: pemOf(selfSigned(t)), reason: v1alpha1.ReasonCertificateInvalid, detail: "not trusted"},
		"expired":    {pair: &expired, handler: code(200, ""), reason: v1alpha1.ReasonCertificateInvalid, detail: "expired"},
		"other name": {pair: &elsewhere, handler: code(200, ""), reason: v1alpha1.ReasonCertificateInvalid, detail: "10.9.8.7"},
		"no TLS":     {host: strings.Replace(plain.URL, "http:", "https:", 1), reason: v1alpha1.ReasonCertificateInvalid, detail: "does not speak TLS"},
		"refused":    {host: closedAddress(t), reason: v1alpha1.ReasonNetworkUnreachable, detail: "connection refused"},
		"silent":     {handler: hang, reason: v1alpha1.ReasonNetworkUnreachable, detail: "no answer in time"},
		"aborts":     {handler: abort, reason: v1alpha1.ReasonNetworkUnreachable, detail: "closes the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := v1alpha1.ClusterSpec{Endpoint: c.host, CABundle: c.ca}
			if c.handler != nil {
				var ca []byte
				if spec.Endpoint, ca = serve(c.pair, c.handler); spec.CABundle == nil {
					spec.CABundle = ca
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if name != "silent" {
				ctx = t.Context()
			}
			link, err := newLink(t.Context(), spec, &token{}, &line{clock: clock.RealClock{}, broken: func() {}})
			if err != nil {
				t.Fatal(err)
			}
			err = readyz(ctx, link.client())
			if err == nil {
				t.Fatal("no error")
			}
			p := access.Classify(err)
			if p.Reason != c.reason || !strings.Contains(p.Detail, c.detail) || p.Refused != (name == "refused") {
				t.Errorf("%v is %+v", err, p)
			}
			if v := judge("aws", spec.Endpoint, p); !strings.Contains(v.message, "Try: ") || strings.Contains(v.message, "\n") {
				t.Errorf("message: %s", v.message)
			}
		})
	}
	if p := access.Classify(&net.DNSError{Name: "nowhere.example", IsNotFound: true}); !strings.Contains(p.Detail, "nowhere.example cannot be resolved") {
		t.Errorf("%+v", p)
	}
}
