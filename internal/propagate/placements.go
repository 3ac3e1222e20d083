package propagate

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Key names an object of a propagated resource.
type Key = template.Key

// Placements computes the Placements of a namespace, of all namespaces when it is empty. name gives an object's Placement
// its name.
func (e *Engine) Placements(namespace string, name func(schema.GroupResource, string) string) []v1alpha1.Placement {
	var out []v1alpha1.Placement
	for a := range e.published.Assignments() {
		if namespace == "" || report.PlacementNamespace(a.Key) == namespace {
			out = append(out, report.Placement(a, e.published.Facts(), e.published.Members(), name(a.Key.GR, a.Key.Name), e.clock.Now()))
		}
	}
	return out
}

// Find is the object whose Placement has that namespace and name.
func (e *Engine) Find(namespace, placement string, name func(schema.GroupResource, string) string) (Key, bool) {
	for _, r := range e.published.Resources() {
		gr := r.GVR.GroupResource()
		object, ok := strings.CutPrefix(placement, name(gr, ""))
		if !ok || object == "" {
			continue
		}
		keys := []Key{{GR: gr, Namespace: namespace, Name: object}}
		if namespace == v1alpha1.SystemNamespace {
			keys = append(keys, Key{GR: gr, Name: object})
		}
		for _, key := range keys {
			if e.published.Assignment(key) != nil {
				return key, true
			}
		}
	}
	return Key{}, false
}

// Placement computes the Placement of an object; ok is false if there is none.
func (e *Engine) Placement(key Key, name string) (p v1alpha1.Placement, ok bool) {
	a := e.published.Assignment(key)
	if a == nil {
		return p, false
	}
	return report.Placement(a, e.published.Facts(), e.published.Members(), name, e.clock.Now()), true
}

// Subscribe sends the Placements that may have changed, until ctx ends; then it closes the channel.
func (e *Engine) Subscribe(ctx context.Context, name func(schema.GroupResource, string) string) <-chan types.NamespacedName {
	out := make(chan types.NamespacedName)
	e.changes.subscribe(ctx, func(k Key) bool {
		select {
		case out <- types.NamespacedName{Namespace: report.PlacementNamespace(k), Name: name(k.GR, k.Name)}:
			return true
		case <-ctx.Done():
			return false
		}
	}, func() { close(out) })
	return out
}
