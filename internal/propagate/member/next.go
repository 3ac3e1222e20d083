package member

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/desired"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// view is all that what follows for one object in one member depends on.
type view struct {
	cluster string
	key     template.Key
	want    *decide.Wanted // nil: the hub has no such object
	rec     record
	// live is the object itself, nil where nobody has looked. met: it was read because something of that name was in the
	// way, so that no watch may show it.
	live *unstructured.Unstructured
	met  bool

	hub     types.UID
	run     string
	history lineage.History
	hasher  fieldmerge.Hasher
	// leaving: what the hub put there is to go; stays: without the hub's marks, it is to stay.
	leaving, stays bool
	// user is who uses it in the member, in words; unread: not all that may use it is known there.
	user          string
	unread        bool
	approved      bool // somebody was shown this very object and wants it deleted
	bounds        Bounds
	in            surrounding // of an object that is in a namespace
	namespaceNext bool        // the member will or may delete the namespace, because the hub has another of that name by now
	// scaled says whether the number of replicas is an autoscaler's there; false where known is.
	scaled, scalersKnown bool
	schema               *schemaMark
	version              string // of Kubernetes there, empty: not known
	accepts              func(n int32) bool
	now                  time.Time
}

// verb is what a step asks of the member.
type verb int

// Verbs. A release is a patch that takes the hub's marks off.
const (
	nothing verb = iota
	get
	create
	patch
	replace
	remove
	release
	lower // a patch that has it run fewer replicas, and leaves all else as it is
)

func (v verb) writes() bool { return v > get }

// step is what follows for an object now: at most one request to the member, and what is to be remembered whatever comes
// of that. The zero step is that all is as it is to be.
type step struct {
	verb verb
	body map[string]any // of a create, patch, replace or release
	uid  types.UID      // that a remove or release is about
	// wanted is what the object is to be like after a write, made is out of what; skipped are the fields that are left
	// as the member has them.
	wanted  map[string]any
	made    desired.Made
	skipped []string
	// drift are fields that the member had changed, where that is why a patch is written; first: it is the first write since
	// the hub was started.
	drift       []string
	corrections int // this one included
	first       bool
	// spared are labels of Pod Security that the hub wants weaker than the member has them.
	spared []string
	// adopts: the object was there before; replaces: what is removed is to be made again.
	adopts, replaces bool

	// remember changes what is known; nil: nothing is another.
	remember func(*record)
	tell     []news
	// err is why the object is not as it is to be; a waiting is no fault. again is when to look, 0: when something changes, or
	// with an err that is no conflict, ever later.
	err   error
	again time.Duration
	// awaits: the namespace or the kind may be missing; synced: the object is known to be as it is to be by this step.
	awaits, synced bool
	// atOnce: it is to be looked at again at once.
	atOnce bool
	// quietly: nothing that others hear of is another.
	quietly bool
}

// news is an event about an object.
type news struct {
	eventType, reason, message string
	// restored: it is told only where the hub was restored from an older copy.
	restored bool
}

// waiting is an error that is no fault: what the object needs is not there yet.
type waiting struct{ what string }

func (w waiting) Error() string { return "waiting for " + w.what }

func waits(what string) step { return step{err: waiting{what}} }

// conflictError is an object that was in the member before, and differs.
type conflictError struct{ message string }

func (c conflictError) Error() string { return c.message }

// deniedError is that the hub's account has no right to what was asked for.
type deniedError struct{ error }

func (d deniedError) Unwrap() error { return d.error }

// next is what follows for an object. It is a function of v, which it does not change but for rec.own, and idempotent: once
// a step is carried out and answered, the next is nothing, until something changes here or there.
func next(v *view) step {
	placed := v.placed()
	if placed {
		if out, is := v.keptOut(); is {
			return out
		}
	}
	if placed && v.want.Turn.Waits != "" {
		return waits(v.want.Turn.Waits)
	}
	switch {
	case v.want != nil && v.want.Withheld && !v.leaving:
		return v.fine()
	case !v.rec.seen.exists() && !placed:
		return v.forget()
	case v.rec.seen.deleting && v.met:
		return waits("an object of the same name, which is being deleted")
	case v.rec.seen.deleting:
		return v.fine() // its deletion, when it is complete, queues it again
	case !v.rec.seen.exists() && v.met:
		return v.adopt()
	case !v.rec.seen.exists():
		return v.create()
	}
	return v.act(placed)
}

func (o *seen) marked() bool { return o.mark.Raw != "" }

// placed says whether the member is to have the object. A workload whose share went away keeps the object, with no
// replicas: scaling deletes nothing.
func (v *view) placed() bool {
	if v.want == nil || v.want.Going || v.want.Stays || v.leaving || v.want.Outside != "" {
		return false
	}
	if v.want.Barred && !v.rec.seen.from(v.want.UID) {
		return false
	}
	if v.want.Placed {
		return true
	}
	switch v.want.Division {
	case kinds.Replicas:
		return v.rec.seen.from(v.want.UID)
	case kinds.OneActive:
		return true
	}
	return false
}

// act does with an object that is in the member what follows from whose it is.
func (v *view) act(placed bool) step {
	action, reason := v.judge(placed)
	switch action {
	case lineage.Keep:
		return v.wantedAgain(v.keep())
	case lineage.Adopt:
		return v.wantedAgain(v.adopt())
	case lineage.Hold:
		return v.withhold(reason)
	case lineage.Release:
		if v.expelled() && v.in.left > 0 {
			return waits("what is in it to leave")
		}
		return v.release()
	case lineage.Delete:
		if v.expelled() {
			return v.expel()
		}
		if placed { // a namesake: as in a single cluster, the old object goes and a new one is made
			return step{verb: remove, uid: v.rec.seen.uid, replaces: true}
		}
		if v.in.deleting {
			return v.fine()
		}
		if user := v.needed(); user != "" {
			return waits(user)
		}
		return step{verb: remove, uid: v.rec.seen.uid}
	case lineage.Ignore:
	}
	return step{}
}

func (v *view) judge(placed bool) (lineage.Action, lineage.Reason) {
	o := &v.rec.seen
	found := lineage.Found{Mark: o.mark, Marked: o.marked(), Written: v.rec.wrote == o.uid, Lasting: lasting(v.key, o)}
	wanted := lineage.Wanted{Hub: v.hub, History: v.history, Placed: placed, Leaving: v.leaving, Stays: v.stays, Approved: v.approved, Template: v.want.UIDOf()}
	return lineage.Decide(found, wanted)
}

// lasting says whether an object is let go of where others are deleted: what others made would go with it.
func lasting(key template.Key, o *seen) bool {
	holdsOthers := key.GR == template.Namespaces() || key.GR == template.CRDs()
	return o.adopted && holdsOthers || key.GR == template.Namespaces() && key.Name == metav1.NamespaceDefault
}

// fine notes that there is no fault, if there was one.
func (v *view) fine() step {
	if v.rec.fault() == nil && v.rec.waits() == "" {
		return step{}
	}
	now := v.now
	return step{remember: func(r *record) { r.setFault(nil, now) }}
}

// forget is for an object that is not there and is not to be.
func (v *view) forget() step {
	if v.rec.fault() == nil && v.rec.left == nil && v.rec.waits() == "" {
		return step{}
	}
	return step{remember: func(r *record) {
		if !r.seen.exists() {
			*r = record{}
		}
	}}
}

// create makes the object.
func (v *view) create() step {
	if v.want.Finished() {
		return v.forget()
	}
	if v.namespaceNext {
		return waits("namespace " + v.key.Namespace + " in the member, which is to be replaced")
	}
	if v.want.Division == kinds.Replicas && !v.scalersKnown {
		return waits("the member's autoscalers")
	}
	m := desired.Of(v.want)
	wanted, err := m.Object(v.cluster, v.origin(), false)
	if err != nil {
		return step{err: err}
	}
	return step{verb: create, body: wanted, wanted: wanted, made: m}
}

// origin is what a new object in the member is marked with.
func (v *view) origin() string {
	return lineage.Origin{Hub: v.hub, Session: v.run, Revision: v.want.Revision, Template: v.want.UID, On: v.key.Object()}.String()
}

// withhold notes that the object is left alone, and why, until somebody approves of its deletion.
func (v *view) withhold(reason lineage.Reason) step {
	if v.rec.withheld() == reason {
		return step{}
	}
	now := v.now
	return step{remember: func(r *record) {
		t := r.changed()
		if t.withheld == "" {
			t.withheldSince = now
		}
		t.withheld = reason
		r.live, r.seen.status, r.seen.size = nil, nil, int32(len(r.seen.mark.Raw)) // of no use meanwhile
	}}
}

// wantedAgain has s note that the object is not withheld any more, because the hub has a use for it.
func (v *view) wantedAgain(s step) step {
	if v.rec.withheld() == "" {
		return s
	}
	before := s.remember
	s.remember = func(r *record) {
		if r.withheld() != "" {
			r.changed().withheld = ""
		}
		if before != nil {
			before(r)
		}
	}
	return s
}

// skip is the fields that are the member's although the hub's object sets them; false: nobody knows yet. It notes in
// v.rec.own the number of replicas that the member set itself and the total is to follow.
func (v *view) skip() (paths []string, known bool) {
	switch v.want.Division {
	case kinds.Replicas:
		if !v.scalersKnown {
			return nil, false
		}
		owned := v.ownCount() || v.scaled && !v.want.FollowsMembers
		if owned {
			return []string{"spec.replicas"}, true
		}
	case kinds.Completions, kinds.One:
		return v.fixed(), true
	}
	return nil, true
}

// fixed are the fields of work that stays put which nobody can change once it has begun: what a policy or a cluster's labels
// make of them by now is for what is made later.
func (v *view) fixed() (paths []string) {
	if v.want.Division == kinds.Completions {
		paths = append(paths, "spec.completions")
	}
	if started, _ := v.rec.seen.status["startTime"].(string); v.key.GR == template.Jobs() && started != "" {
		paths = append(paths, "spec.template")
	}
	return paths
}

// getting is a step that has the object read, unless it is known.
func (v *view) getting() (s step, missing bool) {
	if v.live == nil {
		v.live = v.rec.live
	}
	return step{verb: get}, v.live == nil
}

// without is paths without what is in other.
func without(paths, other []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return slices.Contains(other, path) })
}
