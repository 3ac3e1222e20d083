package member

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/limits"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/desired"
	"github.com/hanse-dev/hanse/internal/propagate/needed"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// record is what is known of one object in one member.
type record struct {
	// seen is the object as last seen or written; zero: not there.
	seen seen
	// live is the object itself, kept only while its content is not explained by what was left there.
	live *unstructured.Unstructured
	// left is what the last write, or the last comparison, left in sync.
	left *left
	// wrote is the UID of the object that this run of the hub last wrote.
	wrote types.UID
	// own is the number of replicas that the member set itself and the total is to follow; sending is what a write says
	// that was sent, until the member shows what came of it: of how many pods of a Job run at once, or with which a
	// Pod or Job is made.
	own, sending *int32
	// trouble is nil for an object with which all is well.
	trouble *trouble
}

// trouble is what of a record most objects have no use for.
type trouble struct {
	// fault is why the last attempt failed, since when; nil: it did not.
	fault *decide.Problem
	since time.Time
	// waits is what the last attempt found to be missing, in words; that is no fault.
	waits string
	// outlived is when the member last said how its pods get on, if that was about an earlier pod template.
	outlived string
	// withheld is why it stays although the hub has no use for it, since when; empty: it does not.
	withheld      lineage.Reason
	withheldSince time.Time
	// corrections counts how often drift was put right since it last rested, corrected is when it was.
	corrections int
	corrected   time.Time
}

// seen is the part of an object that is remembered.
type seen struct {
	uid                      types.UID
	rv                       uint64
	generation               int64
	observed                 int64 // status.observedGeneration
	hash                     uint64
	mark                     lineage.Mark // zero: not an object of a hub
	revision                 string       // of the pod template, as AnnotationRevision says
	status                   map[string]any
	finalizers               []string // while deleting
	replicas                 *int32
	parallelism, completions *int32 // a Job's
	size, whole              int32  // about what it takes to remember it, and the object itself
	deleting, adopted        bool
	use                      needed.Use // of Secrets and ConfigMaps
}

func (o *seen) exists() bool { return o.uid != "" }

// covers says whether o is as new as that version of the object, as it is when a watch brings what the answer to a write of
// ours brought before.
func (o *seen) covers(uid types.UID, rv uint64) bool { return o.uid == uid && rv != 0 && rv <= o.rv }

// ours says whether the object came from a hub with this UID.
func (o *seen) ours(hub types.UID) bool { return o.mark.Origin.Hub == hub }

// from says whether the object is there and was made from the template with that UID.
func (o *seen) from(uid types.UID) bool { return o.exists() && o.mark.Origin.Template == uid }

// observe is what is remembered of obj.
func observe(h fieldmerge.Hasher, key template.Key, obj *unstructured.Unstructured) seen {
	annotations := obj.GetAnnotations()
	o := seen{
		uid: obj.GetUID(), rv: template.RevisionOf(obj.GetResourceVersion()), generation: obj.GetGeneration(),
		hash:     h.Content(obj.Object),
		deleting: obj.GetDeletionTimestamp() != nil,
		adopted:  annotations[v1alpha1.AnnotationAdopted] != "",
		revision: annotations[v1alpha1.AnnotationRevision],
		use:      needed.Read(key.GR, obj.Object),
	}
	if o.deleting {
		o.finalizers = obj.GetFinalizers()
	}
	o.mark, _ = readMark(key, obj)
	o.status, _ = obj.Object["status"].(map[string]any)
	if n, ok := o.status["observedGeneration"].(int64); ok {
		o.observed = n
	}
	o.replicas = template.NumberIn(obj.Object, "replicas")
	o.parallelism, o.completions = template.NumberIn(obj.Object, "parallelism"), template.NumberIn(obj.Object, "completions")
	o.size = int32(len(o.mark.Raw) + len(o.uid) + len(o.revision) + limits.Weight(o.status) + o.use.Weight())
	o.whole = o.size + int32(limits.Weight(obj.Object))
	return o
}

// left is a state that the hub wanted and the member has: where the content of the object has this hash, it is
// as made says, whatever the member's admission made of it.
type left struct {
	desired.Made
	hash uint64
	kept *kept // nil: the member has all that was wanted
}

// kept is what of what was wanted the member has not taken over.
type kept struct {
	// skipped are fields that were left as the member had them: whoever they belonged to may be gone later.
	skipped []string
	// dropped are fields that the member did not keep, under that schema.
	dropped []fieldmerge.Path
	schema  *schemaMark
}

func (l *left) skipped() []string {
	if l == nil || l.kept == nil {
		return nil
	}
	return l.kept.skipped
}

func (l *left) dropped() []fieldmerge.Path {
	if l == nil || l.kept == nil {
		return nil
	}
	return l.kept.dropped
}

// asLeft says whether the object's content is what the last write left.
func (r *record) asLeft() bool { return r.left != nil && r.left.hash == r.seen.hash }

func (r *record) fault() *decide.Problem {
	if r.trouble == nil {
		return nil
	}
	return r.trouble.fault
}

func (r *record) waits() string {
	if r.trouble == nil {
		return ""
	}
	return r.trouble.waits
}

func (r *record) withheld() lineage.Reason {
	if r.trouble == nil {
		return ""
	}
	return r.trouble.withheld
}

// changed is the trouble of r, to be changed. Those who have a copy of r do not see the change.
func (r *record) changed() *trouble {
	next := trouble{}
	if r.trouble != nil {
		next = *r.trouble
	}
	r.trouble = &next
	return r.trouble
}

// longestFault bounds what is remembered of a member's complaint, in bytes.
const longestFault = 4 << 10

// setFault notes a failed attempt, or with nil that it was put right.
func (r *record) setFault(f *decide.Problem, now time.Time) {
	if f == nil && r.fault() == nil && r.waits() == "" {
		return
	}
	if f != nil && len(f.Message) > longestFault {
		f = &decide.Problem{Conflict: f.Conflict, Message: strings.ToValidUTF8(f.Message[:longestFault], "") + " …"}
	}
	before, t := r.fault(), r.changed()
	if (before == nil) != (f == nil) || f != nil && *before != *f {
		t.since = now
	}
	t.fault, t.waits = f, ""
}

// wait notes what the object waits for.
func (r *record) wait(what string, now time.Time) {
	r.setFault(nil, now)
	r.changed().waits = what
}

// worthless says whether r says nothing.
func (r *record) worthless() bool {
	return !r.seen.exists() && r.fault() == nil && r.left == nil && r.waits() == "" && r.sending == nil
}

// weight is about how many bytes of memory a record takes, without what is the hub's own.
func (r *record) weight() int {
	if r.live != nil {
		return recordWeight + int(r.seen.whole)
	}
	return recordWeight + int(r.seen.size)
}

// observed is what others are told of r, without Spec.
func (r *record) observed(hub types.UID) *decide.Observed {
	o := &decide.Observed{
		UID: r.seen.uid, Ours: r.seen.exists() && r.seen.ours(hub), Template: r.seen.mark.Origin.Template,
		Deleting: r.seen.deleting, Finalizers: r.seen.finalizers,
		Generation: r.seen.generation, ObservedGeneration: r.seen.observed,
		Replicas: r.seen.replicas, Parallelism: r.seen.parallelism, Completions: r.seen.completions,
		Revision: r.seen.revision, Status: r.seen.status, Own: r.own, Sending: r.sending,
		InSync: r.asLeft() && r.fault() == nil, Dropped: r.left.dropped(),
	}
	if r.left != nil {
		target := r.left.Target()
		o.Left = &target
	}
	if t := r.trouble; t != nil {
		o.Fault, o.FaultSince, o.Waits, o.Outlived = t.fault, t.since, t.waits, t.outlived
		o.Withheld, o.WithheldSince = t.withheld, t.withheldSince
	}
	return o
}
