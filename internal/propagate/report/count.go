package report

import (
	"fmt"
	"iter"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Counts is how propagation to a member is doing, in numbers of objects.
type Counts struct {
	Withheld int // managed there, and left alone until somebody approves of the deletion
	Pending  int // to be written or deleted, without a fault yet
	Failing  int // refused by the member, or in conflict
	Message  string
	// Waiting is what the first of the pending deletions waits for; empty: nothing is known.
	Waiting string

	waiting template.Key
}

// Count counts for one member what is placed there, or is there, out of all; what is neither is passed over. surplus are the
// objects in it that have no template at the hub.
func Count(m Counted, facts *decide.Facts, all iter.Seq[*decide.Assignment], surplus iter.Seq2[template.Key, *decide.Observed]) Counts {
	var out Counts
	for a := range all {
		_, placed := a.Shares[m.Name()]
		if placed && !a.Undecided && m.Settled(a.Key, a.Target(m.Name())) {
			continue // as most are
		}
		if o := m.Glance(a.Key); placed || o.Exists() {
			out.add(a, facts, m, known(o))
		}
	}
	for key, o := range surplus {
		switch {
		case !o.Exists():
		case o.Withheld != "":
			out.Withheld++
		default:
			out.pending(key, o) // to be deleted
		}
	}
	return out
}

func (c *Counts) add(a *decide.Assignment, facts *decide.Facts, m Member, o *decide.Observed) {
	if o.Withheld != "" {
		c.Withheld++
		return
	}
	switch stateOf(a, m, o) {
	case v1alpha1.StateError, v1alpha1.StateConflict:
		c.failing(a.Key, o.Fault.Message)
	case v1alpha1.StateFieldsDropped:
		c.failing(a.Key, DroppedMessage(m.Name(), versionOf(m.Name(), facts), o.Dropped))
	case v1alpha1.StatePending, v1alpha1.StateDeleting:
		c.pending(a.Key, o)
	}
}

// failing counts; what is said is the first by name.
func (c *Counts) failing(key template.Key, message string) {
	c.Failing++
	if c.Message == "" || key.String() < c.Message {
		c.Message = fmt.Sprintf("%s: %s", key, message)
	}
}

func (c *Counts) pending(key template.Key, o *decide.Observed) {
	c.Pending++
	if o.Deleting && (c.Waiting == "" || key.String() < c.waiting.String()) {
		c.waiting, c.Waiting = key, fmt.Sprintf("%s is %s", key.Label(), deletingMessage(o))
	}
}
