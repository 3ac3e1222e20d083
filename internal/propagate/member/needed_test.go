package member

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

const (
	settingsPath = "/api/v1/namespaces/shop/configmaps/settings"
	webPath      = "/apis/apps/v1/namespaces/shop/deployments/web"
)

// namingOf is a Deployment whose pods name ConfigMaps.
func namingOf(replicas int64, names ...string) map[string]any {
	obj := deploymentOf(replicas)
	var from []any
	for _, name := range names {
		from = append(from, map[string]any{"configMapRef": map[string]any{"name": name}})
	}
	obj["spec"].(map[string]any)["template"] = map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "envFrom": from}}}}
	return obj
}

func follows(w *decide.Wanted)    { w.Needed = true }
func unnamed(w *decide.Wanted)    { w.Needed, w.Placed, w.Unnamed = true, false, true }
func notAllowed(w *decide.Wanted) { w.Needed, w.Placed = true, false }
func stays(w *decide.Wanted)      { w.Stays = true }

// rolledOut has the controllers in the member get on with the Deployment, all of whose pods are of its pod template, or only some.
func rolledOut(updated int64) func(obj map[string]any) {
	return func(obj map[string]any) {
		u := unstructuredOf(obj)
		n := *template.NumberIn(obj, "replicas")
		obj["status"] = map[string]any{"observedGeneration": u.GetGeneration(), "replicas": int64(n), "updatedReplicas": min(updated, int64(n))}
	}
}

// counting has the member count the generations of Deployments that the hub writes, as API servers do.
func (m *memberAPI) counting() *memberAPI {
	m.set("", func(path string, obj map[string]any) {
		if strings.Contains(path, "/deployments/") {
			u := unstructuredOf(obj)
			u.SetGeneration(u.GetGeneration() + 1)
		}
	})
	return m
}

// namingRig is a member with a ConfigMap that follows a Deployment which names it, once both are there.
func namingRig(t *testing.T) (*memberAPI, *hub, *Member, template.Key, template.Key) {
	t.Helper()
	m, h := newMemberAPI(t).counting(), newHub()
	member := m.join(t, h, "aws")
	settings := h.put(configMaps(), configMap("settings"))
	h.with(settings, follows)
	web := h.put(deployments(), namingOf(2, "settings"))
	h.waitForState(t, member, web, v1alpha1.StateSynced)
	m.change(webPath, rolledOut(2))
	return m, h, member, settings, web
}

// deletes is how often the ConfigMap was asked to be deleted.
func (m *memberAPI) deletes() int { return m.wrote("DELETE " + settingsPath) }

func waitForWait(t *testing.T, member *Member, key template.Key, what string) {
	t.Helper()
	waitOr(t, key.String()+" to wait for "+what, func() bool {
		o := member.Observed(key)
		return o != nil && strings.Contains(o.Waits, what)
	}, func() string {
		if o := member.Observed(key); o != nil {
			return o.Waits
		}
		return "nothing is known of it"
	})
}

// TestWhatIsNamedComesFirst: a workload is not made, nor given a pod template, before what that names is there; what cannot be
// written holds up nobody, nor does what has to be there for no pod.
func TestWhatIsNamedComesFirst(t *testing.T) {
	m, h := newMemberAPI(t), newHub()
	var refused atomic.Bool
	refused.Store(true)
	m.setFault(func(r *http.Request) (int, string) {
		if refused.Load() && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/configmaps") {
			return http.StatusInternalServerError, "not now"
		}
		return 0, ""
	})
	member := m.join(t, h, "aws")
	settings := template.Key{GR: configMaps(), Namespace: "shop", Name: "settings"}
	h.with(settings, unnamed) // it is not decided yet that it goes there, too
	h.put(configMaps(), configMap("settings"))
	web := h.put(deployments(), namingOf(2, "settings"))
	waitForWait(t, member, web, "configmaps shop/settings")
	if m.get(webPath) != nil {
		t.Fatal("it was made before what it names")
	}
	refused.Store(false)
	h.with(settings, follows)
	h.waitForState(t, member, web, v1alpha1.StateSynced)
	if m.get(settingsPath) == nil {
		t.Error("what it names is not there")
	}

	// A change that names another.
	other := template.Key{GR: configMaps(), Namespace: "shop", Name: "other"}
	h.with(other, unnamed)
	h.put(configMaps(), configMap("other"))
	h.put(deployments(), namingOf(2, "settings", "other"))
	waitForWait(t, member, web, "configmaps shop/other")
	h.with(web, func(w *decide.Wanted) { w.Share.Replicas, w.FinalReplicas = 0, 0 })
	waitFor(t, "what runs nothing to be written", func() bool { return *template.NumberIn(m.get(webPath), "replicas") == 0 })
	h.with(web, nil)
	h.with(other, notAllowed)
	h.waitForState(t, member, web, v1alpha1.StateSynced)
}

// TestWhatCannotBeWrittenHoldsUpNobody: as in a single cluster, the pods wait.
func TestWhatCannotBeWrittenHoldsUpNobody(t *testing.T) {
	m, h := newMemberAPI(t), newHub()
	m.setFault(func(r *http.Request) (int, string) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/configmaps") {
			return http.StatusForbidden, "no"
		}
		return 0, ""
	})
	member := m.join(t, h, "aws")
	began := time.Now()
	settings := h.put(configMaps(), configMap("settings"))
	h.with(settings, follows)
	web := h.put(deployments(), namingOf(2, "settings"))
	h.waitForState(t, member, web, v1alpha1.StateSynced)
	if waited := time.Since(began); waited < longestLack {
		t.Errorf("it waited for %s only, which may be a moment in which the member does not answer", waited)
	}
}

// TestWhatIsNamedLeavesLast: after the replicas, after the pods of an earlier pod template, after the workload.
func TestWhatIsNamedLeavesLast(t *testing.T) {
	for name, c := range map[string]struct {
		leave func(h *hub, web template.Key) // what is decided, beside that nothing there names it any more
		waits string                         // then
		then  func(m *memberAPI)             // the member's controllers
	}{
		"scaled to none": {
			leave: func(h *hub, web template.Key) {
				h.with(web, func(w *decide.Wanted) { w.Placed, w.Share.Replicas, w.FinalReplicas = false, 0, 0 })
			},
			then: func(m *memberAPI) { m.change(webPath, rolledOut(0)) },
		},
		"named no more": {
			leave: func(h *hub, _ template.Key) { h.put(deployments(), namingOf(2)) },
			then:  func(m *memberAPI) { m.change(webPath, rolledOut(2)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, h, member, settings, web := namingRig(t)
			h.with(settings, unnamed)
			waitForWait(t, member, settings, "deployments.apps shop/web, which names it, to go")
			c.leave(h, web)
			waitFor(t, "the Deployment to be written", func() bool { return m.wrote("PATCH "+webPath) > 0 })
			m.change(webPath, func(obj map[string]any) {
				obj["status"] = map[string]any{"observedGeneration": int64(0), "replicas": int64(2)}
			})
			waitForWait(t, member, settings, "to go")
			if m.deletes() > 0 || m.get(settingsPath) == nil {
				t.Fatal("it left while pods run that use it")
			}
			c.then(m)
			waitFor(t, "it to leave", func() bool { return m.get(settingsPath) == nil })
		})
	}
	t.Run("deleted", func(t *testing.T) {
		m, h, member, settings, web := namingRig(t)
		m.strict = true
		m.change(webPath, func(obj map[string]any) { unstructuredOf(obj).SetFinalizers([]string{"example.com/slow"}) })
		h.with(settings, unnamed)
		h.drop(web)
		waitFor(t, "the Deployment to be deleted", func() bool { o := member.Observed(web); return o != nil && o.Deleting })
		waitForWait(t, member, settings, "to go")
		if m.deletes() > 0 {
			t.Fatal("it left before what names it")
		}
		m.remove(webPath)
		waitFor(t, "it to leave", func() bool { return m.get(settingsPath) == nil })
	})
}

// TestWhatMayNotBeThereLeavesAtOnce, whoever uses it: it stays at the hub from now on, may not be in the cluster, or is deleted.
func TestWhatMayNotBeThereLeavesAtOnce(t *testing.T) {
	for name, change := range map[string]func(h *hub, settings template.Key){
		"stays at the hub": func(h *hub, settings template.Key) { h.with(settings, stays) },
		"not allowed":      func(h *hub, settings template.Key) { h.with(settings, notAllowed) },
		"deleted":          func(h *hub, settings template.Key) { h.drop(settings) },
	} {
		t.Run(name, func(t *testing.T) {
			m, h, _, settings, _ := namingRig(t)
			change(h, settings)
			waitFor(t, "it to leave", func() bool { return m.get(settingsPath) == nil })
			if m.get(webPath) == nil {
				t.Error("what names it left")
			}
		})
	}
}

// TestAWorkloadThatStaysAtTheHubLeaves, and does not stay with no replicas, as one that was moved does.
func TestAWorkloadThatStaysAtTheHubLeaves(t *testing.T) {
	m, h, _, _, web := namingRig(t)
	h.with(web, func(w *decide.Wanted) { w.Stays, w.Placed = true, false })
	waitFor(t, "it to leave", func() bool { return m.get(webPath) == nil })
}

// TestAfterARestartWhatIsThereCounts: a hub that has just started finds a Deployment in the member that names what its template names
// no more, or that is just being changed.
func TestAfterARestartWhatIsThereCounts(t *testing.T) {
	m, h := newMemberAPI(t).counting(), newHub()
	first, leave := m.joined(t, h, "aws")
	settings := h.put(configMaps(), configMap("settings"))
	h.with(settings, follows)
	web := h.put(deployments(), namingOf(2, "settings"))
	h.waitForState(t, first, web, v1alpha1.StateSynced)
	m.change(webPath, rolledOut(2))
	leave()
	h.mu.Lock()
	h.members = nil
	h.mu.Unlock()
	h.put(deployments(), namingOf(2))
	h.with(settings, unnamed)
	var held atomic.Bool
	held.Store(true)
	m.setFault(func(r *http.Request) (int, string) {
		if held.Load() && r.Method == http.MethodPatch {
			return http.StatusInternalServerError, "not now"
		}
		return 0, ""
	})
	second := m.join(t, h, "aws")
	waitForWait(t, second, settings, "deployments.apps shop/web, which names it, to go")
	held.Store(false)
	waitFor(t, "the Deployment to be changed", func() bool {
		return m.wrote("PATCH "+webPath) > 0 && !slices.Contains(template.NamesOf(deployments(), m.get(webPath)), settings)
	})
	if m.deletes() > 0 {
		t.Fatal("it left before the pods that use it")
	}
	m.change(webPath, rolledOut(2))
	waitFor(t, "it to leave", func() bool { return m.get(settingsPath) == nil })
}

// TestNext of what is needed: until all that may name it has been read, it stays.
func TestWhatIsNotReadMayNameIt(t *testing.T) {
	v := viewOf(t, configMaps(), configMap("settings"))
	unnamed(v.want)
	v.unread = true
	if s := next(v); s.verb != nothing || s.err == nil || s.err.Error() != "waiting for all that may name it in the member to be read" {
		t.Errorf("%+v", s)
	}
	v.unread = false
	if s := next(v); s.verb != remove {
		t.Errorf("%+v", s)
	}
	if v.want.Division != kinds.Everywhere {
		t.Error("a ConfigMap is divided")
	}
}
