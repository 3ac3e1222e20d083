package propagate

import (
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/lineage"
)

// member is a cluster of the federation, engaged or away. What is known of it
// outlives its sessions.
type member struct {
	name string

	mu          sync.Mutex
	session     *session // nil while away
	withdrawing bool     // it leaves the federation
	staying     bool     // … and what the hub put there stays, without its marks
	records     map[Key]*record
	approved    map[Key]types.UID // held objects that may be deleted
	bytes       int               // about what records take
	overrun     overrun           // that it was too large
	version     uint64            // rises with each change of a record
	report      cachedReport
}

// record is what is known of one object in one member.
type record struct {
	// seen is the object as last observed or written; zero: not there.
	seen observation
	// live is the object itself, kept only while its content is not explained
	// by what was left there.
	live *unstructured.Unstructured
	// left is what the last write, or the last comparison, left in sync.
	left *left
	// fault is why the last attempt failed, nil if it did not.
	fault *fault
	// waits is what the last attempt found to be missing, in words; that is no fault.
	waits string
	// outlived is when the member last said how its pods get on, if that was about
	// an earlier pod template.
	outlived string
	// held is why it stays although the hub has no use for it, empty: it does not;
	// heldSince is since when.
	held      lineage.Reason
	heldSince time.Time
	// wrote is the UID of the object that this run of the hub last wrote.
	wrote types.UID
	// since is when the fault, or its absence, began.
	since time.Time
	// corrections counts how often drift was put right since it last rested.
	corrections int
	corrected   time.Time
	// own is the number of replicas that the member set itself and the hub is
	// to take over; see follow.go.
	own *int32
	// sending is what a write that was sent says of how many pods of a Job run at
	// once, or with which a Pod or Job is made, until the member shows what came of it.
	sending *int32
}

// observation is the part of an object that is remembered.
type observation struct {
	uid         types.UID
	rv          uint64
	generation  int64
	observed    int64 // status.observedGeneration
	hash        uint64
	deleting    bool
	finalizers  []string     // while deleting
	mark        lineage.Mark // zero: not an object of a hub
	size, whole int          // about what it takes to remember it, and the object itself
	adopted     bool
	revision    string // of the pod template, as AnnotationRevision says
	replicas    *int32
	// parallelism and completions are a Job's.
	parallelism, completions *int32
	status                   map[string]any
}

func (o observation) exists() bool { return o.uid != "" }

// covers says whether o is as new as that version of the object, as it is when
// a watch brings what the answer to a write of ours brought before.
func (o observation) covers(uid types.UID, rv uint64) bool {
	return o.uid == uid && rv != 0 && rv <= o.rv
}

// left is a state that the hub wanted and the member has: where the content of
// the object has this hash, it is as desired says, whatever the member's
// admission made of it.
type left struct {
	desired map[string]any
	target  target
	hash    uint64
	kept    *kept // nil: the member has all that desired says
}

// kept is what of a desired state the member has not taken over.
type kept struct {
	// skipped are fields that were left as the member had them, as task.skip says: whoever
	// they belonged to may be gone later.
	skipped []string
	// dropped are fields that the member did not keep, under that schema.
	dropped []fieldmerge.Path
	schema  *schemaMark
}

// target is what the hub wants of a template in one member, in little: as long as it
// is the same, so is what task.desired makes of it.
type target struct {
	content *content
	share   share
	shape   string
	// revision of the pod template, empty where no policy says how it rolls out
	revision string
}

// pods is the revision of the pod template, also where no policy asks for it.
func (t target) pods() string {
	if t.revision == "" && t.content != nil {
		return t.content.revision
	}
	return t.revision
}

// target is what the hub wants of t in a member. It takes no lock: it is asked for
// with and without those of Engine and member.
func (t *template) target(cluster string) target {
	return target{content: t.content, share: t.shares[cluster], shape: t.shapes[cluster].id, revision: t.revision()}
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

// fault is a failed attempt.
type fault struct {
	conflict bool
	message  string
}

func newMember(name string) *member {
	return &member{name: name, records: map[Key]*record{}, approved: map[Key]types.UID{}}
}

// sortedMembers is all members by name.
func (e *Engine) sortedMembers() []*member {
	e.mu.RLock()
	defer e.mu.RUnlock()
	members := make([]*member, 0, len(e.members))
	for _, m := range e.members {
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b *member) int { return strings.Compare(a.name, b.name) })
	return members
}

// enqueue puts keys on the queue of the session, if there is one; a session
// that begins looks at everything anyway.
func (m *member) enqueue(keys ...Key) {
	m.mu.Lock()
	s := m.session
	m.mu.Unlock()
	if s == nil {
		return
	}
	for _, k := range keys {
		s.queue.Add(k)
	}
}

// refresh lets the session look for resources that it does not watch so far.
func (m *member) refresh() {
	m.mu.Lock()
	s := m.session
	m.mu.Unlock()
	if s != nil {
		s.refreshSoon()
	}
}

func (m *member) disengage() {
	m.mu.Lock()
	s := m.session
	m.session = nil
	m.mu.Unlock()
	if s != nil {
		s.cancel()
	}
}

func (m *member) reachable() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session != nil
}

// keysOf are the keys of a resource of which there are records.
func (m *member) keysOf(gr schema.GroupResource) []Key {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []Key
	for k := range m.records {
		if k.GR == gr {
			keys = append(keys, k)
		}
	}
	return keys
}

// forgetAll drops the records of a resource.
func (m *member) forgetAll(gr schema.GroupResource) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.records {
		if k.GR == gr {
			m.bytes -= m.records[k].weight()
			delete(m.records, k)
		}
	}
	m.version++
}

// get is a copy of the record of key; the zero record if there is none.
func (m *member) get(key Key) record {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.records[key]; r != nil {
		return *r
	}
	return record{}
}

// knows says whether that version of the object, or a later one, was seen.
func (m *member) knows(key Key, uid types.UID, rv uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	return r != nil && r.seen.covers(uid, rv)
}

// update changes the record of key, which is made if need be and forgotten if
// nothing is left to remember.
func (m *member) update(key Key, change func(*record)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	if r == nil {
		r = &record{}
		m.records[key] = r
	} else {
		m.bytes -= r.weight()
	}
	change(r)
	m.bytes += r.weight()
	m.version++
	if !r.seen.exists() {
		delete(m.approved, key)
		if r.fault == nil && r.left == nil && r.waits == "" && r.sending == nil {
			m.bytes -= r.weight()
			delete(m.records, key)
		}
	}
}

// observe makes an observation of obj.
func (e *Engine) observe(key Key, obj *unstructured.Unstructured) observation {
	annotations := obj.GetAnnotations()
	o := observation{
		uid:        obj.GetUID(),
		rv:         revision(obj.GetResourceVersion()),
		generation: obj.GetGeneration(),
		hash:       e.hasher.Content(obj.Object),
		deleting:   obj.GetDeletionTimestamp() != nil,
		finalizers: finalizersOf(obj),
		adopted:    annotations[v1alpha1.AnnotationAdopted] != "",
		revision:   annotations[v1alpha1.AnnotationRevision],
	}
	o.mark, _ = readMark(key, obj)
	o.status, _ = obj.Object["status"].(map[string]any)
	if n, ok := o.status["observedGeneration"].(int64); ok {
		o.observed = n
	}
	o.replicas = numberIn(obj, "replicas")
	o.parallelism, o.completions = numberIn(obj, "parallelism"), numberIn(obj, "completions")
	o.size = len(o.mark.Raw) + len(o.uid) + len(o.revision) + weightOf(o.status)
	o.whole = o.size + weightOf(obj.Object)
	return o
}

// numberIn is a number in an object's spec, nil if there is none.
func numberIn(obj *unstructured.Unstructured, field string) *int32 {
	n, found, _ := unstructured.NestedInt64(obj.Object, "spec", field)
	if !found {
		return nil
	}
	number := toInt32(n)
	return &number
}

// weight is about how many bytes of memory a record takes, without what is the hub's own.
func (r *record) weight() int {
	if r.live != nil {
		return recordWeight + r.seen.whole
	}
	return recordWeight + r.seen.size
}

// longestFault bounds what is remembered of a member's complaint, in bytes.
const longestFault = 4 << 10

// setFault notes a failed attempt, or with nil that it was put right.
func (r *record) setFault(f *fault) {
	if f != nil && len(f.message) > longestFault {
		f.message = strings.ToValidUTF8(f.message[:longestFault], "") + " …"
	}
	if (r.fault == nil) != (f == nil) || f != nil && *r.fault != *f {
		r.since = metav1.Now().Time
	}
	r.fault, r.waits = f, ""
}

// marked says whether the object is a hub's.
func (o observation) marked() bool { return o.mark.Raw != "" }

// ours says whether the object came from a hub with this UID.
func (o observation) ours(hubUID types.UID) bool {
	return o.mark.Origin.Hub == hubUID
}
