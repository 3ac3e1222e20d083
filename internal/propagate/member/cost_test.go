package member

import (
	"fmt"
	"net/http"
	"runtime"
	"testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/apitest"
	"github.com/hanse-dev/hanse/internal/propagate/desired"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

func heapNow() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// TestAnIdleMemberCostsLittle: a session with a member in which nothing is placed has no watch and no worker, and what is placed
// is watched.
func TestAnIdleMemberCostsLittle(t *testing.T) {
	m, h := newMemberAPI(t), newHub()
	member := m.join(t, h, "aws")
	for _, r := range h.Resources() {
		gr := r.GVR.GroupResource()
		waitFor(t, gr.String()+" to be read", func() bool { return member.HasRead(gr) })
	}
	watching := func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.watching)
	}
	s := member.engaged()
	if n := watching(); n > 0 || !s.queue.Idle() || s.events.Begun() {
		t.Errorf("%d watches, idle %v", n, s.queue.Idle())
	}
	if m.get(settings) != nil {
		t.Fatal("something is there")
	}
	key := h.put(configMaps(), configMap("settings"))
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	waitFor(t, "what is placed to be watched", func() bool { return watching() == 1 })
	m.change(settings, set("drift", "data", "key"))
	waitFor(t, "drift to be put back", func() bool { return fmt.Sprint(m.get(settings)["data"]) == "map[key:value]" })
}

// TestWhatTheHubLeftIsFound: what is there of the hub's, and has no template any more, goes when a session begins, although
// nothing of its kind is placed there.
func TestWhatTheHubLeftIsFound(t *testing.T) {
	m, h := newMemberAPI(t), newHub()
	key := h.put(configMaps(), configMap("settings"))
	member, leave := m.joined(t, h, "aws")
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	leave()
	h.drop(key)
	h.members = nil
	m.join(t, h, "aws")
	waitFor(t, "it to go", func() bool { return m.get(settings) == nil })
}

// TestADeletionThatFailsIsTriedAgain until the member does it.
func TestADeletionThatFailsIsTriedAgain(t *testing.T) {
	m, h := newMemberAPI(t), newHub()
	key := h.put(configMaps(), configMap("settings"))
	member := m.join(t, h, "aws")
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	m.setFault(func(r *http.Request) (int, string) {
		if r.Method == http.MethodDelete {
			return 500, apitest.Status(500, "InternalError")
		}
		return 0, ""
	})
	h.drop(key)
	waitFor(t, "the failure to be said", func() bool { o := member.Observed(key); return o != nil && o.Fault != nil })
	m.setFault(nil)
	waitFor(t, "it to go", func() bool { return m.get(settings) == nil })
}

// TestWorkThatMayNotBeginIsNotWritten.
func TestWorkThatMayNotBeginIsNotWritten(t *testing.T) {
	h := newHub()
	h.refuses = true
	key := h.put(template.Jobs(), map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "job", "namespace": "shop"},
		"spec": map[string]any{"parallelism": int64(2), "completions": int64(2)}})
	m := New("aws", h.options(), h, h)
	s := unconnected(m, func() {})
	t.Cleanup(s.queue.Stop)
	w, _ := h.Wanted("aws", key)
	if err := s.task(key, w).do(t.Context()); err != nil || s.queue.Len() != 1 { // a request would end in a panic: there is no client
		t.Errorf("%v, %d keys to be looked at again", err, s.queue.Len())
	}
	if rec := m.get(key); rec.sending != nil {
		t.Error("it is taken to be on its way")
	}
}

// TestRecordsAreSmall: what is remembered of an object that is as it is to be, beside what the member says of its status.
func TestRecordsAreSmall(t *testing.T) {
	const objects, most = 20_000, 1500
	h := newHub()
	m := New("aws", h.options(), h, h)
	obj := deploymentOf(3)
	v := viewOf(t, deployments(), obj)
	wanted, err := v.rec.left.Object("aws", v.rec.seen.mark.Raw, false)
	if err != nil {
		t.Fatal(err)
	}
	before := heapNow()
	for i := range objects {
		key := template.Key{GR: deployments(), Namespace: "shop", Name: fmt.Sprint("web", i)}
		there := unstructuredOf(toJSON(wanted))
		there.SetName(key.Name)
		there.SetUID("0f2c0a5e-0000-4000-8000-000000000000")
		w := *v.want
		one := &view{cluster: "aws", key: key, want: &w, hub: hubUID, run: "now", history: v.history, hasher: v.hasher, schema: v.schema, now: epoch, accepts: v.accepts}
		one.settle(step{made: desired.Of(&w), wanted: wanted}, there, true)
		m.update(key, func(r *record) { one.settle(step{made: desired.Of(&w), wanted: wanted}, there, true).remember(r) })
	}
	h.mu.Lock()
	clear(h.seen)
	h.mu.Unlock()
	each := int64(heapNow()-before) / objects
	t.Logf("%d bytes a record", each)
	if each > most {
		t.Errorf("%d bytes a record, want at most %d", each, most)
	}
	runtime.KeepAlive(m)
}

// BenchmarkReconcile is one attempt without its requests: an object that is as it is to be, a change of the hub's, and drift.
func BenchmarkReconcile(b *testing.B) {
	t := &testing.T{}
	for name, prepare := range map[string]func(v *view){
		"as it is": func(*view) {},
		"created":  func(v *view) { v.rec = record{} },
		"scaled":   func(v *view) { v.want.Share.Replicas = 7 },
		"drift":    func(v *view) { v.changed(t, set(int64(9), "spec", "replicas")) },
	} {
		b.Run(name, func(b *testing.B) {
			v := viewOf(t, deployments(), deploymentOf(3))
			prepare(v)
			b.ReportAllocs()
			for b.Loop() {
				one := *v
				next(&one)
			}
		})
	}
}
