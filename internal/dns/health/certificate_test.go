package health

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-dev/hanse/internal/guard"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string, until time.Time) *authority {
	a := &authority{cert: &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: until.AddDate(-10, 0, 0), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	made := a.sign(t, a.cert)
	a.cert, a.key = made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign makes a certificate of a template, by an authority without a key itself.
func (a *authority) sign(t *testing.T, template *x509.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) leaf(t *testing.T, from, until time.Time, names ...string) *tls.Certificate {
	return a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}, NotBefore: from, NotAfter: until, DNSNames: names})
}

// serveCertificate answers 200 with the certificate of the moment, each request on a
// connection of its own.
func serveCertificate(t *testing.T, c *atomic.Pointer[tls.Certificate]) netip.AddrPort {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.Load(), nil }}
	s.StartTLS()
	t.Cleanup(s.Close)
	return addressOf(t, s.Listener.Addr())
}

// TestCertificates: what a browser would refuse is down, and says why; and is up where
// any certificate will do.
func TestCertificates(t *testing.T) {
	now := time.Now()
	past, future := now.AddDate(0, 0, -30), now.AddDate(0, 0, 30)
	ca, stranger := newAuthority(t, "good", future), newAuthority(t, "stranger", future)
	old := newAuthority(t, "old", past)
	const host = "www.shop.example"
	chained := func(c *tls.Certificate, issuer *authority) *tls.Certificate {
		c.Certificate = append(c.Certificate, issuer.cert.Raw)
		return c
	}
	alone := &authority{cert: &x509.Certificate{Subject: pkix.Name{CommonName: "self"}, DNSNames: []string{host}, NotBefore: past, NotAfter: future}}
	for name, test := range map[string]struct {
		certificate *tls.Certificate
		want        string
	}{
		"good":            {ca.leaf(t, past, future, host), ""},
		"of a wildcard":   {ca.leaf(t, past, future, "*.shop.example"), ""},
		"expired":         {ca.leaf(t, past.AddDate(0, 0, -60), past, host), "the certificate expired on " + moment(past.UTC().Truncate(time.Second))},
		"of the future":   {ca.leaf(t, future, future.AddDate(0, 0, 1), host), "the certificate is not valid before " + moment(future)},
		"of another":      {ca.leaf(t, past, future, "a.example", "b.example", "c.example", "d.example"), "the certificate is for a.example, b.example, c.example and 1 more, not for www.shop.example"},
		"of nobody":       {ca.leaf(t, past, future), "the certificate is for no host, not for www.shop.example"},
		"of a stranger":   {stranger.leaf(t, past, future, host), "the certificate is signed by stranger, which the hub's machine does not trust"},
		"of an old":       {chained(old.leaf(t, past, future, host), old), "the certificate of its issuer old expired on " + moment(past)},
		"signed by self":  {alone.sign(t, alone.cert), "the certificate is signed by itself, which the hub's machine does not trust"},
		"of a long story": {newAuthority(t, strings.Repeat("x", 5000)+"\n\x1b[31m", future).leaf(t, past, future, host), "the certificate is signed by " + strings.Repeat("x", 80) + "…, which the hub's machine does not trust"},
	} {
		t.Run(name, func(t *testing.T) {
			var c atomic.Pointer[tls.Certificate]
			c.Store(test.certificate)
			p := New(nil, anywhere())
			defer p.pool.close()
			p.pool.roots = x509.NewCertPool()
			p.pool.roots.AddCert(ca.cert)
			p.pool.roots.AddCert(old.cert)
			check := Check{Protocol: HTTPS, Address: serveCertificate(t, &c), Host: host}
			for _, any := range []bool{true, false, true} {
				check.AnyCertificate = any
				want := verdict{true, "200"}
				if test.want != "" && !any {
					want = verdict{message: test.want}
				}
				if got := ask(p, check); got != want {
					t.Errorf("any certificate: %t: %+v, want %+v", any, got, want)
				}
			}
		})
	}
}

// TestReplacedCertificate: that a server knows a client again does not hide what its
// certificate has become.
func TestReplacedCertificate(t *testing.T) {
	now := time.Now()
	ca := newAuthority(t, "good", now.AddDate(1, 0, 0))
	var c atomic.Pointer[tls.Certificate]
	p := New(nil, anywhere())
	defer p.pool.close()
	p.pool.roots = x509.NewCertPool()
	p.pool.roots.AddCert(ca.cert)
	check := Check{Protocol: HTTPS, Address: serveCertificate(t, &c), Host: "www.shop.example"}
	for _, name := range []string{"www.shop.example", "another.example", "www.shop.example"} {
		c.Store(ca.leaf(t, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1), name))
		if got := ask(p, check); got.passed != (name == check.Host) {
			t.Errorf("a certificate for %s: %+v", name, got)
		}
	}
}

// TestPanicOfAProbe: what an address answers must not end the process.
func TestPanicOfAProbe(t *testing.T) {
	broken := &Prober{}
	counted := ""
	ctx := guard.WithCounter(t.Context(), func(component string) { counted += component })
	defer func() {
		if counted != "dns-probe" {
			t.Errorf("counted: %q", counted)
		}
	}()
	if v := broken.attempt(ctx, newRequest(Check{Protocol: TCP, Address: netip.MustParseAddrPort("127.0.0.1:1")})); v.passed || v.message == "" {
		t.Errorf("%+v", v)
	}
}
