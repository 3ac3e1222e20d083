package attack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
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
