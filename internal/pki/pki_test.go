package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func authority(t *testing.T) (*Authority, string) {
	t.Helper()
	dir := t.TempDir()
	a, err := EnsureAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), "test", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func TestAuthorityIsFoundAgain(t *testing.T) {
	a, dir := authority(t)
	b, err := EnsureAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), "test", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if string(a.CertificatePEM()) != string(b.CertificatePEM()) {
		t.Error("the second start made another authority")
	}
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := EnsureAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), "test", time.Now); err == nil {
		t.Error("an authority without its key was replaced silently")
	}
}

func TestInterruptedCreationStartsOver(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.key"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := EnsureAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), "test", time.Now); err != nil {
		t.Fatal(err)
	}
}

func TestPairs(t *testing.T) {
	a, dir := authority(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.CertificatePEM())
	crt, key := filepath.Join(dir, "s.crt"), filepath.Join(dir, "s.key")
	load := func() *x509.Certificate {
		pair, err := tls.LoadX509KeyPair(crt, key)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf
	}

	server := Request{CommonName: "server", Hosts: []string{"localhost", "127.0.0.1", "::1"}}
	if _, err := a.EnsurePair(crt, key, server); err != nil {
		t.Fatal(err)
	}
	first := load()
	for _, host := range server.Hosts {
		if _, err := first.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}

	if _, err := a.EnsurePair(crt, key, server); err != nil {
		t.Fatal(err)
	}
	if !load().Equal(first) {
		t.Error("a pair that is right was replaced")
	}

	server.Hosts = append(server.Hosts, "hub.example.com")
	if _, err := a.EnsurePair(crt, key, server); err != nil {
		t.Fatal(err)
	}
	if load().VerifyHostname("hub.example.com") != nil {
		t.Error("a new host did not lead to a new certificate")
	}

	client := Request{CommonName: "admin", Organizations: []string{"system:masters"}}
	if _, err := a.EnsurePair(crt, key, client); err != nil {
		t.Fatal(err)
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := load().Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usages}); err != nil {
		t.Error(err)
	}
}

func TestPairOfAnotherAuthorityIsReplaced(t *testing.T) {
	a, dir := authority(t)
	b, _ := authority(t)
	crt, key := filepath.Join(dir, "c.crt"), filepath.Join(dir, "c.key")
	for _, issuer := range []*Authority{a, b} {
		if _, err := issuer.EnsurePair(crt, key, Request{CommonName: "c"}); err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(crt, key)
		if err != nil {
			t.Fatal(err)
		}
		if err := pair.Leaf.CheckSignatureFrom(issuer.cert); err != nil {
			t.Error(err)
		}
	}
}

func TestKeysAreKeptPrivate(t *testing.T) {
	_, dir := authority(t)
	file := filepath.Join(dir, "sa.key")
	if err := EnsureKey(file); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := EnsureKey(file); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("the key changed")
	}
	for _, name := range []string{"ca.key", "sa.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestPairIsRenewedInTime(t *testing.T) {
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "s.crt"), filepath.Join(dir, "s.key")
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := began
	a, err := EnsureAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), "test", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after   time.Duration
		renewed bool
	}{{0, true}, {LeafLife*2/3 - time.Second, false}, {LeafLife * 2 / 3, true}} {
		now = began.Add(step.after)
		if _, err := a.EnsurePair(crt, key, Request{CommonName: "client"}); err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(crt, key)
		if err != nil {
			t.Fatal(err)
		}
		if renewed := pair.Leaf.NotAfter.Equal(now.Add(LeafLife)); renewed != step.renewed {
			t.Errorf("after %s: valid until %s", step.after, pair.Leaf.NotAfter)
		}
	}
}
