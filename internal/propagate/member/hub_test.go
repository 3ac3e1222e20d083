package member

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rights"
)

const hubUID = "11111111-2222-3333-4444-555555555555"

func configMaps() schema.GroupResource { return schema.GroupResource{Resource: "configmaps"} }

func deployments() schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: "deployments"}
}

// epoch is when all in tests was made.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// hub is a Source and a Listener.
type hub struct {
	keepsReplicas bool // Lowers is answered with no
	mu            sync.Mutex
	hasher        fieldmerge.Hasher
	resources     map[schema.GroupResource]Resource
	unsynced      bool
	templates     map[template.Key]*template.Template
	change        map[template.Key]func(*decide.Wanted) // of what is wanted, for lack of decisions
	refuses       bool                                  // what stays put does not begin

	namespaces *adoption.Namespaces // nil: all that are there may be taken over
	access     *rights.Access       // nil: all rights

	members  []*Member
	told     []string
	seen     map[template.Key]*decide.Observed
	heard    int
	lowered  *decide.Observed // with which it was asked last whether a member may be lowered
	statuses int              // that were said to be other ones
	engaged  bool
	read     map[schema.GroupResource]bool
}

func newHub() *hub {
	h := &hub{hasher: fieldmerge.NewHasher(), resources: map[schema.GroupResource]Resource{}, templates: map[template.Key]*template.Template{},
		change: map[template.Key]func(*decide.Wanted){}, seen: map[template.Key]*decide.Observed{}, read: map[schema.GroupResource]bool{}}
	for path, gvk := range memberKinds() {
		h.serves(gvk, path[strings.LastIndex(path, "/")+1:])
	}
	return h
}

func (h *hub) serves(gvk schema.GroupVersionKind, resource string) {
	gvr := gvk.GroupVersion().WithResource(resource)
	h.mu.Lock()
	h.resources[gvr.GroupResource()] = Resource{GVR: gvr, GVK: gvk}
	h.mu.Unlock()
}

// options are those of a run of the hub that is its only one; with earlier, of the second.
func (h *hub) options() Options {
	return Options{Hub: hubUID, Run: "now", Hasher: h.hasher,
		History: lineage.History{}.Begin("then", lineage.Database{Revision: 1}).Begin("now", lineage.Database{Revision: 100})}
}

func (h *hub) Wanted(cluster string, key template.Key) (*decide.Wanted, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.templates[key]
	if h.unsynced || t == nil {
		return nil, !h.unsynced
	}
	w := &decide.Wanted{Template: t, Placed: true, ClusterLabels: map[string]string{"hanse.dev/provider": cluster}}
	if t.Division != kinds.Everywhere {
		w.Share = template.Share{Replicas: t.Total, Total: t.Total, Parallelism: t.Total}
		w.FinalReplicas = t.Total
	}
	if change := h.change[key]; change != nil {
		change(w)
	}
	return w, true
}

func (h *hub) Resources() (all []Resource) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.resources {
		all = append(all, r)
	}
	return all
}

func (h *hub) Resource(gr schema.GroupResource) (Resource, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.resources[gr]
	return r, ok
}

func (h *hub) Has(cluster string, gr schema.GroupResource) bool {
	return slices.ContainsFunc(h.Keys(cluster, gr), func(k template.Key) bool {
		w, _ := h.Wanted(cluster, k)
		return w != nil && w.Placed
	})
}

func (h *hub) Keys(_ string, gr schema.GroupResource) (all []template.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k := range h.templates {
		if k.GR == gr {
			all = append(all, k)
		}
	}
	return all
}

func (h *hub) KeysIn(_, namespace string) (all []template.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k := range h.templates {
		if k.Namespace == namespace {
			all = append(all, k)
		}
	}
	return all
}

func (h *hub) Bounds(string) Bounds {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := Bounds{Namespaces: adoption.Namespaces{Allow: []string{"*"}}, Access: rights.All()}
	if h.namespaces != nil {
		out.Namespaces = *h.namespaces
	}
	if h.access != nil {
		out.Access = *h.access
	}
	return out
}

func (h *hub) Lowers(_ string, _ *decide.Wanted, o *decide.Observed) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lowered = o
	return !h.keepsReplicas
}

func (h *hub) Begins(string, *decide.Wanted) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.refuses
}

func (h *hub) Accepts(_ string, _ template.Key, n int32) bool { return n <= 8 }

func (h *hub) Seen(_ string, key template.Key, o *decide.Observed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen[key] = o; o == nil {
		delete(h.seen, key)
	}
}

func (h *hub) StatusChanged(_ string, keys ...template.Key) {
	h.count()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.statuses += len(keys)
}

func (h *hub) Changed(...template.Key) { h.count() }

func (h *hub) count() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard++
}

func (h *hub) Read(_ string, gr schema.GroupResource, read bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read[gr] = read
}

func (h *hub) Engaged(_ string, engaged bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engaged = engaged
}

func (h *hub) Tell(_ string, w *decide.Wanted, _, reason, message string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, fmt.Sprintf("%s %s: %s", reason, w.Key.Name, message))
}

// put has an object at the hub.
func (h *hub) put(gr schema.GroupResource, obj map[string]any) template.Key {
	u := unstructuredOf(runtime.DeepCopyJSON(obj))
	if u.GetUID() == "" {
		u.SetUID(types.UID("template-" + u.GetName()))
	}
	if u.GetResourceVersion() == "" {
		u.SetResourceVersion("150")
	}
	if created := u.GetCreationTimestamp(); created.IsZero() {
		u.SetCreationTimestamp(metav1.NewTime(epoch))
	}
	key := template.Key{GR: gr, Namespace: u.GetNamespace(), Name: u.GetName()}
	h.mu.Lock()
	defer h.mu.Unlock()
	t, err := template.Read(gr, u, h.hasher.Content, h.templates[key])
	if err != nil {
		panic(err)
	}
	if gvk := h.resources[gr].GVK; t.GVK.Kind == "" {
		t.GVK = gvk
	}
	h.templates[key] = t
	h.deliver(key)
	return key
}

// deliver has the members look at key. h.mu is held.
func (h *hub) deliver(key template.Key) {
	members := h.members
	h.mu.Unlock()
	defer h.mu.Lock()
	for _, m := range members {
		m.Enqueue(key)
	}
}

func (h *hub) drop(key template.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.templates, key)
	h.deliver(key)
}

// with changes what is wanted of key.
func (h *hub) with(key template.Key, change func(*decide.Wanted)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.change[key] = change
	h.deliver(key)
}

func unstructuredOf(obj map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: obj}
}

func configMap(name string) map[string]any { return configMapOf(name, "value") }

func configMapOf(name, value string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop"},
		"data": map[string]any{"key": value}}
}

func deploymentOf(replicas int64) map[string]any {
	return map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web", "namespace": "shop"},
		"spec": map[string]any{"replicas": replicas, "selector": map[string]any{"matchLabels": map[string]any{"app": "web"}}}}
}

// stateOf is that of an object in a member as Placements have it, and what is said about it.
func (h *hub) stateOf(m *Member, key template.Key) (state, message string) {
	o := m.Observed(key)
	w, _ := h.Wanted(m.Name(), key)
	if o == nil {
		o = &decide.Observed{}
	}
	synced := w != nil && o.Exists() && !o.Deleting && o.InSync && o.Left != nil && *o.Left == w.Target()
	switch {
	case !m.Reachable():
		return v1alpha1.StateAway, ""
	case o.Fault != nil && o.Fault.Conflict:
		return v1alpha1.StateConflict, o.Fault.Message
	case o.Fault != nil:
		return v1alpha1.StateError, o.Fault.Message
	case m.Unread(key.GR) != nil:
		return v1alpha1.StateUnknown, fmt.Sprintf("%s cannot be read there: %s", key.GR, short(m.Unread(key.GR)))
	case o.Deleting:
		return v1alpha1.StateDeleting, strings.Join(o.Finalizers, ",")
	case synced && len(o.Dropped) > 0:
		return v1alpha1.StateFieldsDropped, report.DroppedMessage(m.Name(), "", o.Dropped)
	case synced:
		return v1alpha1.StateSynced, ""
	}
	return v1alpha1.StatePending, o.Waits
}

func (h *hub) waitForState(t *testing.T, m *Member, key template.Key, want string) (message string) {
	t.Helper()
	var state string
	waitOr(t, "state "+want, func() bool {
		state, message = h.stateOf(m, key)
		return state == want
	}, func() string { return state + " " + message })
	return message
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	waitOr(t, what, done, func() string { return "" })
}

// patience is for what takes a moment on a machine that is not busy.
const patience = 20 * time.Second

func waitOr(t *testing.T, what string, done func() bool, why func() string) {
	t.Helper()
	waitLonger(t, patience, what, done, why)
}

func waitLonger(t *testing.T, atMost time.Duration, what string, done func() bool, why func() string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, atMost, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("timed out waiting for %s: %s", what, why())
	}
}
