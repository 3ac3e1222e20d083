package datadir

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-dev/hanse/internal/pki"
)

// keyed is a directory with keys, as a start of a hub leaves it.
func keyed(t *testing.T, now time.Time) *Dir {
	t.Helper()
	d := open(t, t.TempDir())
	if _, _, err := d.Credentials(Issuance{Context: "federation", Address: "https://127.0.0.1:6443", Hosts: []string{"127.0.0.1"}, Now: func() time.Time { return now }}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.EnsureEncryption(nil); err != nil {
		t.Fatal(err)
	}
	return d
}

func fingerprint(t *testing.T, d *Dir) Fingerprint {
	t.Helper()
	f, err := d.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestKeysAreBroughtOver(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	from, to := keyed(t, now), open(t, t.TempDir())
	if has, err := to.HasKeys(); has || err != nil {
		t.Fatal(has, err)
	}
	keys, err := from.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if err := to.ReplaceKeys(keys); err != nil {
		t.Fatal(err)
	}
	if has, err := to.HasKeys(); !has || err != nil {
		t.Fatal(has, err)
	}
	if a, b := fingerprint(t, from), fingerprint(t, to); !a.Equal(b) || len(a.Missing(b)) > 0 {
		t.Errorf("%+v\n%+v", a, b)
	}
	for name := range keys {
		if info, err := os.Stat(to.keyPath(name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	// What the other one no longer has goes.
	if err := os.WriteFile(to.Path(nextAuthorityKey), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := to.ReplaceKeys(keys); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(to.Path(nextAuthorityKey)); err == nil {
		t.Error("a key is left that the other hub does not have")
	}
	delete(keys, authorityKey)
	wantSentence(t, to.ReplaceKeys(keys), "not complete")
}

// A fingerprint names what is missing, and says nothing of what it is.
func TestFingerprint(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	a, b := fingerprint(t, keyed(t, now)), fingerprint(t, keyed(t, now))
	missing := strings.Join(a.Missing(b), "; ")
	for _, part := range []string{"the encryption key key1 (" + a.Encryption[0].ID + ")", "the signing key of service accounts (" + a.ServiceAccount + ")", "the certificate authority sha256:"} {
		if !strings.Contains(missing, part) {
			t.Errorf("%q does not say %q", missing, part)
		}
	}
	d := keyed(t, now)
	f := fingerprint(t, d)
	for _, file := range []string{d.Path(encryptionFile), d.Path(serviceAccountKey)} {
		if content := string(read(t, file)); strings.Contains(content, f.Encryption[0].ID) || strings.Contains(content, f.ServiceAccount) {
			t.Errorf("the fingerprint is part of %s", file)
		}
	}
	// An authority that is trusted besides is not missed; one that nobody trusts is.
	more := f
	more.Authorities = append(slices.Clone(f.Authorities), "sha256:successor")
	if m := more.Missing(f); len(m) > 0 {
		t.Errorf("missed: %q", m)
	}
	more.Authorities = []string{"sha256:successor"}
	if m := more.Missing(f); len(m) != 1 {
		t.Errorf("missed: %q", m)
	}
	more = f
	more.Resources = []string{"configmaps", "secrets"}
	if m := more.Missing(f); !slices.Equal(m, []string{"the encryption of configmaps"}) {
		t.Errorf("missed: %q", m)
	}
}

func TestEncryptionKeysElsewhere(t *testing.T) {
	d := keyed(t, time.Unix(1_800_000_000, 0))
	want := fingerprint(t, d)
	elsewhere := filepath.Join(t.TempDir(), "keys")
	for range 2 { // as each start does
		if err := d.KeepEncryptionIn(elsewhere); err != nil {
			t.Fatal(err)
		}
		if !fingerprint(t, d).Equal(want) {
			t.Error("other keys")
		}
	}
	if _, err := os.Stat(d.Path(encryptionFile)); err == nil {
		t.Error("the keys are in the data directory, too")
	}
	// Interrupted between copy and removal; and with other keys there.
	content := read(t, d.EncryptionFile())
	again := open(t, t.TempDir())
	if err := pki.WriteFile(again.Path(encryptionFile), content); err != nil {
		t.Fatal(err)
	}
	if err := again.KeepEncryptionIn(elsewhere); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(again.Path(encryptionFile)); err == nil {
		t.Error("the keys are in the data directory, too")
	}
	other := keyed(t, time.Unix(1_800_000_000, 0))
	wantSentence(t, other.KeepEncryptionIn(elsewhere), "are not the same keys")
}

func TestEncryptionFileIsRefused(t *testing.T) {
	d := keyed(t, time.Unix(1_800_000_000, 0))
	file := filepath.Join(t.TempDir(), "e.yaml")
	wantSentence(t, d.UseEncryptionFile(file), "--encryption-provider-config")
	if err := os.WriteFile(file, []byte("secret: hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := d.UseEncryptionFile(file)
	wantSentence(t, err, "is not an EncryptionConfiguration")
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error quotes the file")
	}
}

// A token is good once, for as long as it says, and is nowhere.
func TestJoinToken(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := keyed(t, now)
	invite := func() Invitation {
		t.Helper()
		i, err := Invite(d.Path(), time.Hour, now)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	first, second := invite(), invite()
	if first.Token == second.Token || first.Server != "https://127.0.0.1:6443" || first.Authority != fingerprint(t, d).Authorities[0] {
		t.Errorf("%+v", first)
	}
	files, err := filepath.Glob(d.Path(joinTokens, "*"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.Contains(file+string(read(t, file)), first.Token) {
			t.Error("the token is kept")
		}
	}
	for token, want := range map[string]bool{"": false, "guessed": false, "../" + filepath.Base(files[0]): false, filepath.Base(files[0]): false} {
		if good, err := d.Redeem(token, now); good != want || err != nil {
			t.Errorf("%q: %t, %v", token, good, err)
		}
	}
	// Of many that come with it at once, one is let in.
	var good atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if ok, err := d.Redeem(first.Token, now.Add(time.Minute)); ok && err == nil {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if n := good.Load(); n != 1 {
		t.Errorf("the token was good %d times", n)
	}
	if ok, err := d.Redeem(second.Token, now.Add(time.Hour)); ok || err != nil {
		t.Errorf("after it has expired: %t, %v", ok, err)
	}
	// One that nobody used goes when the next is made.
	invite()
	now = now.Add(2 * time.Hour)
	invite()
	if files, _ = filepath.Glob(d.Path(joinTokens, "*")); len(files) != 1 {
		t.Errorf("%d tokens are kept", len(files))
	}
	_, err = Invite(t.TempDir(), time.Hour, now)
	wantSentence(t, err, "is not the data directory of a hub")
}

func TestIDIsDrawnOnce(t *testing.T) {
	d := open(t, t.TempDir())
	a, err := d.ID()
	if err != nil || a == "" {
		t.Fatal(a, err)
	}
	if b, err := d.ID(); b != a || err != nil {
		t.Error(a, b, err)
	}
}

// TestConform takes back each step of a rotation that others have not heard of.
func TestConform(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := keyed(t, now)
	before := fingerprint(t, d)
	i := Issuance{Context: "federation", Address: "https://127.0.0.1:6443", Now: func() time.Time { return now }, Rotate: true}
	step := func() {
		t.Helper()
		if _, _, err := d.Credentials(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := RequestRotation(d.Path(), time.Hour, now); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		step()
		if f := fingerprint(t, d); len(f.Authorities) != 2 {
			t.Fatalf("no successor: %+v", f)
		}
		if err := d.Conform(before); err != nil {
			t.Fatal(err)
		}
		if f := fingerprint(t, d); !f.Equal(before) {
			t.Errorf("%+v, want %+v", f, before)
		}
		if _, err := os.Stat(d.Path(nextAuthorityKey)); err == nil {
			t.Error("the key of a successor that nobody knows is left")
		}
	}
	step()
	published := fingerprint(t, d)
	now = now.Add(time.Hour)
	step()
	if f := fingerprint(t, d); f.Authorities[0] != published.Authorities[1] {
		t.Fatalf("the successor does not sign: %+v", f)
	}
	if err := d.Conform(published); err != nil { // it cannot be taken back, and needs not be
		t.Fatal(err)
	}
	retired := fingerprint(t, d)
	retired.Authorities = retired.Authorities[:1]
	if err := d.Conform(retired); err != nil {
		t.Fatal(err)
	}
	if f := fingerprint(t, d); !f.Equal(retired) {
		t.Errorf("an authority that nobody trusts any more is trusted: %+v", f)
	}
}
