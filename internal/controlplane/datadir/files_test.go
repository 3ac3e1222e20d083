package datadir

import (
	"encoding/base64"
	"os"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestConfigurationIsYAML(t *testing.T) {
	d := open(t, t.TempDir())
	for kind, write := range map[string]func() (string, error){
		"AuthenticationConfiguration": func() (string, error) { return d.WriteAuthentication(nil) },
		"Policy":                      d.WriteAuditPolicy,
		"EncryptionConfiguration":     func() (string, error) { return d.EnsureEncryption(nil) },
	} {
		path, err := write()
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Kind string }
		data := read(t, path)
		if err := yaml.UnmarshalStrict(data, &map[string]any{}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if err := yaml.Unmarshal(data, &got); err != nil || got.Kind != kind {
			t.Errorf("%s holds a %q, want a %q (%v)", path, got.Kind, kind, err)
		}
	}
}

func TestEncryptionKeyIsMadeOnceAndPrivate(t *testing.T) {
	d := open(t, t.TempDir())
	path, err := d.EnsureEncryption(nil)
	if err != nil {
		t.Fatal(err)
	}
	first := read(t, path)
	if _, err := d.EnsureEncryption(nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first, read(t, path)) {
		t.Error("the second start made another key: no Secret could be read")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	var config struct {
		Resources []struct {
			Providers []struct {
				Secretbox struct{ Keys []struct{ Secret string } }
			}
		}
	}
	if err := yaml.Unmarshal(first, &config); err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(config.Resources[0].Providers[0].Secretbox.Keys[0].Secret)
	if err != nil || len(key) != 32 {
		t.Errorf("the key has %d bytes, %v", len(key), err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
