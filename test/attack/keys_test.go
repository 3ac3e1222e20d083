package attack

import (
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
