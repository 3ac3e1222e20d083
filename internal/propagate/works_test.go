package propagate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// site is a member that runs what it is told to.
type site struct {
	cluster *cluster
	obj     *unstructured.Unstructured // nil: it does not have it
	done    int64
	gone    bool // it is no member any more
	read    bool // by the hub that runs now
	away    bool
}

// works is a federation in which something is done that must not be done twice.
type works struct {
	rapid.TB
	*rig
	hub      *unstructured.Unstructured
	policies map[string]*unstructured.Unstructured
	sites    map[string]*site
}

func newWorks(t rapid.TB, gr schema.GroupResource, kind string, spec map[string]any) *works {
	w := &works{TB: t, sites: map[string]*site{}, policies: map[string]*unstructured.Unstructured{}}
	for _, name := range []string{"aws", "azure", "google"} {
		c := ready(name, 0)
		c.labels = map[string]string{"tier": "prod"}
		c.facts.Labels = c.labels
		w.sites[name] = &site{cluster: c}
	}
	w.hub = &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": gr.WithVersion("v1").GroupVersion().String(), "kind": kind,
		"metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "uid-web", "creationTimestamp": time.Now().UTC().Format(time.RFC3339), "resourceVersion": "7"},
		"spec":     spec,
	}}
	w.start(gr)
	return w
}

func newJob(t rapid.TB, parallelism, completions int64) *works {
	return newWorks(t, jobs(), "Job", map[string]any{"parallelism": parallelism, "completions": completions})
}

// start is a hub that starts, and knows what is recorded.
func (w *works) start(gr schema.GroupResource) {
	w.rig = newRig(gr)
	w.engine.began = time.Now().Add(time.Hour) // it was there before
	w.engine.session = "session"
	for _, s := range w.sites {
		s.read = false
	}
	w.show()
	w.engine.changePolicies(slices.Collect(maps.Values(w.policies)), nil)
	w.write(nil)
}

// show has the hub see the clusters as they are.
func (w *works) show() {
	var all []*cluster
	for _, s := range w.sites {
		if !s.gone {
			c := *s.cluster
			c.ready = !s.away
			all = append(all, &c)
		}
	}
	w.clusters(all...)
	for name, s := range w.sites {
		if m := w.engine.members[name]; m != nil && s.away {
			m.session = nil
		}
	}
}

// write changes the object at the hub.
func (w *works) write(change func(obj *unstructured.Unstructured)) {
	if change != nil {
		change(w.hub)
	}
	w.sink.apply(w.hub.DeepCopy())
	w.record()
}

// record does what the hub's queue of divisions does.
func (w *works) record() {
	for t := w.get("web"); t.undecided; t = w.get("web") {
		w.hub.SetAnnotations(map[string]string{v1alpha1.AnnotationDivision: schedule.FormatDivision(t.divided())})
		w.sink.apply(w.hub.DeepCopy())
	}
}

func (w *works) policy(name string, spec map[string]any) {
	spec["select"] = map[string]any{"names": []any{"web"}}
	generation := int64(1)
	if before := w.policies[name]; before != nil {
		generation = before.GetGeneration() + 1
	}
	w.policies[name] = policyObject(name, time.Now(), generation, spec)
	w.engine.changePolicies([]*unstructured.Unstructured{w.policies[name]}, nil)
	w.record()
}

func (w *works) noPolicy(name string) {
	if p := w.policies[name]; p != nil {
		delete(w.policies, name)
		w.engine.changePolicies(nil, []types.UID{p.GetUID()})
		w.record()
	}
}

// look has the hub read a member, and know what it shows.
func (w *works) look(name string) *member {
	s, m := w.sites[name], w.engine.members[name]
	if m.session == nil {
		gr := w.sink.resource.gvr.GroupResource()
		m.session = &session{engine: w.engine, member: m, queue: newQueue(), cancel: func() {}, watched: map[schema.GroupResource]bool{gr: true}}
	}
	s.read = true
	m.update(w.get("web").key, func(r *record) {
		r.seen = observation{}
		if s.obj != nil {
			r.seen = w.engine.observe(w.get("web").key, s.obj)
		}
	})
	w.engine.moveOn(w.get("web").key)
	return m
}

// step is what a worker of a member does, with a member that answers.
func (w *works) step(name string) {
	s := w.sites[name]
	if s.away || s.gone {
		return
	}
	m := w.look(name)
	key := w.get("web").key
	if w.engine.spreadWork(key).undecided {
		w.Fatal("a division is still to be recorded")
	}
	t := &task{session: m.session, key: key, template: w.get("web"), rec: m.get(key)}
	t.now = t.template.shares[name]
	if !t.placed() {
		if s.obj != nil {
			w.Fatalf("what has begun in %s is deleted: %s, recorded %v", name, t.template.decision, t.template.recorded)
		}
		return
	}
	if !t.begin() {
		w.Fatal("it is decided otherwise while nobody does anything")
	}
	defer t.sent(nil)
	desired, err := t.desired(t.origin(), false)
	if err != nil {
		w.Fatal(err)
	}
	if s.obj == nil {
		if !t.template.finished() {
			s.obj = (&unstructured.Unstructured{Object: desired}).DeepCopy()
			s.obj.SetUID(types.UID("there-" + name))
			s.obj.SetResourceVersion("1")
		}
	} else if n, found, _ := unstructured.NestedInt64(desired, "spec", "parallelism"); found {
		_ = unstructured.SetNestedField(s.obj.Object, n, "spec", "parallelism")
	}
	w.look(name)
}

func (s *site) number(field string) int64 {
	if s.obj == nil {
		return 0
	}
	n, _, _ := unstructured.NestedInt64(s.obj.Object, "spec", field)
	return n
}

// work has a pod of a member come to its end.
func (s *site) work() bool {
	if s.number("parallelism") == 0 || s.done >= s.number("completions") {
		return false
	}
	s.done++
	status := map[string]any{"succeeded": s.done}
	if s.done == s.number("completions") {
		status["conditions"] = []any{map[string]any{"type": "Complete", "status": "True"}}
	}
	s.obj.Object["status"] = status
	return true
}

func (w *works) stepAll() {
	for _, name := range slices.Sorted(maps.Keys(w.sites)) {
		w.step(name)
	}
}

func (w *works) numbers(field string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(w.sites)) {
		if s := w.sites[name]; s.obj != nil {
			out = append(out, fmt.Sprintf("%s=%d", name, s.number(field)))
		}
	}
	return strings.Join(out, ",")
}

func (w *works) label(name string, labels map[string]string) {
	c := *w.sites[name].cluster
	c.labels, c.facts.Labels = labels, labels
	w.sites[name].cluster = &c
	w.show()
	w.record()
}
