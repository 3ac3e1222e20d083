package decide

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

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// site is a member that runs what it is told to.
type site struct {
	cluster *Cluster
	obj     *unstructured.Unstructured // nil: it does not have it
	done    int64
	gone    bool // it is no member any more
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
		c.Labels = map[string]string{"tier": "prod"}
		c.Facts.Labels = c.Labels
		w.sites[name] = &site{cluster: c}
	}
	w.hub = &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": gr.WithVersion("v1").GroupVersion().String(), "kind": kind,
		"metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "uid-web", "creationTimestamp": at(1000).Format(time.RFC3339), "resourceVersion": "7"},
		"spec":     spec,
	}}
	w.start(gr)
	return w
}

func newJob(t rapid.TB, parallelism, completions int64) *works {
	return newWorks(t, template.Jobs(), "Job", map[string]any{"parallelism": parallelism, "completions": completions})
}

// start is a hub that starts, and knows what is recorded.
func (w *works) start(gr schema.GroupResource) {
	w.rig = newRigWith(gr, Options{Began: at(5000)}) // it was there before
	w.show()
	w.apply(PoliciesChanged{Written: slices.Collect(maps.Values(w.policies))})
	w.change(nil)
}

// show has the hub see the clusters as they are.
func (w *works) show() {
	var all []*Cluster
	for _, name := range slices.Sorted(maps.Keys(w.sites)) {
		if s := w.sites[name]; !s.gone {
			c := *s.cluster
			c.Ready = !s.away
			all = append(all, &c)
		}
	}
	w.clusters(all...)
	for name, s := range w.sites {
		if s.away && w.w.reached(name) {
			w.apply(Engaged{name, false})
		}
	}
}

// change changes the object at the hub.
func (w *works) change(change func(obj *unstructured.Unstructured)) {
	if change != nil {
		change(w.hub)
	}
	w.write(w.gr, w.hub.DeepCopy())
	w.record()
}

// record does what the hub's recorder does.
func (w *works) record() {
	for a := w.get("web"); a.Recording != nil; a = w.get("web") {
		w.hub.SetAnnotations(recordedOn(a).GetAnnotations())
		w.write(w.gr, w.hub.DeepCopy())
	}
}

func (w *works) policy(name string, spec map[string]any) {
	spec["select"] = map[string]any{"names": []any{"web"}}
	generation := int64(1)
	if before := w.policies[name]; before != nil {
		generation = before.GetGeneration() + 1
	}
	w.policies[name] = policyManifest(name, at(1000), generation, spec)
	w.apply(policyOf(w.policies[name]))
	w.record()
}

func (w *works) noPolicy(name string) {
	if p := w.policies[name]; p != nil {
		delete(w.policies, name)
		w.apply(PoliciesChanged{Gone: []types.UID{p.GetUID()}})
		w.record()
	}
}

// look has the hub read a member, and know what it shows.
func (w *works) look(name string) {
	if !w.w.reached(name) {
		w.engage(name)
	}
	w.apply(Seen{name, w.key("web"), w.sites[name].observed()})
}

// observed is what the member's object says; nil: there is none.
func (s *site) observed() *Observed {
	if s.obj == nil {
		return nil
	}
	o := &Observed{UID: s.obj.GetUID(), Ours: true, Template: "uid-web"}
	o.Parallelism, o.Completions = template.NumberIn(s.obj.Object, "parallelism"), template.NumberIn(s.obj.Object, "completions")
	o.Status, _ = s.obj.Object["status"].(map[string]any)
	return o
}

// begins asks whether a member is to go ahead with what is wanted of it.
func (w *works) begins(name string, a *Assignment) bool {
	all := w.apply(Begins{Cluster: name, Key: a.Key, UID: a.UID, Share: a.For(name, w.w.facts).Share})
	return effectsOf[Verdict](all)[0].GoAhead
}

// step is what a worker of a member does, with a member that answers.
func (w *works) step(name string) {
	s := w.sites[name]
	if s.away || s.gone {
		return
	}
	w.look(name)
	a := w.get("web")
	if a.Undecided {
		w.Fatal("a division is still to be recorded")
	}
	wanted := a.For(name, w.w.facts)
	if !wanted.Placed {
		if s.obj != nil {
			w.Fatalf("what has begun in %s is deleted: %s, recorded %v", name, a.Decision, a.Recorded)
		}
		return
	}
	if !w.begins(name, a) {
		w.Fatal("it is decided otherwise while nobody does anything")
	}
	desired := (&unstructured.Unstructured{Object: a.Content.Object}).DeepCopy()
	kinds.SetShare(a.Division, desired.Object, wanted.Share.OfKind())
	if s.obj == nil {
		if !a.Finished() {
			s.obj = desired
			s.obj.SetUID(types.UID("there-" + name))
		}
	} else if n, found, _ := unstructured.NestedInt64(desired.Object, "spec", "parallelism"); found {
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
	c.Labels, c.Facts.Labels = labels, labels
	w.sites[name].cluster = &c
	w.show()
	w.record()
}
