// Package report says what became of what was decided: it renders an Assignment and what members show of it into the
// status of the hub's object, its conditions, its Placement, and numbers for the Cluster. It is pure.
//
// What members say is data of others. One whose words make a fault is left out, and said so.
package report

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Member is what has to be known of a member. Its methods may be called from any goroutine and do not block.
type Member interface {
	// Name is that of its Cluster.
	Name() string
	// Reachable says whether there is a session with it.
	Reachable() bool
	// Heard says whether it answers, and its objects of a resource are known.
	Heard(schema.GroupResource) bool
	// Unread is why the objects of a resource are not known as they are now in a member that is reachable, nil if
	// they are.
	Unread(schema.GroupResource) error
	// Observed is what is known of an object in it, nil if that is nothing.
	Observed(template.Key) *decide.Observed
}

// Counted is a Member whose objects are counted, all of them and often, so that it is asked for no more than that takes.
type Counted interface {
	Member
	// Settled says whether an object is as target says, and nothing else is to be said of it.
	Settled(key template.Key, target template.Target) bool
	// Glance is Observed without Spec.
	Glance(template.Key) *decide.Observed
}
