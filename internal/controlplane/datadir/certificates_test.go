package datadir

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/internal/pki"
)

// issued is a directory with certificates, and a clock.
func issued(t *testing.T) (d *Dir, pass func(), now *time.Time) {
	t.Helper()
	d, now = open(t, t.TempDir()), new(time.Time)
	*now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pass = func() {
		t.Helper()
		_, _, err := d.Credentials(Issuance{Context: "federation", Address: "https://127.0.0.1:1", Hosts: []string{"localhost"},
			Now: func() time.Time { return *now }, AdminLife: DefaultAdminLife, Revocable: true, Rotate: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	pass()
	return d, pass, now
}

func namesOf(all []Certificate) (names []string) {
	for _, c := range all {
		names = append(names, c.Name)
	}
	return names
}

func TestCertificates(t *testing.T) {
	d, pass, now := issued(t)
	for _, file := range []string{"broken.crt", "empty.crt"} {
		if err := os.WriteFile(d.Path("pki", file), []byte(strings.TrimSuffix(file, "empty.crt")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own := []string{"admin", "apiserver", "ca", "controllers", "hanse", "scheduler"}
	all, err := Certificates(d.path)
	if err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "empty") {
		t.Errorf("of what cannot be read it says: %v", err)
	}
	if !slices.Equal(namesOf(all), own) {
		t.Error(namesOf(all))
	}
	admin := all[0]
	if admin.Expires != now.Add(24*time.Hour) || *admin.Renews != now.Add(16*time.Hour) || !slices.Equal(admin.Groups, []string{AdminsGroup}) {
		t.Errorf("%+v", admin)
	}
	for _, name := range []string{"broken.crt", "empty.crt"} {
		if err := os.Remove(d.Path("pki", name)); err != nil {
			t.Fatal(err)
		}
	}

	if err := RequestRotation(d.path, time.Hour, *now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		other string
		stage pki.Stage
	}{{"ca-next", pki.Published}, {"ca-previous", pki.Signing}} {
		pass()
		all, err := Certificates(d.path)
		if err != nil || !slices.Contains(namesOf(all), want.other) {
			t.Errorf("%s: %v, %v", want.stage, namesOf(all), err)
		}
		if r, err := Rotation(d.path); err != nil || r == nil || r.Stage != want.stage {
			t.Errorf("stage %+v, want %s, %v", r, want.stage, err)
		}
		if signers, err := pki.ReadCertificates(d.Path(csrSigner)); err != nil || len(signers) != 1 {
			t.Errorf("%d certificates to sign requests with, %v", len(signers), err)
		}
		*now = now.Add(time.Hour)
	}
	pass()
	if all, err := Certificates(d.path); err != nil || !slices.Equal(namesOf(all), own) {
		t.Error(namesOf(all), err)
	}
}

func TestRotationOfNothing(t *testing.T) {
	wantSentence(t, RequestRotation(t.TempDir(), time.Hour, time.Now()), "is not the data directory")
}

func TestAdminKubeconfig(t *testing.T) {
	d, pass, now := issued(t)
	clock := func() time.Time { return *now }
	for _, test := range []struct {
		name string
		AdminRequest
		group, server string
	}{
		{"ordinary", AdminRequest{User: "alice", Life: time.Hour}, AdminsGroup, "https://127.0.0.1:1"},
		{"break-glass", AdminRequest{User: "admin", Life: time.Hour, BreakGlass: true, Server: "https://hub:6443"}, superusers, "https://hub:6443"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.Path, test.Now = d.path, clock
			data, err := AdminKubeconfig(test.AdminRequest)
			if err != nil {
				t.Fatal(err)
			}
			config, err := clientcmd.Load(data)
			if err != nil {
				t.Fatal(err)
			}
			crt := config.AuthInfos["federation-"+test.User].ClientCertificateData
			if got := groupsOf(t, crt); !slices.Equal(got, []string{test.group}) {
				t.Errorf("in %q", got)
			}
			if got := config.Clusters["federation"].Server; got != test.server {
				t.Errorf("server %s", got)
			}
		})
	}
	for _, user := range []string{"", "system:admin", "a:b"} {
		_, err := AdminKubeconfig(AdminRequest{Path: d.path, User: user, Now: clock})
		wantSentence(t, err, "cannot be the name")
	}
	_, err := AdminKubeconfig(AdminRequest{Path: t.TempDir(), User: "admin", Now: clock})
	wantSentence(t, err, "is not the data directory")

	file, err := RenewAdmin(d.path, 100*time.Hour, clock)
	if err != nil {
		t.Fatal(err)
	}
	renewed := read(t, file)
	pass()
	if !slices.Equal(renewed, read(t, file)) {
		t.Error("the running hub replaced what its owner had renewed")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	*now = now.Add(99 * time.Hour)
	pass()
	if slices.Equal(renewed, read(t, file)) {
		t.Error("the running hub let it expire")
	}
}
