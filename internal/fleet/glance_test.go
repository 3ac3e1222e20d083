package fleet

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

const systemPath = "/api/v1/namespaces/hanse-system"

// looked is a member that one whole look has found well, its API server, and the paths
// that it is asked for since.
func looked(t *testing.T) (*member, *fakeAPI, func() []string) {
	t.Helper()
	api := newFakeAPI(t, "member-uid")
	api.put(systemPath, systemNamespaceOf("hub-uid", "system-uid", nil))
	m := newMember(&Fleet{clock: clock.RealClock{}, hubUID: "hub-uid", clusters: cache.NewIndexer(cache.MetaNamespaceKeyFunc, clusterIndex())}, "aws")
	m.spec, m.cred = v1alpha1.ClusterSpec{Endpoint: api.URL, CABundle: pemOf(api.Certificate()), UID: "member-uid"}, access.Credential{Token: adminToken}
	m.cred.For = access.WayOf(&m.spec)
	m.token.set(adminToken)
	var err error
	if m.link, err = newLink(t.Context(), m.spec, m.token, m.line); err != nil {
		t.Fatal(err)
	}
	m.health = newHealth().next(verdict{reason: v1alpha1.ReasonReachable})
	if v := look(t, m); !v.ok() {
		t.Fatalf("%+v", v)
	}
	m.surveyAt = time.Now().Add(time.Hour)
	paths := make(chan string, 100)
	api.setIntercept(func(r *http.Request) int { paths <- r.URL.Path; return 0 })
	return m, api, func() (all []string) {
		for len(paths) > 0 {
			all = append(all, <-paths)
		}
		slices.Sort(all)
		return all
	}
}

// look is one step of the member's health.
func look(t *testing.T, m *member) verdict {
	t.Helper()
	v := m.guardedLook(t.Context(), &v1alpha1.Cluster{Spec: m.spec})
	m.health = m.health.next(v)
	return v
}

func systemNamespaceOf(hub, uid string, more map[string]any) map[string]any {
	annotations := map[string]any{access.AnnotationHub: hub}
	for k, v := range more {
		annotations[k] = v
	}
	return map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": "hanse-system", "uid": uid, "annotations": annotations}}
}

func TestAMemberThatIsWellIsAskedOneThing(t *testing.T) {
	t.Parallel()
	m, _, asked := looked(t)
	for range 3 {
		for range 2 {
			if v := look(t, m); !v.ok() {
				t.Fatalf("%+v", v)
			}
		}
		if got, want := asked(), []string{systemPath, "/readyz"}; !slices.Equal(got, want) {
			t.Errorf("two looks ask for %v, want %v", got, want)
		}
	}
	m.surveyAt = time.Time{}
	look(t, m)
	if got := asked(); !slices.Contains(got, "/readyz") || !slices.Contains(got, systemPath) || !slices.Contains(got, "/api/v1/namespaces/kube-system") {
		t.Errorf("a look that is due to be whole asks for %v", got)
	}
}

// Whatever is amiss is found by the second look at the latest, as by a whole one.
func TestAGlanceMissesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(m *member, api *fakeAPI)
		reason  string
		foreign bool
	}{
		"not ready": {reason: v1alpha1.ReasonNotReady, change: func(_ *member, api *fakeAPI) {
			api.setIntercept(func(r *http.Request) int {
				if r.URL.Path == "/readyz" {
					return http.StatusInternalServerError
				}
				return 0
			})
		}},
		"its reads fail": {reason: v1alpha1.ReasonNotReady, change: func(_ *member, api *fakeAPI) {
			api.setIntercept(func(r *http.Request) int {
				if r.URL.Path != "/readyz" {
					return http.StatusInternalServerError
				}
				return 0
			})
		}},
		"the credential is revoked": {reason: v1alpha1.ReasonAuthenticationFailed, change: func(_ *member, api *fakeAPI) { api.revoke(adminToken) }},
		"the right is taken": {reason: v1alpha1.ReasonPermissionDenied, change: func(_ *member, api *fakeAPI) {
			api.setIntercept(func(r *http.Request) int {
				if strings.Contains(r.URL.Path, "namespaces") {
					return http.StatusForbidden
				}
				return 0
			})
		}},
		"another hub takes it over": {reason: v1alpha1.ReasonPermissionDenied, foreign: true, change: func(_ *member, api *fakeAPI) {
			api.put(systemPath, systemNamespaceOf("another", "system-uid", nil))
		}},
		"another cluster": {reason: v1alpha1.ReasonIdentityChanged, change: func(_ *member, api *fakeAPI) {
			api.put("/api/v1/namespaces/kube-system", map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": "kube-system", "uid": "impostor"}})
			api.put(systemPath, systemNamespaceOf("hub-uid", "another-uid", nil))
		}},
		"another cluster of nobody": {reason: v1alpha1.ReasonIdentityChanged, change: func(_ *member, api *fakeAPI) {
			api.put("/api/v1/namespaces/kube-system", map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": "kube-system", "uid": "impostor"}})
			api.mu.Lock()
			delete(api.objects, systemPath)
			api.mu.Unlock()
		}},
		"rubbish": {reason: v1alpha1.ReasonIdentityChanged, change: func(_ *member, api *fakeAPI) {
			api.setRubbish([]byte(`{"kind":"Namespace","apiVersion":"v1"}`))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, api, _ := looked(t)
			look(t, m) // so that the digest is known
			look(t, m)
			c.change(m, api)
			v := look(t, m)
			if v.ok() {
				v = look(t, m)
			}
			if v.reason != c.reason || v.foreign != c.foreign {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestAGlanceSeesTheNoteOfTheHubsRun(t *testing.T) {
	t.Parallel()
	m, api, asked := looked(t)
	api.put(systemPath, systemNamespaceOf("hub-uid", "system-uid", map[string]any{access.AnnotationSession: "now"}))
	for range 2 {
		if v := look(t, m); !v.ok() {
			t.Errorf("%+v", v)
		}
	}
	if got := asked(); m.said.session != "now" || m.said.uid != "member-uid" || len(got) != 2 {
		t.Errorf("%+v, asked for %v", m.said, got)
	}
	long := strings.Repeat("x", maxGlance)
	api.put(systemPath, systemNamespaceOf("hub-uid", "system-uid", map[string]any{access.AnnotationSession: "now", "long": long}))
	for range 2 {
		if v := look(t, m); !v.ok() {
			t.Errorf("%+v", v)
		}
	}
	if got := asked(); len(got) != 5 {
		t.Errorf("an answer that is too long for a glance: asked for %v, want a whole look", got)
	}
}

// What somebody else writes into a status does not stay because the hub has nothing
// else to say than before.
func TestAStatusThatSomebodyElseWritesIsPutRight(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	phase := func() string {
		status, _ := f.hub.get(clusterPath)["status"].(map[string]any)
		s, _ := status["phase"].(string)
		return s
	}
	f.eventually(t, "ready", func() bool { return phase() == v1alpha1.ClusterReady })
	var looks atomic.Int32
	f.member.setIntercept(func(*http.Request) int { looks.Add(1); return 0 })
	f.eventually(t, "some looks at which there is nothing to write", func() bool { return looks.Load() >= 8 })
	f.hub.mu.Lock()
	o := maps.Clone(f.hub.objects[clusterPath])
	o["metadata"] = maps.Clone(o["metadata"].(map[string]any))
	o["status"] = maps.Clone(o["status"].(map[string]any))
	o["status"].(map[string]any)["phase"] = "Forged"
	f.hub.store(clusterPath, o)
	f.hub.mu.Unlock()
	f.eventually(t, "put right", func() bool { return phase() == v1alpha1.ClusterReady })
}
