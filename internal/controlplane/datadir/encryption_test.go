package datadir

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func names(f Fingerprint) (all []string) {
	for _, k := range f.Encryption {
		all = append(all, k.Name)
	}
	return all
}

// TestEncryptionKeyIsReplaced takes the steps of a rotation, each of them twice, as after a crash between the file and the database.
func TestEncryptionKeyIsReplaced(t *testing.T) {
	d := keyed(t, time.Unix(1_800_000_000, 0))
	before := fingerprint(t, d)
	want := func(what string, keys, resources, reads []string) {
		t.Helper()
		f := fingerprint(t, d)
		if !slices.Equal(names(f), keys) || !slices.Equal(f.Resources, resources) || !slices.Equal(f.Reads, reads) {
			t.Errorf("%s: %+v, want %q %q %q", what, f, keys, resources, reads)
		}
	}
	both := []string{"configmaps", "secrets"}
	for range 2 {
		name, err := d.AddEncryptionKey(before.Encryption, both)
		if err != nil || name != "key2" {
			t.Fatal(name, err)
		}
		want("added", []string{"key1", "key2"}, []string{"secrets"}, []string{"configmaps"})
	}
	if prefix, err := d.EncryptedPrefix(); prefix != "k8s:enc:secretbox:v1:key1:" || err != nil {
		t.Error(prefix, err)
	}
	added := fingerprint(t, d)
	if len(before.Missing(added)) > 0 || len(added.Missing(before)) != 2 {
		t.Errorf("%q, %q", before.Missing(added), added.Missing(before))
	}
	for range 2 {
		if err := d.PromoteEncryptionKey("key2", both); err != nil {
			t.Fatal(err)
		}
		want("promoted", []string{"key2", "key1"}, both, nil)
	}
	promoted := fingerprint(t, d)
	if m := added.Missing(promoted); len(m) > 0 {
		t.Errorf("what was written before is missed: %q", m)
	}
	// What the database has not heard of is taken back.
	if err := d.Conform(added); err != nil {
		t.Fatal(err)
	}
	want("taken back", []string{"key1", "key2"}, []string{"secrets"}, []string{"configmaps"})
	if err := d.Conform(promoted); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.RetireEncryptionKeys(); err != nil {
			t.Fatal(err)
		}
		want("retired", []string{"key2"}, both, nil)
	}
	if prefix, err := d.EncryptedPrefix(); prefix != "k8s:enc:secretbox:v1:key2:" || err != nil {
		t.Error(prefix, err)
	}
	// The old key is nowhere, so that nothing but another hub brings it back.
	if err := d.Conform(promoted); err != nil {
		t.Fatal(err)
	}
	want("of no use", []string{"key2"}, both, nil)
	if err := d.PromoteEncryptionKey("key1", both); err == nil {
		t.Error("a key that is not there writes")
	}
	// Back to plain text, still readable.
	name, err := d.AddEncryptionKey(fingerprint(t, d).Encryption, []string{"secrets"})
	if err != nil || name != "key3" {
		t.Fatal(name, err)
	}
	if err := d.PromoteEncryptionKey(name, []string{"secrets"}); err != nil {
		t.Fatal(err)
	}
	want("fewer", []string{"key3", "key2"}, []string{"secrets"}, []string{"configmaps"})
}

// TestConformIsWhatTheDatabaseSays: whatever steps a hub has taken, if it has the keys that the database names it uses them as that says.
func TestConformIsWhatTheDatabaseSays(t *testing.T) {
	resources := [][]string{{"secrets"}, {"configmaps", "secrets"}, {"deployments.apps", "secrets"}}
	d := keyed(t, time.Unix(1_800_000_000, 0))
	rapid.Check(t, func(t *rapid.T) {
		record, err := d.Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		var last string
		for range rapid.IntRange(0, 4).Draw(t, "steps") {
			r := rapid.SampledFrom(resources).Draw(t, "resources")
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				last, err = d.AddEncryptionKey(record.Encryption, r)
			case 1:
				if last != "" {
					err = d.PromoteEncryptionKey(last, r)
				}
			case 2:
				record, err = d.Fingerprint() // the database heard of it
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Conform(record); err != nil {
			t.Fatal(err)
		}
		if have, err := d.Fingerprint(); err != nil || !have.Equal(record) {
			t.Fatalf("%+v, want %+v (%v)", have, record, err)
		}
	})
}

func TestEncryptedResources(t *testing.T) {
	got, err := Encrypted([]string{"secrets", "widgets.example.com", "configmaps", "secrets"})
	if err != nil || !slices.Equal(got, []string{"configmaps", "secrets", "widgets.example.com"}) {
		t.Error(got, err)
	}
	if got, err := Encrypted(nil); len(got) > 0 || err != nil {
		t.Error(got, err)
	}
	for part, all := range map[string][]string{"is not a resource": {"secrets", "*.*"}, "leaves Secrets in plain text": {"configmaps"}} {
		_, err := Encrypted(all)
		wantSentence(t, err, part)
	}
}

func TestEncryptIsForTheFirstStart(t *testing.T) {
	d := open(t, t.TempDir())
	both := []string{"configmaps", "secrets"}
	for range 2 {
		if _, err := d.EnsureEncryption(both); err != nil {
			t.Fatal(err)
		}
	}
	_, err := d.EnsureEncryption([]string{"secrets"})
	wantSentence(t, err, "hanse encryption rotate --encrypt secrets")
	if _, err := d.EnsureEncryption(nil); err != nil {
		t.Error(err)
	}
}

func TestRotationIsAskedFor(t *testing.T) {
	d := keyed(t, time.Unix(1_800_000_000, 0))
	if r, err := d.RotationRequest(); r != nil || err != nil {
		t.Fatal(r, err)
	}
	request := RotationRequest{Encrypt: []string{"configmaps", "secrets"}, Requested: time.Unix(1_800_000_000, 0).UTC()}
	if err := RequestEncryption(d.Path(), request); err != nil {
		t.Fatal(err)
	}
	wantSentence(t, RequestEncryption(d.Path(), request), "was asked for already")
	if r, err := d.RotationRequest(); err != nil || r == nil || !slices.Equal(r.Encrypt, request.Encrypt) {
		t.Error(r, err)
	}
	for range 2 {
		if err := d.RotationBegun(); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := d.RotationRequest(); r != nil || err != nil {
		t.Error(r, err)
	}
	wantSentence(t, RequestEncryption(t.TempDir(), request), "is not the data directory of a hub")
}

// A file of somebody else's is read, and neither changed nor handed on.
func TestSomebodyElsesEncryption(t *testing.T) {
	d := keyed(t, time.Unix(1_800_000_000, 0))
	file := d.Path("else.yaml")
	content := `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - kms: {apiVersion: v2, name: vault, endpoint: "unix:///run/kms.sock"}
  - aescbc: {keys: [{name: old, secret: MDEyMzQ1Njc4OWFiY2RlZg==}]}
  - identity: {}
- resources: [configmaps]
  providers: [{identity: {}}]
`
	if err := d.write("else.yaml", []byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := d.UseEncryptionFile(file); err != nil {
		t.Fatal(err)
	}
	f := fingerprint(t, d)
	if !slices.Equal(names(f), []string{"vault", "old"}) || f.Encryption[0].ID != "kms" || !slices.Equal(f.Reads, []string{"configmaps"}) {
		t.Errorf("%+v", f)
	}
	if prefix, err := d.EncryptedPrefix(); prefix != "k8s:enc:kms:v2:vault:" || err != nil {
		t.Error(prefix, err)
	}
	_, err := d.AddEncryptionKey(nil, nil)
	wantSentence(t, err, "which is not the hub's own")
	if err := d.Conform(Fingerprint{Authorities: f.Authorities}); err != nil || string(read(t, file)) != content {
		t.Error("the file was changed", err)
	}
	keys, err := d.Keys()
	if _, given := keys[encryptionFile]; given || err != nil {
		t.Error("the file is handed on", err)
	}
	own := open(t, t.TempDir())
	wantSentence(t, own.ReplaceKeys(keys), "--encryption-provider-config")
	if err := d.write("else.yaml", []byte(strings.Replace(content, "MDEyMzQ1Njc4OWFiY2RlZg==", "'!'", 1))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Fingerprint(); err == nil || strings.Contains(err.Error(), "MDEy") {
		t.Error(err)
	}
}
