package members

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/audit"
	"github.com/hanse-dev/hanse/internal/cli/hubtest"
)

func audits(s genericiooptions.IOStreams) *cobra.Command { return NewAuditCommand(s, later()) }

func TestAudit(t *testing.T) {
	h := hubtest.New(t)
	at := later().Now().Add(-time.Minute)
	local := at.Local().Format("2006-01-02 15:04:05")
	entries := []audit.Entry{
		{At: at, User: "alice", By: "admin", Verb: "patch", Object: "deployments.apps/shop/web", Code: 200, AuditID: "1", SourceIPs: []string{"10.0.0.9"}},
		{At: at, User: "alice", Cluster: "google", Verb: "patch", Object: "deployments.apps/shop/web", AuditID: "1", Decision: "google=3", Cause: "the object was written"},
		{At: at, Cluster: "google", Verb: "delete", Object: "namespaces//old\x1b[2J\nforged", Error: "quota"},
	}
	var asked []string
	h.Handle("/hanse/audit", func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Encode())
		if r.URL.Query().Get("user") == "nobody" {
			hubtest.Respond(w, http.StatusOK, audit.Report{})
			return
		}
		hubtest.Respond(w, http.StatusOK, audit.Report{Entries: entries})
	})
	out, errOut, err := h.Run(t, audits, "")
	want := []string{
		"TIME USER WHERE DID OBJECT RESULT",
		local + " alice (by admin) hub patch deployments.apps/shop/web 200",
		local + " alice google patch deployments.apps/shop/web ok",
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || errOut != "" || len(lines) != 4 || strings.Contains(out, "\x1b") || !strings.HasSuffix(lines[3], "quota") || !strings.Contains(lines[3], " - ") {
		t.Errorf("%v %q\n%s", err, errOut, out)
	}
	for i, w := range want {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != w {
			t.Errorf("%q, want %q", got, w)
		}
	}
	if out, _, err = h.Run(t, audits, "", "-o", "wide", "--cluster", "google", "--user", "alice", "-n", "shop", "--since", "2h", "--limit", "7"); err != nil || !strings.Contains(out, "the object was written: google=3") {
		t.Errorf("%v\n%s", err, out)
	}
	if got := asked[len(asked)-1]; got != "cluster=google&limit=7&namespace=shop&since=2026-01-01T22%3A00%3A00Z&user=alice" {
		t.Error(got)
	}
	if _, errOut, err = h.Run(t, audits, "", "--user", "nobody"); err != nil || !strings.Contains(errOut, "Try: a longer --since") {
		t.Error(errOut, err)
	}
	for part, line := range map[string]string{
		"--since=-1h0m0s":             "--since -1h",
		"--limit=0":                   "--limit 0",
		"--flight goes with":          "--flight x",
		"a file is read once":         "--file x -f",
		"not -o yaml":                 "-f -o yaml",
		"is not RESOURCE.GROUP/NAME":  "--file x --object web",
		"\"web\" is not KIND/NAME":    "--object web",
		"the hub has no kind nonsens": "--object nonsense/web",
	} {
		if _, _, err := h.Run(t, audits, "", strings.Fields(line)...); err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestAuditFollows(t *testing.T) {
	h := hubtest.New(t)
	asked := 0
	h.Handle("/hanse/audit", func(w http.ResponseWriter, r *http.Request) {
		if asked++; r.URL.Query().Get("follow") != "true" || asked > 2 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		for i := range asked { // the second answer has what was told before, too
			_ = json.NewEncoder(w).Encode(audit.Entry{At: later().Now(), User: []string{"alice", "bob"}[i], AuditID: string(rune('1' + i)), Verb: "patch", Object: "pods/shop/web", Code: 200})
		}
	})
	out, _, err := h.Run(t, audits, "", "-f", "-o", "json")
	if err == nil || !strings.Contains(err.Error(), "hanse:audit") || strings.Count(out, `"user":"alice"`) != 1 || strings.Count(out, `"user":"bob"`) != 1 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAuditOfAFile(t *testing.T) {
	h := hubtest.New(t)
	file := filepath.Join(t.TempDir(), "audit.log")
	event := `{"auditID":"1","stage":"ResponseComplete","verb":"patch","user":{"username":"alice"},"objectRef":{"resource":"deployments","apiGroup":"apps","namespace":"shop","name":"web"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-01-01T23:59:00Z"}` + "\n"
	if err := os.WriteFile(file, []byte(event), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := h.Run(t, audits, "", "--file", file, "--object", "deployments.apps/web", "-o", "jsonpath={.entries[*].user}")
	if err != nil || out != "alice" {
		t.Errorf("%q %v", out, err)
	}
}
