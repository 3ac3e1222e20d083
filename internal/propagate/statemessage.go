package propagate

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// stateMessage says why an object is not Synced in a member; empty where it is, or where
// an error of the member's says so.
func (e *Engine) stateMessage(t *template, m *member, rec *record, state string) string {
	switch state {
	case v1alpha1.StateAway:
		return e.awayMessage(m)
	case v1alpha1.StateUnknown:
		if err := m.unread(t.key.GR); err != nil {
			return fmt.Sprintf("%s cannot be read there, what is said is as last seen: %s", t.key.GR, short(err))
		}
	case v1alpha1.StateFieldsDropped:
		return e.droppedMessage(m.name, rec.left.dropped())
	case v1alpha1.StateDeleting:
		return deletingMessage(&rec.seen)
	case v1alpha1.StatePending:
		return e.pendingMessage(t, m, rec)
	}
	return ""
}

func (e *Engine) awayMessage(m *member) string {
	e.mu.RLock()
	c := e.clusters[m.name]
	e.mu.RUnlock()
	switch {
	case c == nil:
		return "the cluster has left"
	case c.ready:
		return "the hub has not looked into the cluster yet"
	case c.since.IsZero():
		return "the hub has not reached the cluster yet"
	}
	return "the cluster is away since " + c.since.UTC().Format(time.RFC3339)
}

func (e *Engine) pendingMessage(t *template, m *member, rec *record) string {
	switch {
	case t.undecided:
		return "it is being decided where it goes"
	case t.awaitsNamespace:
		return "waiting for the decision about its namespace"
	}
	if ns := m.get(Key{GR: namespaces(), Name: t.key.Namespace}).seen; t.key.Namespace != "" && ns.deleting {
		return fmt.Sprintf("namespace %s there is %s", t.key.Namespace, deletingMessage(&ns))
	}
	if rec.waits != "" {
		return "waiting for " + rec.waits
	}
	if s := m.engaged(); s != nil {
		if watched, missing := s.state(t.key.GR); !watched && !missing {
			return t.key.GR.String() + " there have not been read yet"
		}
	}
	return "to be written"
}

// deletingMessage says what the deletion of an object waits for.
func deletingMessage(o *observation) string {
	if !o.deleting {
		return "to be deleted"
	}
	var waits []string
	if len(o.finalizers) > 0 {
		waits = append(waits, "finalizer "+strings.Join(o.finalizers, ", "))
	}
	waits = append(waits, namespaceWaits(o.status)...)
	if len(waits) == 0 {
		return "being deleted"
	}
	return "being deleted, which waits for " + strings.Join(waits, "; ")
}

// label is an object's name as messages have it.
func (k Key) label() string {
	if k.Namespace == "" {
		return k.GR.String() + " " + k.Name
	}
	return k.GR.String() + " " + k.Namespace + "/" + k.Name
}

// namespaceWaits is what the conditions of a Namespace say that its deletion waits for.
func namespaceWaits(status map[string]any) (waits []string) {
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		kind, _ := m["type"].(string)
		text, _ := m["message"].(string)
		if m["status"] == "True" && strings.HasPrefix(kind, "Namespace") && text != "" {
			waits = append(waits, shorten(text))
		}
	}
	return waits
}

// finalizersOf is what the deletion of obj waits for; nil if it is not being deleted. The
// API server itself takes away what stands for a Namespace's content.
func finalizersOf(obj *unstructured.Unstructured) []string {
	if obj.GetDeletionTimestamp() == nil {
		return nil
	}
	return obj.GetFinalizers()
}
