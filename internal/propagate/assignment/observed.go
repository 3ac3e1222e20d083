package assignment

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/transition"
)

// Observed is what is known of one object in one member. It does not change. A member makes a new one with
// each change of what it knows. What it does not say is not in recordings of it.
type Observed struct {
	// UID of the object; empty: it is not there, as far as is known.
	UID types.UID `json:",omitempty"`
	// Ours: it carries this hub's mark; Template is the UID of the template from which the mark says it was made.
	Ours       bool      `json:",omitempty"`
	Template   types.UID `json:",omitempty"`
	Deleting   bool      `json:",omitempty"`
	Finalizers []string  `json:",omitempty"` // while deleting

	Generation, ObservedGeneration int64 `json:",omitempty"`
	// Replicas, Parallelism and Completions are its spec's, nil without.
	Replicas, Parallelism, Completions *int32 `json:",omitempty"`
	// Revision of its pod template, as AnnotationRevision says.
	Revision string `json:",omitempty"`
	// Status is the member's, not to be changed.
	Status map[string]any `json:",omitempty"`

	// Left is what the last write, or the last comparison, left in sync; nil: nothing that is known. InSync: the
	// object is still as that left it, and no attempt has failed since.
	Left   *template.Target `json:",omitempty"`
	InSync bool             `json:",omitempty"`
	// Spec is what the hub last wanted its spec to be.
	Spec map[string]any `json:",omitempty"`
	// Dropped are fields that the member did not keep.
	Dropped []fieldmerge.Path `json:",omitempty"`

	// Fault is why the last attempt failed; nil: it did not. FaultSince is since when.
	Fault      *Problem  `json:",omitempty"`
	FaultSince time.Time `json:",omitzero"`
	// Waits is what the last attempt found to be missing, in words.
	Waits string `json:",omitempty"`
	// Withheld is why it stays although the hub has no use for it; empty: it does not.
	Withheld      lineage.Reason `json:",omitempty"`
	WithheldSince time.Time      `json:",omitzero"`
	// Outlived is when the member last said how its pods get on, if that was about an earlier pod template.
	Outlived string `json:",omitempty"`
	// Own is the number of replicas that the member set itself and that the total is to follow.
	Own *int32 `json:",omitempty"`
	// Sending is what a write that is under way, or of which no answer came, says of how many pods of a Job run
	// at once, or with which a Pod or Job is made.
	Sending *int32 `json:",omitempty"`
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

// Has says whether the object is this hub's, of that template.
func (o *Observed) Has(a *Assignment) bool { return o.From(a.UID) && o.Ours }

// Runs is how many replicas of a the member was told to run.
func (o *Observed) Runs(a *Assignment) int32 {
	if !o.Has(a) || o.Replicas == nil {
		return 0
	}
	return *o.Replicas
}

// RunsMore says whether the member runs more of a than n replicas.
func (o *Observed) RunsMore(a *Assignment, n int32) bool {
	return o.From(a.UID) && !o.Deleting && o.Replicas != nil && *o.Replicas > n
}

// AsWanted says whether the member was told already to run what it is to: if it runs more, somebody there has scaled it.
func (o *Observed) AsWanted(s template.Share) bool {
	return o.Left != nil && o.Left.Share.Replicas == s.Replicas && o.Left.Share.Total == s.Total
}

// Work is part with what a member shows of it.
func (o *Observed) Work(part transition.Work) transition.Work {
	if o.Parallelism != nil {
		part.Has = max(part.Has, *o.Parallelism)
	}
	succeeded := o.Count("succeeded")
	switch {
	case template.JobEnds(o.Status, "Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"):
		part.Left = 0
	case o.Completions != nil:
		part.Left = max(0, *o.Completions-succeeded)
	case succeeded > 0:
		part.Left = o.Count("active") // no more are begun once one has succeeded
	}
	return part
}

// Running is how many replicas the member was told to run, or runs still.
func (o *Observed) Running() (n int32) {
	if !o.Exists() {
		return 0
	}
	if o.Replicas != nil {
		n = *o.Replicas
	}
	return max(n, o.Count("replicas"))
}

// Unready says whether the member has fewer ready replicas than it was told to run.
func (o *Observed) Unready() bool {
	if !o.Exists() || o.Replicas == nil {
		return false
	}
	ready, _ := o.Status["readyReplicas"].(int64)
	return ready < int64(*o.Replicas)
}

// WantsMore says whether an autoscaler that is at its maximum would go beyond it, by its own word if there is one: at the
// minimum, which may be the same, it is limited too.
func (o *Observed) WantsMore() bool {
	if o == nil {
		return false
	}
	conditions, _ := o.Status["conditions"].([]any)
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "ScalingLimited" {
			return m["status"] == "True" && m["reason"] == "TooManyReplicas"
		}
	}
	return true
}
