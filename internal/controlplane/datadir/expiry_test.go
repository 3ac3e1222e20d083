package datadir

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"
)

func TestCertificateExpiries(t *testing.T) {
	d := open(t, t.TempDir())
	if got := d.CertificateExpiries(); len(got) > 0 {
		t.Error(got)
	}
	if _, err := d.Credentials("hub", "https://127.0.0.1:1", []string{"localhost"}, time.Now); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.Path("pki", "broken.crt"), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.Path("pki", "empty.crt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := d.CertificateExpiries()
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"admin", "apiserver", "ca", "controllers", "hanse", "scheduler"}) {
		t.Error(names)
	}
	if !got["ca"].After(got["apiserver"]) || time.Until(got["apiserver"]) < 300*24*time.Hour {
		t.Error(got)
	}
}
