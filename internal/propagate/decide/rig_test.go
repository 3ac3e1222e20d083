package decide

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// rig is a World with one resource, of which all has been read.
type rig struct {
	w      *World
	gr     schema.GroupResource
	hasher fieldmerge.Hasher
	now    time.Time
	read   map[template.Key]*template.Template // as the hub's watch read it last
	told   []Tell
	last   []Effect

	generation int64 // of the last policy
}

func newRig(gr schema.GroupResource) *rig { return newRigWith(gr, Options{}) }

func newRigWith(gr schema.GroupResource, o Options) *rig {
	r := &rig{w: NewWorld(o), gr: gr, hasher: fieldmerge.NewHasher(), now: at(1000), read: map[template.Key]*template.Template{}}
	r.serves(gr)
	r.apply(NamespacesListed{Labels: map[string]map[string]string{"shop": nil}})
	return r
}

// serves has the hub serve a resource of which there is nothing.
func (r *rig) serves(gr schema.GroupResource) {
	gvr := gr.WithVersion("v1")
	r.apply(Served{GVR: gvr, GVK: gvr.GroupVersion().WithKind("Kind")})
	r.apply(Listed{GR: gr})
}

// apply applies an input, and goes on until nothing is left to do.
func (r *rig) apply(in Input) (all []Effect) {
	all = r.w.Apply(in, r.now)
	for r.w.backlog.Some() {
		all = append(all, r.w.Apply(Tick{}, r.now)...)
	}
	return r.note(all)
}

// do is apply for a change that no input makes.
func (r *rig) do(change func()) []Effect {
	r.w.now = r.now
	change()
	return r.apply(Tick{})
}

func (r *rig) note(all []Effect) []Effect {
	for _, e := range all {
		if tell, ok := e.(Tell); ok {
			r.told = append(r.told, tell)
		}
	}
	r.last = all
	return all
}

// pass lets time go by, as the World asks to be called.
func (r *rig) pass(d time.Duration) (all []Effect) {
	end := r.now.Add(d)
	for next := r.w.next(); !next.IsZero() && !next.After(end); next = r.w.next() {
		if next.After(r.now) {
			r.now = next
		}
		all = append(all, r.apply(Tick{})...)
	}
	r.now = end
	return append(all, r.apply(Tick{})...)
}

func deployments() schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: "deployments"}
}

// epoch is when the first cluster joined in these tests; moments are seconds after.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(second int) time.Time { return epoch.Add(time.Duration(second) * time.Second) }

func (r *rig) clusters(cs ...*Cluster) {
	all := map[string]*Cluster{}
	for _, c := range cs {
		all[c.Name] = c
	}
	r.do(func() { r.w.setClusters(all) })
}

func ready(name string, joined int) *Cluster {
	return &Cluster{Name: name, Ready: true, Joined: at(joined), Since: at(joined), Facts: policy.Cluster{Name: name}}
}

func away(name string, joined, since int) *Cluster {
	return &Cluster{Name: name, Joined: at(joined), Since: at(since), Facts: policy.Cluster{Name: name}}
}

// write puts an object into the hub, as its watch would.
func (r *rig) write(gr schema.GroupResource, obj *unstructured.Unstructured) *Assignment {
	key := template.Key{GR: gr, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	t, _ := template.Read(gr, obj, r.hasher.Content, r.read[key])
	r.read[key] = t
	r.apply(Written{t})
	return r.w.at(key)
}

func (r *rig) remove(a *Assignment) {
	delete(r.read, a.Key)
	r.apply(Deleted{a.Key, a.UID})
}

// deployment puts one into the hub.
func (r *rig) deployment(name string, created int, n int64, annotations map[string]string) *Assignment {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "uid-" + name, "creationTimestamp": at(created).Format(time.RFC3339), "resourceVersion": "7"},
		"spec":     map[string]any{"replicas": n},
	}}
	obj.SetAnnotations(annotations)
	return r.write(r.gr, obj)
}

func (r *rig) key(name string) template.Key {
	return template.Key{GR: r.gr, Namespace: "shop", Name: name}
}

func (r *rig) get(name string) *Assignment { return r.w.at(r.key(name)) }

// all are the templates of the rig's resource.
func (r *rig) all() (all []*Assignment) {
	for _, key := range r.w.keys(func(o *object) bool { return o.key.GR == r.gr }) {
		all = append(all, r.w.at(key))
	}
	return all
}

// record does with all that is to be recorded what the hub does.
func (r *rig) record() {
	for range 10 {
		recorded := false
		for _, key := range r.w.keys(func(o *object) bool { return o.a.Recording != nil }) {
			recorded = true
			a := r.w.at(key)
			r.write(key.GR, recordedOn(a))
		}
		if !recorded {
			return
		}
	}
}

// recordedOn is the object as it is once it is recorded on it what is to be.
func recordedOn(a *Assignment) *unstructured.Unstructured {
	obj := a.Object.DeepCopy()
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	for name, value := range map[string]*string{
		v1alpha1.AnnotationDivision: a.Recording.Division, v1alpha1.AnnotationTaken: a.Recording.Taken, v1alpha1.AnnotationBounds: a.Recording.Bounds,
		v1alpha1.AnnotationRolloutState: a.Recording.State, v1alpha1.AnnotationRollout: a.Recording.Hold,
	} {
		switch {
		case value == nil:
		case *value == "":
			delete(annotations, name)
		default:
			annotations[name] = *value
		}
	}
	obj.SetAnnotations(annotations)
	if n := a.Recording.Replicas; n != nil {
		_ = unstructured.SetNestedField(obj.Object, int64(*n), "spec", "replicas")
	}
	return obj
}

// engage has a session with a member begin, and all of the rig's resource read there.
func (r *rig) engage(name string) {
	r.apply(Engaged{name, true})
	r.apply(Read{name, r.gr, true})
}

func policyOf(obj *unstructured.Unstructured) PoliciesChanged {
	return PoliciesChanged{Written: []*unstructured.Unstructured{obj}}
}

// tolds are the events since it was asked last, as one text.
func (r *rig) tolds() string {
	var all []string
	for _, t := range r.told {
		all = append(all, t.Type+" "+t.Reason+" "+t.Message)
	}
	r.told = nil
	return strings.Join(all, "\n")
}

// effectsOf are those of one kind.
func effectsOf[E Effect](all []Effect) (some []E) {
	for _, e := range all {
		if one, ok := e.(E); ok {
			some = append(some, one)
		}
	}
	return some
}

func delivered(all []Effect, key template.Key) bool {
	return slices.ContainsFunc(effectsOf[Deliver](all), func(d Deliver) bool { return slices.Contains(d.Keys, key) })
}

func there(uid types.UID, n int32, status map[string]any) *Observed {
	return &Observed{UID: "there", Ours: true, Template: uid, Replicas: &n, Status: status}
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// decideShort has what waits for room looked at now.
func (r *rig) decideShort() {
	r.do(func() {
		r.w.room.Rest(0, time.Time{})
		r.w.room.News(r.w.now)
	})
}
