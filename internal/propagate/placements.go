package propagate

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// Placements computes the Placements of a namespace, of all namespaces when it
// is empty. name gives an object's Placement its name.
func (e *Engine) Placements(namespace string, name func(schema.GroupResource, string) string) []v1alpha1.Placement {
	var out []v1alpha1.Placement
	for _, key := range e.keys() {
		if namespace == "" || placementNamespace(key) == namespace {
			if p, ok := e.Placement(key, name(key.GR, key.Name)); ok {
				out = append(out, p)
			}
		}
	}
	return out
}

// Find is the object whose Placement has that namespace and name.
func (e *Engine) Find(namespace, placement string, name func(schema.GroupResource, string) string) (Key, bool) {
	e.mu.RLock()
	resources := make([]schema.GroupResource, 0, len(e.resources))
	for gr := range e.resources {
		resources = append(resources, gr)
	}
	e.mu.RUnlock()
	for _, gr := range resources {
		object, ok := strings.CutPrefix(placement, name(gr, ""))
		if !ok || object == "" {
			continue
		}
		keys := []Key{{GR: gr, Namespace: namespace, Name: object}}
		if namespace == v1alpha1.SystemNamespace {
			keys = append(keys, Key{GR: gr, Name: object})
		}
		for _, key := range keys {
			if _, found := e.Placement(key, placement); found {
				return key, true
			}
		}
	}
	return Key{}, false
}

// keys are the objects that have a template.
func (e *Engine) keys() []Key {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var keys []Key
	for _, r := range e.resources {
		for _, t := range r.templates {
			keys = append(keys, t.key)
		}
	}
	return keys
}

// Placement computes the Placement of an object; ok is false if there is none.
func (e *Engine) Placement(key Key, name string) (p v1alpha1.Placement, ok bool) {
	t, _ := e.template(key)
	r := e.resource(key.GR)
	if t == nil || r == nil {
		return p, false
	}
	p = v1alpha1.Placement{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: "Placement"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: placementNamespace(key), UID: t.uid,
			CreationTimestamp: metav1.NewTime(t.created), Labels: t.obj.GetLabels(), Generation: t.obj.GetGeneration(),
		},
		Object: v1alpha1.ObjectReference{
			APIVersion: r.gvk.GroupVersion().String(), Kind: r.gvk.Kind, Namespace: key.Namespace, Name: key.Name, UID: t.uid,
		},
	}
	e.fillClusters(&p, t, r.gvk.GroupKind())
	e.fillRollout(&p, t, r.gvk.GroupKind())
	return p, true
}

func (e *Engine) fillClusters(p *v1alpha1.Placement, t *template, gk schema.GroupKind) {

	var names []string
	var ready, want int64
	counted, waits := false, ""
	p.Summary.Synced = metav1.ConditionTrue
	for _, m := range e.sortedMembers() {
		c, wanted, there := e.placementIn(t, m, gk)
		if !there {
			continue
		}
		if c.ReadyReplicas != nil {
			counted = true
			ready, want = ready+int64(*c.ReadyReplicas), want+int64(wanted)
		}
		if c.State != v1alpha1.StateSynced {
			p.Summary.Synced = metav1.ConditionFalse
		}
		if p.Summary.Message == "" {
			p.Summary.Message = c.LastError
		}
		if waits == "" && c.Message != "" {
			waits = m.name + ": " + c.Message
		}
		names = append(names, clusterName(c))
		p.Clusters = append(p.Clusters, c)
	}
	p.Summary.Clusters = strings.Join(names, ",")
	if counted {
		p.Summary.Ready = fmt.Sprintf("%d/%d", ready, want)
	}
	if t.decision.Unplaced > 0 {
		waits = cmp.Or(t.decision.Reason, waits) // which will not pass by itself
	}
	p.Summary.Message = cmp.Or(p.Summary.Message, waits, t.decision.Reason)
	if len(p.Clusters) == 0 || t.decision.Unplaced > 0 {
		p.Summary.Synced = metav1.ConditionFalse
	}
	p.Policy = e.policyMatch(t)
	reasonsFor(p, t.decision)
}

func clusterName(c v1alpha1.ClusterPlacement) string {
	if c.Replicas == nil {
		return c.Name
	}
	return fmt.Sprintf("%s=%d", c.Name, *c.Replicas)
}

func (e *Engine) clusterPlacement(t *template, m *member, rec record, placed bool) v1alpha1.ClusterPlacement {
	c := v1alpha1.ClusterPlacement{Name: m.name, State: e.state(t, m, rec, placed)}
	if t.division != kinds.Everywhere && t.division != kinds.OneActive {
		n := t.runs(m.name)
		c.Replicas = &n
	}
	switch {
	case rec.fault != nil:
		c.LastError = rec.fault.message
		c.Since = &metav1.Time{Time: rec.since}
	case rec.held != "":
		c.LastError = fmt.Sprintf("it is not to be here, but is left alone: %s. Try: hanse prune %s", why(rec.held), m.name)
		c.Since = &metav1.Time{Time: rec.heldSince}
	}
	c.Message = e.stateMessage(t, m, &rec, c.State)
	return c
}

func (e *Engine) state(t *template, m *member, rec record, placed bool) string {
	switch {
	case !m.reachable():
		return v1alpha1.StateAway
	case rec.fault != nil && rec.fault.conflict:
		return v1alpha1.StateConflict
	case rec.fault != nil:
		return v1alpha1.StateError
	case m.unread(t.key.GR) != nil:
		return v1alpha1.StateUnknown
	case t.held():
		return v1alpha1.StateSynced
	case rec.seen.deleting, !placed && t.division != kinds.Replicas && t.division != kinds.OneActive:
		return v1alpha1.StateDeleting
	case e.synced(t, m, rec) && len(rec.left.dropped()) > 0:
		return v1alpha1.StateFieldsDropped
	case e.synced(t, m, rec):
		return v1alpha1.StateSynced
	case t.finishedIn(rec):
		return v1alpha1.StateSynced
	}
	return v1alpha1.StatePending
}

// finishedIn says whether a Job that is done was cleared away in the member.
func (t *template) finishedIn(rec record) bool {
	return !rec.seen.exists() && t.finished()
}

func placementNamespace(key Key) string {
	if key.Namespace == "" {
		return v1alpha1.SystemNamespace
	}
	return key.Namespace
}

// Subscribe sends the Placements that may have changed, until ctx ends; then
// it closes the channel.
func (e *Engine) Subscribe(ctx context.Context, name func(schema.GroupResource, string) string) <-chan types.NamespacedName {
	out := make(chan types.NamespacedName)
	e.changes.subscribe(ctx, func(k Key) bool {
		select {
		case out <- types.NamespacedName{Namespace: placementNamespace(k), Name: name(k.GR, k.Name)}:
			return true
		case <-ctx.Done():
			return false
		}
	}, func() { close(out) })
	return out
}
