package decide

import (
	"time"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Effect is what the caller of Apply has to do. Effects are in the order in which they are to be carried out.
type Effect interface{ effect() }

// Publish: what was decided about an object is this from now on; nil: there is no template of it any more.
type Publish struct {
	Key        template.Key
	Assignment *Assignment
}

// PublishFacts: what is known beside the objects is this from now on.
type PublishFacts struct{ Facts *Facts }

// Deliver: the members have to look at objects again.
type Deliver struct{ Keys []template.Key }

// Record: the Recording of an object's Assignment, as published when it is carried out, is to be written at
// the hub.
type Record struct{ Key template.Key }

// KeepRevision: the pod template of a workload was replaced by another, or is about to go out step by step, and is to be kept at the
// hub as a ControllerRevision.
type KeepRevision struct{ Template *template.Template }

// ReadRevisions: the earlier pod templates of a workload are to be read at the hub; the answer is a Revised.
type ReadRevisions struct{ Template *template.Template }

// Status: the status of an object at the hub is to be written, not before After has gone by.
type Status struct {
	Key   template.Key
	After time.Duration
}

// Changed: the Placements of objects may be others.
type Changed struct{ Keys []template.Key }

// Tell: an event about an object at the hub.
type Tell struct{ Event }

// CountPolicies: what policies apply to may have changed.
type CountPolicies struct{}

// Watch: the members' nodes and pods, and with Volumes their volumes, are to be measured from now on.
type Watch struct{ Volumes bool }

// At: Tick is to be applied at that time, or soon after. Only the earliest of several counts, and the last of an earlier Apply is
// replaced by the next: a World says with each Apply when it has to be called next, if at all.
type At struct{ Time time.Time }

// More: work is left, because it would have taken too long. Tick is to be applied when nothing else waits.
type More struct{}

// Verdict answers Begins and Lowers.
type Verdict struct{ GoAhead bool }

// Fault: a panic was contained while something was decided. The object stays as it is.
type Fault struct {
	Key template.Key
	Err error // guard.Stack has the stack
}

func (Publish) effect()       {}
func (PublishFacts) effect()  {}
func (Deliver) effect()       {}
func (Record) effect()        {}
func (KeepRevision) effect()  {}
func (ReadRevisions) effect() {}
func (Status) effect()        {}
func (Changed) effect()       {}
func (Tell) effect()          {}
func (CountPolicies) effect() {}
func (Watch) effect()         {}
func (At) effect()            {}
func (More) effect()          {}
func (Verdict) effect()       {}
func (Fault) effect()         {}
