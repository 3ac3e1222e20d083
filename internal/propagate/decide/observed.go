package decide

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Observed is what is known of one object in one member. It does not change. A member makes a new one with
// each change of what it knows.
type Observed struct {
	// UID of the object; empty: it is not there, as far as is known.
	UID types.UID
	// Ours: it carries this hub's mark; Template is the UID of the template from which the mark says it was made.
	Ours       bool
	Template   types.UID
	Deleting   bool
	Finalizers []string // while deleting

	Generation, ObservedGeneration int64
	// Replicas, Parallelism and Completions are its spec's, nil without.
	Replicas, Parallelism, Completions *int32
	// Revision of its pod template, as AnnotationRevision says.
	Revision string
	// Status is the member's, not to be changed.
	Status map[string]any

	// Left is what the last write, or the last comparison, left in sync; nil: nothing that is known. InSync: the
	// object is still as that left it, and no attempt has failed since.
	Left   *template.Target
	InSync bool
	// Spec is what the hub last wanted its spec to be.
	Spec map[string]any
	// Dropped are fields that the member did not keep.
	Dropped []fieldmerge.Path

	// Fault is why the last attempt failed; nil: it did not. FaultSince is since when.
	Fault      *Problem
	FaultSince time.Time
	// Waits is what the last attempt found to be missing, in words.
	Waits string
	// Withheld is why it stays although the hub has no use for it; empty: it does not.
	Withheld      lineage.Reason
	WithheldSince time.Time
	// Outlived is when the member last said how its pods get on, if that was about an earlier pod template.
	Outlived string
	// Own is the number of replicas that the member set itself and that the total is to follow.
	Own *int32
	// Sending is what a write that is under way, or of which no answer came, says of how many pods of a Job run
	// at once, or with which a Pod or Job is made.
	Sending *int32
}

// Problem is a failed attempt. Conflict: an object of that name was there before, and differs.
type Problem struct {
	Conflict bool
	Message  string
}

// Exists says whether the object is there.
func (o *Observed) Exists() bool { return o != nil && o.UID != "" }

// From says whether the object is there and was made from the template with that UID.
func (o *Observed) From(uid types.UID) bool { return o.Exists() && o.Template == uid }

// Count is a number in the object's status, 0 without.
func (o *Observed) Count(field string) int32 {
	if o == nil {
		return 0
	}
	n, _ := o.Status[field].(int64)
	return template.Count(n)
}
