package member

import (
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/apitest"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

const settings = "/api/v1/namespaces/shop/configmaps/settings"

func isDiscovery(r *http.Request) bool {
	return r.URL.Path == "/api" || r.URL.Path == "/apis"
}

// TestDiscoveryThatFailsOnceIsAskedAgain: a member whose discovery fails as its session
// begins gets everything once it answers.
func TestDiscoveryThatFailsOnceIsAskedAgain(t *testing.T) {
	m := newMemberAPI(t)
	m.setFault(func(r *http.Request) (int, string) {
		if isDiscovery(r) {
			return 503, "no server is available"
		}
		return 0, ""
	})
	h := newHub()
	member := m.join(t, h, "aws")
	key := h.put(configMaps(), configMap("settings"))
	if message := h.waitForState(t, member, key, v1alpha1.StateUnknown); !strings.Contains(message, "configmaps") || !strings.Contains(message, "discovered") {
		t.Errorf("the placement says %q", message)
	}
	if unread := member.Unreadable(nil); !strings.Contains(unread, "configmaps") {
		t.Errorf("the Cluster's condition says %q", unread)
	}
	m.setFault(nil)
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	if m.get(settings) == nil {
		t.Error("it is not in the member")
	}
	if unread := member.Unreadable(nil); unread != "" {
		t.Errorf("afterwards it says %q", unread)
	}
}

// TestPartialDiscoveryKeepsWhatIsKnown: a group that is down takes nothing along.
func TestPartialDiscoveryKeepsWhatIsKnown(t *testing.T) {
	m := newMemberAPI(t)
	m.setFault(func(r *http.Request) (int, string) {
		if r.URL.Path == "/apis/apps/v1" {
			return 503, apitest.Status(503, "ServiceUnavailable")
		}
		return 0, ""
	})
	h := newHub()
	member := m.join(t, h, "aws")
	key := h.put(configMaps(), configMap("settings"))
	web := h.put(deployments(), deploymentOf(2))
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	h.waitForState(t, member, web, v1alpha1.StateUnknown)
	if unread := member.Unreadable(nil); !strings.Contains(unread, "deployments.apps") || strings.Contains(unread, "configmaps") {
		t.Errorf("the Cluster's condition says %q", unread)
	}
	m.setFault(nil)
	h.waitForState(t, member, web, v1alpha1.StateSynced)

	// And the other way round: what is watched goes on when discovery fails.
	m.setFault(func(r *http.Request) (int, string) {
		if isDiscovery(r) || r.URL.Path == "/apis/apps/v1" {
			return 503, apitest.Status(503, "ServiceUnavailable")
		}
		return 0, ""
	})
	member.Refresh()
	m.remove(settings)
	waitFor(t, "the object to be created again", func() bool { return m.get(settings) != nil })
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	if unread := member.Unreadable(nil); unread != "" {
		t.Errorf("nothing is unknown, and it says %q", unread)
	}
}

// TestWhatCannotBeReadIsNotGreen: with a watch that was cut and a list that is refused,
// what was known is old.
func TestWhatCannotBeReadIsNotGreen(t *testing.T) {
	for _, code := range []int{401, 403, 500} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			t.Parallel()
			m := newMemberAPI(t)
			h := newHub()
			member := m.join(t, h, "aws")
			key := h.put(configMaps(), configMap("settings"))
			web := h.put(deployments(), deploymentOf(2))
			h.waitForState(t, member, key, v1alpha1.StateSynced)
			h.waitForState(t, member, web, v1alpha1.StateSynced)

			m.cut() // and back at once: that is no news
			waitFor(t, "new watches", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.watching) >= 3 })

			m.setFault(func(r *http.Request) (int, string) {
				if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/api/v1/configmaps") {
					return code, apitest.Status(code, http.StatusText(code))
				}
				return 0, ""
			})
			if state, _ := h.stateOf(member, key); state != v1alpha1.StateSynced {
				t.Errorf("a short cut made it %s", state)
			}
			m.cut()
			m.remove(settings)
			message := h.waitForState(t, member, key, v1alpha1.StateUnknown)
			if !strings.Contains(message, "configmaps cannot be read") || !strings.Contains(message, http.StatusText(code)) {
				t.Errorf("the placement says %q", message)
			}
			if state, _ := h.stateOf(member, web); state != v1alpha1.StateSynced {
				t.Errorf("another kind is %s", state)
			}
			if unread := member.Unreadable(nil); !strings.HasPrefix(unread, "configmaps: ") {
				t.Errorf("the Cluster's condition says %q", unread)
			}
			m.setFault(nil)
			waitFor(t, "the object to be created again", func() bool { return m.get(settings) != nil })
			h.waitForState(t, member, key, v1alpha1.StateSynced)
			if unread := member.Unreadable(nil); unread != "" {
				t.Errorf("afterwards it says %q", unread)
			}
		})
	}
}

// TestAStatusThatChangedWhileNoWatchWasOpenIsTold: nothing else is different, so that no worker has anything to do.
func TestAStatusThatChangedWhileNoWatchWasOpenIsTold(t *testing.T) {
	h := newHub()
	m := New("aws", h.options(), h, h)
	s := unconnected(m, func() {})
	t.Cleanup(s.queue.Stop)
	s.kinds[deployments()] = &kind{read: true, listed: true, stop: func() {}}
	in := &sink{session: s, gr: deployments()}
	web := deploymentOf(2)
	meta := web["metadata"].(map[string]any)
	meta["uid"], meta["resourceVersion"] = "there", "7"
	origin := lineage.Origin{Hub: hubUID, Session: "now", Revision: 7, Template: "template-web", On: template.Key{GR: deployments(), Namespace: "shop", Name: "web"}.Object()}
	meta["annotations"] = map[string]any{v1alpha1.AnnotationOrigin: origin.String()}
	meta["labels"] = map[string]any{v1alpha1.LabelManaged: "true"}
	in.replace([]*unstructured.Unstructured{unstructuredOf(web)}, 7)
	h.statuses = 0
	in.replace([]*unstructured.Unstructured{unstructuredOf(web)}, 8)
	if h.statuses != 0 {
		t.Errorf("nothing has changed, and %d statuses are made again", h.statuses)
	}
	next := runtime.DeepCopyJSON(web)
	next["metadata"].(map[string]any)["resourceVersion"] = "9"
	next["status"] = map[string]any{"readyReplicas": int64(2)}
	in.replace([]*unstructured.Unstructured{unstructuredOf(next)}, 9)
	if h.statuses != 1 {
		t.Errorf("one has changed, and %d statuses are made again", h.statuses)
	}
}

// TestWhatCannotBeReadIsLookedAtBeforeItIsLowered: what was known of it is old, and more may be ready by now.
func TestWhatCannotBeReadIsLookedAtBeforeItIsLowered(t *testing.T) {
	m := newMemberAPI(t)
	h := newHub()
	member := m.join(t, h, "aws")
	web := h.put(deployments(), deploymentOf(3))
	h.waitForState(t, member, web, v1alpha1.StateSynced)
	m.setFault(func(r *http.Request) (int, string) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/deployments") {
			return 403, apitest.Status(403, "Forbidden")
		}
		return 0, ""
	})
	m.cut()
	h.waitForState(t, member, web, v1alpha1.StateUnknown)
	m.change("/apis/apps/v1/namespaces/shop/deployments/web", func(obj map[string]any) {
		obj["status"] = map[string]any{"readyReplicas": int64(3)}
	})
	h.with(web, func(w *decide.Wanted) { w.Share.Replicas = 1 })
	waitFor(t, "the hub to be asked", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.lowered != nil })
	if n := h.lowered.Count("readyReplicas"); n != 3 {
		t.Errorf("it is asked as if %d were ready", n)
	}
}
