package member

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Knows says whether anything is known of an object.
func (m *Member) Knows(key template.Key) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[key] != nil
}

// Blame notes that what the member says of an object's status cannot be dealt with, until it is looked at again.
func (m *Member) Blame(key template.Key, message string) {
	m.update(key, func(r *record) { r.setFault(&decide.Problem{Message: message}, m.clock.Now()) })
	m.listener.Changed(key)
}

// EnqueueAll has all objects of a resource looked at: what is to be there, and what is known to be.
func (m *Member) EnqueueAll(gr schema.GroupResource) { m.Enqueue(m.keys(gr)...) }
