package propagate

import (
	"strings"
	"testing"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

const shopPath = "/api/v1/namespaces/shop"

func shopNamespace(uid string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop", "uid": uid}}
}

// TestANamespaceThatIsHeldIsNamed: what holds up the deletion of a namespace in a member
// is said of everything that waits for it, and what waited comes at once when it is over.
func TestANamespaceThatIsHeldIsNamed(t *testing.T) {
	m := newMemberAPI(t)
	m.strict = true
	e, member := m.engaged(t)
	ns := put(e, namespaces(), shopNamespace("first"))
	waitForState(t, e, ns, v1alpha1.StateSynced)
	m.change(shopPath, func(obj map[string]any) { unstructuredOf(obj).SetFinalizers([]string{"example.com/ours"}) })

	// The hub's goes, and another of that name comes.
	put(e, namespaces(), shopNamespace("second"))
	e.toMembers(ns)
	waitForState(t, e, ns, v1alpha1.StateDeleting)
	key := put(e, configMaps(), configMap("settings"))
	e.toMembers(key)
	m.change(shopPath, func(obj map[string]any) {
		obj["status"] = map[string]any{"conditions": []any{
			map[string]any{"type": "NamespaceContentRemaining", "status": "False", "message": "All content removed"},
			map[string]any{"type": "NamespaceFinalizersRemaining", "status": "True", "message": "example.com/theirs in 1 resource instances"}}}
	})
	waitFor(t, "the namespace's finalizers to be named", func() bool {
		_, message := stateOf(e, ns, "aws")
		return message == "being deleted, which waits for finalizer example.com/ours; example.com/theirs in 1 resource instances"
	})
	waitFor(t, "the object in it to say so, too", func() bool {
		state, message := stateOf(e, key, "aws")
		return state == v1alpha1.StatePending && strings.HasPrefix(message, "namespace shop there is being deleted, which waits for finalizer example.com/ours")
	})
	if waiting := e.Report("aws").Waiting; !strings.HasPrefix(waiting, "namespaces shop is being deleted, which waits for finalizer") {
		t.Errorf("the Cluster's condition says %q", waiting)
	}
	// As if it had been tried for long.
	s := member.engaged()
	for range 20 {
		for _, k := range []Key{ns, key} {
			s.queue.AddRateLimited(k)
		}
	}
	m.remove(shopPath)
	began := time.Now()
	waitForState(t, e, key, v1alpha1.StateSynced)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it came %s later", took)
	}
}

// TestWhatIsNotInSyncSaysWhy: no state but Synced is without words.
func TestWhatIsNotInSyncSaysWhy(t *testing.T) {
	m := newMemberAPI(t)
	e, member := m.engaged(t)
	key := put(e, configMaps(), configMap("settings"))
	waitForState(t, e, key, v1alpha1.StateSynced)
	tmpl, _ := e.template(key)
	gone := away("aws", 0, 60)
	for name, c := range map[string]struct {
		rec    record
		change func()
		state  string
		want   string
	}{
		"to be written": {state: v1alpha1.StatePending, want: "to be written"},
		"waiting":       {rec: record{waits: "the moon"}, state: v1alpha1.StatePending, want: "waiting for the moon"},
		"deleting":      {rec: record{seen: observation{uid: "u", deleting: true}}, state: v1alpha1.StateDeleting, want: "being deleted"},
		"to be deleted": {rec: record{seen: observation{uid: "u"}}, state: v1alpha1.StateDeleting, want: "to be deleted"},
	} {
		if got := e.stateMessage(tmpl, member, &c.rec, c.state); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	member.disengage()
	if got := e.stateMessage(tmpl, member, &record{}, v1alpha1.StateAway); got != "the hub has not looked into the cluster yet" {
		t.Errorf("just after a restart: %q", got)
	}
	e.setClusters(map[string]*cluster{"aws": gone})
	if got := e.stateMessage(tmpl, member, &record{}, v1alpha1.StateAway); got != "the cluster is away since 2026-01-01T00:01:00Z" {
		t.Errorf("away: %q", got)
	}
	p, _ := e.Placement(key, "p")
	if p.Summary.Message == "" {
		t.Error("the Placement of what is away says nothing")
	}
}
