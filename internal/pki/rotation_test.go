package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// rotating is an authority in a directory of its own, with a clock that the test sets.
type rotating struct {
	*testing.T
	Rotating
	now time.Time
}

func newRotating(t *testing.T) *rotating {
	dir := t.TempDir()
	r := &rotating{T: t, Rotating: Rotating{Cert: filepath.Join(dir, "ca.crt"), Key: filepath.Join(dir, "ca.key")}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	if _, err := EnsureAuthority(r.Cert, r.Key, "test", r.clock); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rotating) clock() time.Time { return r.now }

func (r *rotating) load() *Authority {
	r.Helper()
	a, err := LoadAuthority(r.Cert, r.Key, r.clock)
	if err != nil {
		r.Fatal(err)
	}
	return a
}

// advance is what a hub does from time to time.
func (r *rotating) advance(want bool) {
	r.Helper()
	stepped, err := r.Advance(r.load())
	if err != nil || stepped != want {
		r.Fatalf("stepped: %v, %v", stepped, err)
	}
	if err := r.Write(r.load()); err != nil {
		r.Fatal(err)
	}
}

func (r *rotating) stage() Stage {
	r.Helper()
	state, err := r.State()
	if err != nil {
		r.Fatal(err)
	}
	if state == nil {
		return ""
	}
	return state.Stage
}

// leaf is signed by the authority as it is now.
func (r *rotating) leaf() *x509.Certificate {
	r.Helper()
	crt, key := r.Cert+".leaf", r.Key+".leaf"
	if _, err := r.load().EnsurePair(crt, key, Request{CommonName: "leaf"}); err != nil {
		r.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(crt, key)
	if err != nil {
		r.Fatal(err)
	}
	return pair.Leaf
}

// trusted says whether a client that reads the authority's file now trusts a certificate.
func (r *rotating) trusted(bundle []byte, c *x509.Certificate) bool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	_, err := c.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: r.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

func (r *rotating) bundle() []byte {
	r.Helper()
	data, err := os.ReadFile(r.Cert)
	if err != nil {
		r.Fatal(err)
	}
	return data
}

func TestAuthorityIsReplacedStepByStep(t *testing.T) {
	r := newRotating(t)
	r.advance(false)
	old, before := r.leaf(), r.bundle()
	if err := r.Request(time.Hour, r.now); err != nil {
		t.Fatal(err)
	}
	if err := r.Request(time.Hour, r.now); err == nil {
		t.Error("requested twice")
	}

	r.advance(true)
	if r.stage() != Published || !r.leaf().Equal(old) {
		t.Error("the successor signs before anybody can trust it")
	}
	published := r.bundle()
	r.advance(false)

	r.now = r.now.Add(time.Hour)
	r.advance(true)
	renewed := r.leaf()
	switch {
	case r.stage() != Signing || renewed.Equal(old):
		t.Error("the successor does not sign")
	case !r.trusted(published, renewed):
		t.Error("who has what was published does not trust what the successor signed")
	case r.trusted(before, renewed):
		t.Error("the successor is the old authority")
	case !r.trusted(r.bundle(), old):
		t.Error("what the old authority signed is not trusted any more")
	}
	r.advance(false)

	r.now = r.now.Add(time.Hour)
	r.advance(true)
	if r.stage() != "" || r.trusted(r.bundle(), old) || !r.trusted(r.bundle(), renewed) {
		t.Error("the old authority is still trusted, or the new one is not")
	}
	r.advance(false)
	left, err := filepath.Glob(filepath.Join(filepath.Dir(r.Cert), "ca*"))
	if err != nil || len(left) != 4 { // certificate and key of the authority and of the leaf
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAuthorityIsReplacedInTime(t *testing.T) {
	r := newRotating(t)
	r.now = r.now.Add(authorityLife*2/3 - time.Second)
	r.advance(false)
	r.now = r.now.Add(time.Second)
	r.advance(true)
	// A hub that was off for longer than both overlaps still takes one step after the other.
	for range 2 {
		r.now = r.now.Add(5 * DefaultOverlap)
		r.advance(true)
		r.advance(false)
	}
	if r.stage() != "" {
		t.Error(r.stage())
	}
	if got := r.load().cert.NotAfter; got.Before(r.now.Add(authorityLife / 2)) {
		t.Errorf("the successor ends at %s", got)
	}
}

// TestInterruptedRotation ends each step after each of its writes.
func TestInterruptedRotation(t *testing.T) {
	t.Run("published without its state", func(t *testing.T) {
		r := newRotating(t)
		if err := r.Request(time.Hour, r.now); err != nil {
			t.Fatal(err)
		}
		state, err := os.ReadFile(r.state())
		if err != nil {
			t.Fatal(err)
		}
		r.advance(true)
		if err := WriteFile(r.state(), state); err != nil {
			t.Fatal(err)
		}
		r.advance(true)
		r.now = r.now.Add(time.Hour)
		published := r.bundle()
		r.advance(true)
		if !r.trusted(published, r.leaf()) {
			t.Error("the successor that signs is not the one that was published")
		}
	})
	t.Run("signing without its state", func(t *testing.T) {
		r := newRotating(t)
		if err := r.Request(time.Hour, r.now); err != nil {
			t.Fatal(err)
		}
		r.advance(true)
		if err := os.Rename(r.nextKey(), r.Key); err != nil {
			t.Fatal(err)
		}
		leaf := r.leaf() // signed by the successor already
		r.now = r.now.Add(time.Hour)
		r.advance(true)
		if r.stage() != Signing || !r.leaf().Equal(leaf) {
			t.Errorf("stage %s", r.stage())
		}
	})
}

func TestBrokenRotationIsSaid(t *testing.T) {
	r := newRotating(t)
	for _, content := range []string{"{", `{"stage":"Elsewhere"}`} {
		if err := os.WriteFile(r.state(), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Advance(r.load()); err == nil {
			t.Errorf("%q is taken for a state", content)
		}
	}
}

func TestKeyOfAnotherAuthority(t *testing.T) {
	r, other := newRotating(t), newRotating(t)
	if _, err := LoadAuthority(r.Cert, other.Key, r.clock); err == nil {
		t.Error("a key that does not belong to the authority was taken")
	}
}
