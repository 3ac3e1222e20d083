package member

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/limits"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/needed"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Member is a cluster of the federation, engaged or away. What is known of it outlives its sessions. Its methods may be
// called from any goroutine, and do not block but where they say so.
type Member struct {
	options  Options
	name     string
	source   Source
	listener Listener
	clock    clock.WithTicker
	// schemasEvery is lookForSchemas, but in tests.
	schemasEvery time.Duration
	told         atomic.Int32 // events of a restore; negative: none are told

	mu          sync.Mutex
	session     *session // nil while away
	withdrawing bool     // it leaves the federation
	staying     bool     // … and what the hub put there stays, without its marks
	records     map[template.Key]*record
	approved    map[template.Key]types.UID // withheld objects that may be deleted
	incomplete  map[template.Key]struct{}  // of which the member did not keep all
	uses        needed.There               // of Secrets and ConfigMaps, by what is there
	bytes       int                        // about what records take
	overrun     overrun                    // that it was too large
	version     uint64                     // rises with each change
}

// New is a member of which nothing is known yet.
func New(name string, o Options, s Source, l Listener) *Member {
	m := &Member{options: o, name: name, source: s, listener: l, clock: o.Clock, schemasEvery: lookForSchemas,
		records: map[template.Key]*record{}, approved: map[template.Key]types.UID{}, incomplete: map[template.Key]struct{}{}, uses: needed.NewThere()}
	if m.clock == nil {
		m.clock = clock.RealClock{}
	}
	if m.options.Limits == (limits.Limits{}) {
		m.options.Limits = DefaultLimits()
	}
	m.told.Store(-1)
	return m
}

// Name is the Cluster's.
func (m *Member) Name() string { return m.name }

// Engage begins a session, which ends with ctx; one that there is ends at once. A session that ends because the member is
// too large is begun again after a while. The error is about cfg.
func (m *Member) Engage(ctx context.Context, cfg *rest.Config) error {
	joined := ctx
	ctx, cancel := context.WithCancel(klog.NewContext(ctx, klog.FromContext(ctx).WithValues("cluster", m.name)))
	s, err := newSession(m, cfg, cancel)
	if err != nil {
		cancel()
		return err
	}
	m.begin(s)
	go func() {
		s.run(ctx)
		m.engageAgain(joined, cfg, s)
	}()
	return nil
}

// begin makes s the member's session.
func (m *Member) begin(s *session) {
	m.mu.Lock()
	before := m.session
	m.session = s
	m.version++
	m.listener.Engaged(m.name, true)
	m.mu.Unlock()
	if before != nil {
		before.cancel()
	}
}

// ended is called when a session has ended.
func (m *Member) ended(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == s {
		m.session = nil
		m.listener.Engaged(m.name, false)
	}
	m.version++
}

// Disengage ends the session, if there is one.
func (m *Member) Disengage() {
	m.mu.Lock()
	s := m.session
	m.session = nil
	if s != nil {
		m.version++
		m.listener.Engaged(m.name, false)
	}
	m.mu.Unlock()
	if s != nil {
		s.cancel()
	}
}

// engaged is the session, nil while the member is away.
func (m *Member) engaged() *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session
}

// Reachable says whether there is a session.
func (m *Member) Reachable() bool { return m.engaged() != nil }

// Enqueue has objects looked at, because what is wanted of them may be another; a session that begins looks at
// everything anyway.
func (m *Member) Enqueue(keys ...template.Key) {
	if s := m.engaged(); s != nil {
		for _, k := range keys {
			s.queue.Add(k)
		}
	}
}

// Refresh has the session look for resources, because those that are propagated are others.
func (m *Member) Refresh() {
	if s := m.engaged(); s != nil {
		s.refreshSoon()
	}
}

// Rebound has everything looked at again, because what the hub may do in the member is another.
func (m *Member) Rebound() {
	for _, r := range m.source.Resources() {
		m.EnqueueAll(r.GVR.GroupResource())
	}
}

// Restart ends the session, if there is one, and begins another, because what the hub's account may do in the member is another.
func (m *Member) Restart() {
	if s := m.engaged(); s != nil {
		s.mu.Lock()
		s.restarts = true
		s.mu.Unlock()
		s.cancel()
	}
}

// Restored has it told from now on, by events, what is put back in the member, because the hub was restored since the run that
// wrote there last.
func (m *Member) Restored() { m.told.CompareAndSwap(-1, 0) }

// maxRestored bounds the events about single objects that follow a restore, in each member.
const maxRestored = 200

// tellsRestored says whether it is told what became of an object because the hub was restored. Only the first write of this
// run can be about that.
func (m *Member) tellsRestored(w *decide.Wanted) bool {
	sessions := m.options.History.Sessions
	if m.told.Load() < 0 || len(sessions) == 0 || w.Revision >= sessions[len(sessions)-1].From {
		return false
	}
	return m.told.Add(1) <= maxRestored
}

// Observed is what is known of an object, nil if nothing is.
func (m *Member) Observed(key template.Key) *decide.Observed {
	rec, known := m.known(key)
	if !known {
		return nil
	}
	o := rec.observed(m.options.Hub)
	if rec.left != nil {
		o.Spec = rec.left.Spec(m.name)
	}
	return o
}

// Glance is Observed without Spec.
func (m *Member) Glance(key template.Key) *decide.Observed {
	rec, known := m.known(key)
	if !known {
		return nil
	}
	return rec.observed(m.options.Hub)
}

// known is a copy of the record of key, if there is one.
func (m *Member) known(key template.Key) (rec record, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.records[key]; r != nil {
		return *r, true
	}
	return record{}, false
}

// Settled says whether the member has an object as target says, and nothing else is to be said of it.
func (m *Member) Settled(key template.Key, target template.Target) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	return r != nil && r.seen.exists() && !r.seen.deleting && r.fault() == nil && r.withheld() == "" &&
		r.asLeft() && len(r.left.dropped()) == 0 && r.left.Target() == target
}

// Present are the objects that are in the member, as far as is known.
func (m *Member) Present() []template.Key {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]template.Key, 0, len(m.records))
	for k, r := range m.records {
		if r.seen.exists() {
			keys = append(keys, k)
		}
	}
	return keys
}

// Known are the objects of which anything is known.
func (m *Member) Known() []template.Key {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]template.Key, 0, len(m.records))
	for k := range m.records {
		keys = append(keys, k)
	}
	return keys
}

// Version rises with each change of what is known, and when a resource can no longer be read. certain: there is none that
// cannot be; that it can again does not change the version.
func (m *Member) Version() (version uint64, certain bool) {
	m.mu.Lock()
	version, s := m.version, m.session
	m.mu.Unlock()
	return version, s == nil || s.certain()
}

// keysOf are the keys of a resource of which there are records.
func (m *Member) keysOf(gr schema.GroupResource) []template.Key {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []template.Key
	for k := range m.records {
		if k.GR == gr {
			keys = append(keys, k)
		}
	}
	return keys
}

// keys are what a member has, or may be to have, of a resource.
func (m *Member) keys(gr schema.GroupResource) []template.Key {
	keys := m.source.Keys(m.name, gr)
	known := m.keysOf(gr)
	if len(known) == 0 {
		return keys
	}
	all := append(slices.Clone(keys), known...)
	slices.SortFunc(all, template.Key.Compare)
	return slices.Compact(all)
}

// forgetAll drops the records of a resource.
func (m *Member) forgetAll(gr schema.GroupResource) {
	for _, k := range m.keysOf(gr) {
		m.update(k, func(r *record) { *r = record{} })
	}
}

// get is a copy of the record of key; the zero record if there is none.
func (m *Member) get(key template.Key) record {
	rec, _ := m.known(key)
	return rec
}

// look fills in what of v the member knows.
func (m *Member) look(v *view) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.records[v.key]; r != nil {
		v.rec = *r
	}
	v.leaving, v.stays = m.withdrawing, m.withdrawing && m.staying
	if v.want != nil && v.want.Unnamed {
		v.user = m.uses.By(v.key)
	}
	uid := v.rec.seen.uid
	v.approved = uid != "" && m.approved[v.key] == uid
	if ns := m.records[template.Key{GR: template.Namespaces(), Name: v.key.Namespace}]; ns != nil && v.key.Namespace != "" {
		v.in = surrounding{ours: ns.seen.exists() && ns.seen.ours(m.options.Hub), deleting: ns.seen.deleting, fault: ns.fault()}
	}
}

// knows says whether that version of the object, or a later one, was seen.
func (m *Member) knows(key template.Key, uid types.UID, rv uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	return r != nil && r.seen.covers(uid, rv)
}

// update changes the record of key, which is made if need be and forgotten if nothing is left to remember.
func (m *Member) update(key template.Key, change func(*record)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	if r == nil {
		r = &record{}
		m.records[key] = r
	} else {
		m.bytes -= r.weight()
	}
	withheld := r.withheld() != ""
	change(r)
	m.bytes += r.weight()
	m.version++
	for _, freed := range m.uses.Note(key, r.seen.use, r.seen.exists()) {
		if m.session != nil {
			m.session.queue.Add(freed) // it may go now
		}
	}
	if !r.seen.exists() || withheld && r.withheld() == "" {
		delete(m.approved, key) // it was for what is not withheld any more
	}
	if len(r.left.dropped()) > 0 {
		m.incomplete[key] = struct{}{}
	} else {
		delete(m.incomplete, key)
	}
	gone := r.worthless()
	if gone {
		m.bytes -= r.weight()
		delete(m.records, key)
	}
	if !template.Decides(key.GR) {
		return
	}
	if gone {
		m.listener.Seen(m.name, key, nil)
	} else {
		m.listener.Seen(m.name, key, r.observed(m.options.Hub))
	}
}
