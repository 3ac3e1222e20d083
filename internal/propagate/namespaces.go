package propagate

import (
	"context"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// namespaceLabels is the labels of the hub's Namespaces, by which policies and pods'
// affinities select. They are watched apart from the templates, because these are
// decided with them. The map is replaced, never modified: snapshots share it.
type namespaceLabels struct {
	labels map[string]map[string]string
}

// watchNamespaces keeps Engine.namespaces until ctx ends. It closes seen when it has
// read them once.
func (e *Engine) watchNamespaces(ctx context.Context, seen chan struct{}) {
	s := &namespaceSink{engine: e, seen: seen}
	watchInto(ctx, e.hub.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}), "hub/namespace labels", "", s, nil)
}

type namespaceSink struct {
	engine *Engine
	seen   chan struct{} // nil once closed
}

func (s *namespaceSink) replace(objs []*unstructured.Unstructured) {
	next := make(map[string]map[string]string, len(objs))
	for _, obj := range objs {
		next[obj.GetName()] = obj.GetLabels()
	}
	s.engine.setNamespaces(next)
	if s.seen != nil {
		close(s.seen)
		s.seen = nil
	}
}

func (s *namespaceSink) apply(obj *unstructured.Unstructured) {
	s.engine.changeNamespaces(func(all map[string]map[string]string) { all[obj.GetName()] = obj.GetLabels() })
}

func (s *namespaceSink) remove(obj *unstructured.Unstructured) {
	s.engine.changeNamespaces(func(all map[string]map[string]string) { delete(all, obj.GetName()) })
}

func (e *Engine) changeNamespaces(change func(map[string]map[string]string)) {
	e.mu.RLock()
	next := maps.Clone(e.namespaces.labels)
	e.mu.RUnlock()
	change(next)
	e.setNamespaces(next)
}

// setNamespaces takes over the labels, and looks again for the policies of what is in
// namespaces whose labels changed. Only the namespaces' watch calls it.
func (e *Engine) setNamespaces(next map[string]map[string]string) {
	var keys []Key
	e.locked(func() {
		before := e.namespaces.labels
		e.namespaces.labels = next
		changed := func(namespace string) bool {
			was, knew := before[namespace]
			is, knows := next[namespace]
			return knew != knows || !maps.Equal(was, is)
		}
		e.surroundingsChanged()
		keys = e.matchAgain(func(t *template) bool { return changed(t.key.Namespace) })
	})
	e.toMembers(keys...)
	e.changes.notify(keys...)
}
