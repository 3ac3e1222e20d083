package member

import (
	"slices"
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/template"
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
	h := newHub()
	member := m.join(t, h, "aws")
	ns := h.put(template.Namespaces(), shopNamespace("first"))
	h.waitForState(t, member, ns, v1alpha1.StateSynced)
	m.change(shopPath, func(obj map[string]any) { unstructuredOf(obj).SetFinalizers([]string{"example.com/ours"}) })

	// The hub's goes, and another of that name comes.
	h.put(template.Namespaces(), shopNamespace("second"))
	h.waitForState(t, member, ns, v1alpha1.StateDeleting)
	key := h.put(configMaps(), configMap("settings"))
	waitFor(t, "the namespace's finalizers to be known", func() bool {
		o := member.Observed(ns)
		return o != nil && o.Deleting && slices.Equal(o.Finalizers, []string{"example.com/ours"})
	})
	waitFor(t, "the object in it to wait", func() bool {
		o := member.Observed(key)
		return o != nil && strings.HasPrefix(o.Waits, "namespace shop in the member, which is being deleted")
	})
	// As if it had been tried for long.
	s := member.engaged()
	before := s.queue.NumRequeues(key)
	for range 20 {
		s.queue.AddRateLimited(key)
	}
	waitFor(t, "an attempt after which the next comes much later", func() bool { return s.queue.NumRequeues(key) > before+20 })
	m.remove(shopPath)
	h.waitForState(t, member, key, v1alpha1.StateSynced) // the next attempt would be later than that waits
}
