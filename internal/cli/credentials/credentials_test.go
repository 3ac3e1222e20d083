package credentials

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/controlplane/hubs"
)

func noon() *clocktesting.FakePassiveClock {
	return clocktesting.NewFakePassiveClock(time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))
}

type verb func(genericiooptions.IOStreams, clock.PassiveClock) *cobra.Command

// run runs a verb with arguments; out is what it printed, to either.
func run(t *testing.T, v verb, line ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := v(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}, noon())
	cmd.SetArgs(line)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = cmd.ExecuteContext(ctx)
	return out.String(), errOut.String(), err
}

// dataDir is that of a hub which does not run.
func dataDir(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hub")
	d, err := datadir.Open(t.Context(), path, datadir.Identity{Role: "hub", Name: "federation"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = d.Credentials(datadir.Issuance{Context: "federation", Address: "https://127.0.0.1:6443", Hosts: []string{"localhost"},
		Now: noon().Now, AdminLife: datadir.DefaultAdminLife, Revocable: true, Rotate: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestErrorsSayWhatToTry(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	dir := dataDir(t)
	silent := hubtest.New(t)
	other := hubtest.New(t)
	other.Answer("/hanse/login", "x")
	for _, test := range []struct {
		v    verb
		line string
		part string
	}{
		{NewLoginCommand, "", `there is no context "federation"`},
		{NewLoginCommand, "--method sms", "unknown --method=sms"},
		{NewLoginCommand, "http://hub", "is not the URL of a hub"},
		{NewLoginCommand, "https://hub --certificate-authority nowhere", "the hub's CA cannot be read"},
		{NewLoginCommand, "https://hub --oidc-client-id x", "belong together"},
		{NewLoginCommand, "--kubeconfig " + silent.Kubeconfig, "does not say where to log in"},
		{NewLoginCommand, "--kubeconfig " + other.Kubeconfig, "cannot be read"},
		{NewLoginCommand, "--kubeconfig " + silent.Kubeconfig + " --oidc-issuer-url https://127.0.0.1:1 --oidc-client-id x --oidc-ca-file nowhere", "--oidc-ca-file"},
		{NewLoginCommand, "--kubeconfig " + silent.Kubeconfig + " --oidc-issuer-url https://127.0.0.1:1 --oidc-client-id x", "cannot be asked"},
		{NewTokenCommand, "", "Try: hanse login"},
		{NewTokenCommand, "--oidc-issuer-url https://id --oidc-client-id x", "not logged in at https://id"},
		{NewLogoutCommand, "--kubeconfig " + silent.Kubeconfig, "does not come from hanse login"},
		{NewLogoutCommand, "--oidc-issuer-url https://id --oidc-client-id x", "not logged in"},
		{NewCertsCommand, "--data-dir " + t.TempDir(), "there are no certificates"},
		{NewCertsCommand, "rotate-ca", "--data-dir DIR"},
		{NewCertsCommand, "rotate-ca --data-dir " + t.TempDir(), "is not the data directory"},
		{NewCertsCommand, "rotate-ca --overlap 1m --data-dir " + dir, "is shorter than clients take"},
		{NewAdminCommand, "kubeconfig", "--data-dir DIR"},
		{NewAdminCommand, "kubeconfig --data-dir " + t.TempDir(), "is not the data directory"},
		{NewAdminCommand, "kubeconfig --validity 1s --data-dir " + dir, "is too short"},
		{NewAdminCommand, "kubeconfig --break-glass --data-dir " + dir, "with --file FILE"},
		{NewAdminCommand, "kubeconfig --user system:admin --file - --data-dir " + dir, "cannot be the name"},
	} {
		_, _, err := run(t, test.v, strings.Fields(test.line)...)
		if err == nil || !strings.Contains(err.Error(), test.part) || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%q: %v does not say %q and what to try", test.line, err, test.part)
		}
	}
}

func TestCerts(t *testing.T) {
	dir := dataDir(t)
	const want = `NAME          SUBJECT                          GROUPS           EXPIRES   RENEWS
admin         admin                            hanse:admins     in 24h    in 16h
`
	out, _, err := run(t, NewCertsCommand, "--data-dir", dir)
	if err != nil || !strings.HasPrefix(out, want) {
		t.Errorf("%v\n%s", err, out)
	}
	if _, said, err := run(t, NewCertsCommand, "rotate-ca", "--data-dir", dir); err != nil || !strings.Contains(said, "after another 720h") {
		t.Error(said, err)
	}
	if out, _, err = run(t, NewCertsCommand, "--data-dir", dir); err != nil || !strings.Contains(out, "is being replaced: Requested. Next step: now.") {
		t.Errorf("%v\n%s", err, out)
	}

	h := hubtest.New(t)
	h.Answer("/hanse/certificates", datadir.NewReport(dir, noon().Now().Add(20*time.Hour)))
	out, _, err = run(t, NewCertsCommand, "--kubeconfig", h.Kubeconfig)
	if err == nil || !strings.Contains(err.Error(), "the certificate admin was to be renewed at 2026-11-28T04:00:00Z") || !strings.HasPrefix(out, want) {
		t.Errorf("%v\n%s", err, out)
	}
	refuses := hubtest.New(t)
	refuses.Handle("/hanse/certificates", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	if _, _, err = run(t, NewCertsCommand, "--kubeconfig", refuses.Kubeconfig); err == nil || !strings.Contains(err.Error(), "does not let you") {
		t.Error(err)
	}
}

func TestAdminKubeconfig(t *testing.T) {
	dir := dataDir(t)
	file := filepath.Join(t.TempDir(), "alice")
	if _, said, err := run(t, NewAdminCommand, "kubeconfig", "--data-dir", dir, "--user", "alice", "--file", file, "--validity", "8h"); err != nil || !strings.Contains(said, "8h") {
		t.Fatal(said, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	config, err := clientcmd.LoadFromFile(file)
	if err != nil || config.AuthInfos["federation-alice"] == nil {
		t.Error(config, err)
	}
	out, _, err := run(t, NewAdminCommand, "kubeconfig", "--data-dir", dir, "--break-glass", "--file", "-")
	if err != nil || !strings.HasPrefix(out, "apiVersion: v1") {
		t.Error(out, err)
	}
	own := filepath.Join(dir, "admin.kubeconfig")
	before, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	if _, said, err := run(t, NewAdminCommand, "kubeconfig", "--data-dir", dir); err != nil || !strings.Contains(said, own) {
		t.Error(said, err)
	}
	if after, err := os.ReadFile(own); err != nil || bytes.Equal(before, after) {
		t.Error("it was not renewed", err)
	}
}

func TestJoinToken(t *testing.T) {
	dir := dataDir(t)
	out, errOut, err := run(t, NewAdminCommand, "join-token", "--data-dir", dir)
	if err != nil || !strings.HasPrefix(out, "--join=https://127.0.0.1:6443 --token=") || !strings.Contains(out, " --ca-cert-hash=sha256:") || !strings.Contains(errOut, "before 2026-11-27T13:00:00Z") {
		t.Errorf("%q %q %v", out, errOut, err)
	}
	out, _, err = run(t, NewAdminCommand, "join-token", "--data-dir", dir, "--server", "https://10.0.0.6:6443", "-o", "jsonpath={.server}")
	if err != nil || out != "https://10.0.0.6:6443" {
		t.Errorf("%q %v", out, err)
	}
	for part, line := range map[string][]string{
		"which hub's?":                       {"join-token"},
		"--validity=1s must be":              {"join-token", "--data-dir", dir, "--validity", "1s"},
		"--validity=25h0m0s must be":         {"join-token", "--data-dir", dir, "--validity", "25h"},
		"is not the data directory of a hub": {"join-token", "--data-dir", t.TempDir()},
	} {
		if _, _, err := run(t, NewAdminCommand, line...); err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestEncryption(t *testing.T) {
	h := hubtest.New(t)
	report := hubs.Report{
		Own: true, Keys: []datadir.EncryptionKey{{Name: "key2", ID: "ab"}, {Name: "key1", ID: "cd"}}, Resources: []string{"configmaps", "secrets"}, Reads: []string{"widgets.example.com"},
		Rotation: &hubs.Rotation{Stage: hubs.Rewriting, Since: noon().Now().Add(-90 * time.Second), Key: "key2"}, Rewritten: 7,
		Hubs: []hubs.HubReport{{ID: "a", Addresses: []string{"https://10.0.0.1:6443"}, InStep: true}, {ID: "b", Addresses: []string{"https://10.0.0.2:6443"}}},
	}
	h.Handle("/hanse/encryption", func(w http.ResponseWriter, _ *http.Request) { hubtest.Respond(w, http.StatusOK, report) })
	const want = `KEY    ID   USE
key2   ab   reads and writes
key1   cd   reads

Encrypted: configmaps, secrets.
In plain text, and readable if encrypted: widgets.example.com.
The key is being replaced: Rewriting for 90s, 7 objects written again.
The hub at https://10.0.0.2:6443 has not taken over these keys yet.
`
	if out, _, err := run(t, NewEncryptionCommand, "status", "--kubeconfig", h.Kubeconfig); err != nil || out != want {
		t.Errorf("%v\n%s", err, out)
	}
	report = hubs.Report{Keys: []datadir.EncryptionKey{{Name: "vault", ID: "kms"}}, Resources: []string{"secrets"}, Problem: "the disk is full"}
	out, _, err := run(t, NewEncryptionCommand, "status", "--kubeconfig", h.Kubeconfig)
	if err == nil || err.Error() != "the disk is full" || !strings.Contains(out, "are those of an --encryption-provider-config") || strings.Contains(out, "replaced") {
		t.Errorf("%v\n%s", err, out)
	}

	dir := dataDir(t)
	if _, said, err := run(t, NewEncryptionCommand, "rotate", "--data-dir", dir, "--encrypt", "secrets,configmaps"); err != nil || !strings.Contains(said, "hanse encryption status") {
		t.Error(said, err)
	}
	for part, line := range map[string][]string{
		"which hub's?":                 {"rotate"},
		"was asked for already":        {"rotate", "--data-dir", dir},
		"leaves Secrets":               {"rotate", "--data-dir", dir, "--encrypt", "configmaps"},
		"is not the data directory":    {"rotate", "--data-dir", t.TempDir()},
		"\"*.apps\" is not a resource": {"rotate", "--data-dir", dir, "--encrypt", "secrets,*.apps"},
	} {
		if _, _, err := run(t, NewEncryptionCommand, line...); err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%q: %v", line, err)
		}
	}
}
