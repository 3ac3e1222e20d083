package member

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rights"
)

// TestKindsBeyondTheRole are held, and neither read nor tried; what the role covers is not concerned. They come when the role does.
func TestKindsBeyondTheRole(t *testing.T) {
	m := newMemberAPI(t)
	h := newHub()
	h.access = &rights.Access{RBAC: true, Namespaces: []string{"shop"}}
	asked := make(chan string, 1000)
	m.setFault(func(r *http.Request) (int, string) {
		if strings.Contains(r.URL.Path, "/namespaces/web/") || r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/namespaces/web") {
			asked <- r.Method + " " + r.URL.Path
		}
		return 0, ""
	})
	member := New("aws", h.options(), h, h)
	h.members = append(h.members, member)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		m.server.CloseClientConnections()
	})
	if err := member.Engage(ctx, &rest.Config{Host: m.server.URL, QPS: -1}); err != nil {
		t.Fatal(err)
	}
	inIts := h.put(configMaps(), configMap("settings"))
	other := configMap("settings")
	other["metadata"].(map[string]any)["namespace"] = "web"
	inAnother := h.put(configMaps(), other)
	h.waitForState(t, member, inIts, v1alpha1.StateSynced)
	if message := h.waitForState(t, member, inAnother, v1alpha1.StateConflict); !strings.Contains(message, "no namespace but shop") || !strings.Contains(message, "Try: hanse join aws") {
		t.Errorf("said: %s", message)
	}
	select {
	case what := <-asked:
		t.Errorf("the hub tried: %s", what)
	default:
	}
	if s := member.engaged(); s.queue.NumRequeues(inAnother) != 0 {
		t.Error("it is tried again and again")
	}
	h.mu.Lock()
	all := rights.All()
	h.access = &all
	h.mu.Unlock()
	before := member.engaged()
	member.Restart()
	waitFor(t, "another session", func() bool { s := member.engaged(); return s != nil && s != before })
	h.waitForState(t, member, inAnother, v1alpha1.StateSynced)
}

// TestSecretsOfItsNamespacesOnlyAreRead: one that is bound to namespaces asks for the Secrets of these, and knows all of them.
func TestSecretsOfItsNamespacesOnlyAreRead(t *testing.T) {
	m := newMemberAPI(t)
	h := newHub()
	secrets := schema.GroupResource{Resource: "secrets"}
	h.serves(schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, "secrets")
	m.more = map[string]schema.GroupVersionKind{"/api/v1/secrets": {Version: "v1", Kind: "Secret"}}
	h.access = &rights.Access{RBAC: true, Namespaces: []string{"shop", "web"}}
	m.setFault(func(r *http.Request) (int, string) {
		if r.URL.Path == "/api/v1/secrets" {
			return http.StatusForbidden, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"no right to all Secrets"}`
		}
		return 0, ""
	})
	member := m.join(t, h, "aws")
	var keys []template.Key
	for _, ns := range []string{"shop", "web"} {
		for i := range 2 {
			keys = append(keys, h.put(secrets, map[string]any{"apiVersion": "v1", "kind": "Secret",
				"metadata": map[string]any{"name": fmt.Sprint("s", i), "namespace": ns}, "data": map[string]any{"a": "Yg=="}}))
		}
	}
	for _, key := range keys {
		h.waitForState(t, member, key, v1alpha1.StateSynced)
	}
	// A list of one namespace says nothing of the others.
	m.cut()
	h.drop(keys[0])
	waitFor(t, "its deletion", func() bool { return m.get("/api/v1/namespaces/shop/secrets/s0") == nil })
	for _, key := range keys[1:] {
		h.waitForState(t, member, key, v1alpha1.StateSynced)
	}
	m.remove("/api/v1/namespaces/web/secrets/s1")
	waitFor(t, "what was deleted in the member", func() bool { return m.get("/api/v1/namespaces/web/secrets/s1") != nil })
}

// TestWhatIsDeniedIsNotTriedForEver: it is tried for seconds, as rights that were just given are not known everywhere, and then rarely.
func TestWhatIsDeniedIsNotTriedForEver(t *testing.T) {
	m := newMemberAPI(t)
	h := newHub()
	m.setFault(func(r *http.Request) (int, string) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/configmaps") {
			return http.StatusForbidden, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,
				"message":"configmaps is forbidden: User \"system:serviceaccount:hanse-system:hanse-hub\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"shop\""}`
		}
		return 0, ""
	})
	member := m.join(t, h, "aws")
	key := h.put(configMaps(), configMap("settings"))
	if message := h.waitForState(t, member, key, v1alpha1.StateError); !strings.Contains(message, "cannot create resource") || !strings.Contains(message, "Try: hanse join aws") {
		t.Errorf("said: %s", message)
	}
	s := member.engaged()
	waitFor(t, "the tries", func() bool { return s.queue.NumRequeues(key) >= triesWithoutRight-1 })
	waitFor(t, "an end of them", func() bool { return s.queue.NumRequeues(key) == 0 })
}
