package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/audit"
)

// TestTheHubsKeysAreNoRight asks a hub for its keys, as another hub does, with every right that there is: by a binding to cluster-admin, by
// impersonation of system:masters, with a token that was guessed, and with none.
func TestTheHubsKeysAreNoRight(t *testing.T) {
	admin := suite.person(t, "admin", grant{role: "cluster-admin"})
	masters := rest.CopyConfig(suite.admin.config)
	masters.Impersonate = rest.ImpersonationConfig{UserName: "system:hanse", Groups: []string{"system:masters"}}
	impersonator, err := newPerson("impersonator", masters)
	must(t, err)
	stranger, err := newPerson("stranger", rest.AnonymousClientConfig(suite.admin.config))
	must(t, err)
	for _, p := range []*person{suite.admin, admin, impersonator, stranger} {
		for body, says := range map[string]string{
			`{}`: "hanse admin join-token", `{"token":"guessed"}`: "is not known at this hub", `{"token":"../pki/ca.key"}`: "is not known at this hub",
		} {
			answer, err := p.Discovery().RESTClient().Post().AbsPath("/hanse/keys").Body([]byte(body)).DoRaw(t.Context())
			if strings.Contains(string(answer), "pki/") || strings.Contains(string(answer), "PRIVATE") {
				t.Fatalf("%s got keys for %s", p.name, body)
			}
			refused(t, err)
			if !strings.Contains(string(answer), says) {
				t.Errorf("%s, %s: %s (%v), want %q", p.name, body, answer, err, says)
			}
		}
	}
}

// TestEncryptionIsNotForTheAPI: with every right at the hub, nobody has the database's key replaced, or sees more of it than its name and
// fingerprint; without any, nobody sees that.
func TestEncryptionIsNotForTheAPI(t *testing.T) {
	stranger, err := newPerson("stranger", rest.AnonymousClientConfig(suite.admin.config))
	must(t, err)
	if _, err := stranger.Discovery().RESTClient().Get().AbsPath("/hanse/encryption").DoRaw(t.Context()); err == nil {
		t.Error("a stranger sees how the database is encrypted")
	}
	read := func() string {
		answer, err := suite.admin.Discovery().RESTClient().Get().AbsPath("/hanse/encryption").DoRaw(t.Context())
		must(t, err)
		return string(answer)
	}
	before := read()
	if !strings.Contains(before, `"name":"key1"`) || strings.Contains(before, "secretbox") || strings.Contains(before, `"rotation"`) {
		t.Fatal(before)
	}
	config, err := os.ReadFile(filepath.Join(suite.hub.DataDir(), "config", "encryption.yaml"))
	must(t, err)
	_, key, _ := strings.Cut(string(config), "secret: ")
	key, _, _ = strings.Cut(key, "\n")
	if len(key) < 40 || strings.Contains(before, key) {
		t.Fatal("the key is shown")
	}
	for _, verb := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		if answer, err := suite.admin.Discovery().RESTClient().Verb(verb).AbsPath("/hanse/encryption").Body([]byte(`{"encrypt":["configmaps"]}`)).DoRaw(t.Context()); err == nil {
			t.Errorf("%s: %s", verb, answer)
		}
	}
	if after := read(); after != before {
		t.Errorf("%s, before %s", after, before)
	}
}

// TestTheAuditLogTakesARight: what people do, from where, is not for those who edit and administer everything in all namespaces, nor for
// who may see all; with the ClusterRole hanse:audit it is.
func TestTheAuditLogTakesARight(t *testing.T) {
	stranger, err := newPerson("stranger", rest.AnonymousClientConfig(suite.admin.config))
	must(t, err)
	read := func(p *person) (string, error) {
		answer, err := p.Discovery().RESTClient().Get().AbsPath("/hanse/audit").DoRaw(t.Context())
		return string(answer), err
	}
	if _, err := read(stranger); err == nil {
		t.Error("a stranger reads the audit log")
	}
	for _, p := range []*person{suite.person(t, "viewer", grant{role: "view"}), suite.person(t, "administrator", grant{role: "admin"})} {
		_, err := read(p)
		refused(t, err)
	}
	auditor := suite.person(t, "auditor", everywhere(may("get", "configmaps")), grant{role: "hanse:audit"})
	eventually(t, func(context.Context) error {
		answer, err := read(auditor)
		if err == nil && !strings.Contains(answer, `"entries":[{`) {
			t.Fatal(answer)
		}
		return err
	})
	for _, verb := range []string{"POST", "PUT", "DELETE"} {
		_, err := auditor.Discovery().RESTClient().Verb(verb).AbsPath("/hanse/audit").DoRaw(t.Context())
		refused(t, err)
	}
}

// TestNobodyHidesBehindAnAuditID: clients may choose the ID of a request. Who chooses that of somebody else's, to have a write in a member
// taken for theirs, is named beside them.
func TestNobodyHidesBehindAnAuditID(t *testing.T) {
	ns := suite.namespace(t, "hidden")
	alice, mallory := suite.person(t, "alice", as("edit", ns)), suite.person(t, "mallory", as("edit", ns))
	const id = "0f0f0f0f-0000-4000-8000-000000000000"
	write := func(p *person, value string) {
		t.Helper()
		body := `{"metadata":{"name":"web"},"data":{"by":"` + value + `"}}`
		err := p.CoreV1().RESTClient().Post().SetHeader("Audit-ID", id).Namespace(ns).Resource("configmaps").Body([]byte(body)).Do(t.Context()).Error()
		if err != nil {
			err = p.CoreV1().RESTClient().Patch(types.MergePatchType).SetHeader("Audit-ID", id).Namespace(ns).Resource("configmaps").Name("web").Body([]byte(body)).Do(t.Context()).Error()
		}
		must(t, err)
	}
	write(alice, "alice")
	write(mallory, "mallory")
	eventually(t, func(ctx context.Context) error {
		answer, err := suite.admin.Discovery().RESTClient().Get().AbsPath("/hanse/audit").Param("namespace", ns).Param("name", "web").Param("cluster", "aws").DoRaw(ctx)
		if err != nil {
			return err
		}
		var report audit.Report
		if err := json.Unmarshal(answer, &report); err != nil {
			return err
		}
		for _, e := range report.Entries {
			if e.Verb == "patch" && strings.Contains(e.User, alice.name) && strings.Contains(e.User, mallory.name) {
				return nil
			}
		}
		return fmt.Errorf("%s", answer)
	})
}
