package propagate

import (
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func unstructuredOf(obj map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: obj}
}

func configMap(name string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop", "uid": name},
		"data": map[string]any{"key": "value"}}
}

const settings = "/api/v1/namespaces/shop/configmaps/settings"

// stateOf is that of an object in a cluster, and what is said about it.
func stateOf(e *Engine, key Key, cluster string) (state, message string) {
	p, _ := e.Placement(key, "p")
	for _, c := range p.Clusters {
		if c.Name == cluster {
			return c.State, c.LastError + c.Message
		}
	}
	return "", ""
}

func waitForState(t *testing.T, e *Engine, key Key, want string) (message string) {
	t.Helper()
	waitFor(t, "state "+want, func() (done bool) {
		var state string
		state, message = stateOf(e, key, "aws")
		return state == want
	})
	return message
}

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
	e, _ := m.engaged(t)
	key := put(e, configMaps(), configMap("settings"))
	if message := waitForState(t, e, key, v1alpha1.StateUnknown); !strings.Contains(message, "configmaps") || !strings.Contains(message, "discovered") {
		t.Errorf("the placement says %q", message)
	}
	if unread := e.Report("aws").Unread; !strings.Contains(unread, "configmaps") {
		t.Errorf("the Cluster's condition says %q", unread)
	}
	m.setFault(nil)
	waitForState(t, e, key, v1alpha1.StateSynced)
	if m.get(settings) == nil {
		t.Error("it is not in the member")
	}
	if unread := e.Report("aws").Unread; unread != "" {
		t.Errorf("afterwards it says %q", unread)
	}
}

// TestPartialDiscoveryKeepsWhatIsKnown: a group that is down takes nothing along.
func TestPartialDiscoveryKeepsWhatIsKnown(t *testing.T) {
	m := newMemberAPI(t)
	m.setFault(func(r *http.Request) (int, string) {
		if r.URL.Path == "/apis/apps/v1" {
			return 503, status(503, "ServiceUnavailable")
		}
		return 0, ""
	})
	e, member := m.engaged(t)
	key := put(e, configMaps(), configMap("settings"))
	web := put(e, deployments(), deploymentOf(2))
	waitForState(t, e, key, v1alpha1.StateSynced)
	waitForState(t, e, web, v1alpha1.StateUnknown)
	if unread := e.Report("aws").Unread; !strings.Contains(unread, "deployments.apps") || strings.Contains(unread, "configmaps") {
		t.Errorf("the Cluster's condition says %q", unread)
	}
	m.setFault(nil)
	waitForState(t, e, web, v1alpha1.StateSynced)

	// And the other way round: what is watched goes on when discovery fails.
	m.setFault(func(r *http.Request) (int, string) {
		if isDiscovery(r) || r.URL.Path == "/apis/apps/v1" {
			return 503, status(503, "ServiceUnavailable")
		}
		return 0, ""
	})
	member.refresh()
	m.remove(settings)
	waitFor(t, "the object to be made again", func() bool { return m.get(settings) != nil })
	waitForState(t, e, key, v1alpha1.StateSynced)
	if unread := e.Report("aws").Unread; unread != "" {
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
			e, member := m.engaged(t)
			key := put(e, configMaps(), configMap("settings"))
			web := put(e, deployments(), deploymentOf(2))
			waitForState(t, e, key, v1alpha1.StateSynced)
			waitForState(t, e, web, v1alpha1.StateSynced)

			m.cut() // and back at once: that is no news
			waitFor(t, "new watches", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.watching) >= len(memberKinds()) })

			m.setFault(func(r *http.Request) (int, string) {
				if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/api/v1/configmaps") {
					return code, status(code, http.StatusText(code))
				}
				return 0, ""
			})
			if state, _ := stateOf(e, key, "aws"); state != v1alpha1.StateSynced {
				t.Errorf("a short cut made it %s", state)
			}
			m.cut()
			m.remove(settings)
			message := waitForState(t, e, key, v1alpha1.StateUnknown)
			if !strings.Contains(message, "configmaps cannot be read") || !strings.Contains(message, http.StatusText(code)) {
				t.Errorf("the placement says %q", message)
			}
			if state, _ := stateOf(e, web, "aws"); state != v1alpha1.StateSynced {
				t.Errorf("another kind is %s", state)
			}
			if unread := e.Report("aws").Unread; !strings.HasPrefix(unread, "configmaps: ") {
				t.Errorf("the Cluster's condition says %q", unread)
			}
			tmpl, _ := e.template(key)
			if s := e.statusOf(tmpl, member, member.get(key)); s.Synced {
				t.Error("the status counts it as being as wanted")
			}
			m.setFault(nil)
			waitFor(t, "the object to be made again", func() bool { return m.get(settings) != nil })
			waitForState(t, e, key, v1alpha1.StateSynced)
			if unread := e.Report("aws").Unread; unread != "" {
				t.Errorf("afterwards it says %q", unread)
			}
		})
	}
}

func deploymentOf(replicas int64) map[string]any {
	return map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "web"},
		"spec": map[string]any{"replicas": replicas, "selector": map[string]any{"matchLabels": map[string]any{"app": "web"}}}}
}
