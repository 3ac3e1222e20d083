package propagate

import (
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/limits"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/member"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// engagement is a session that somebody wants with a member for as long as ctx lasts.
type engagement struct {
	ctx   context.Context
	cfg   *rest.Config
	begun bool
}

// Engage begins a session with a member; it ends with ctx. It does not block. The session begins once the Engine runs, and begins
// again if the Cluster turns out to be another one of the same name: whoever engages may hear of Clusters before the World does,
// or after it.
func (e *Engine) Engage(ctx context.Context, name string, cfg *rest.Config) {
	e.mu.Lock()
	defer e.mu.Unlock()
	with := &engagement{ctx: ctx, cfg: cfg}
	e.engagements[name] = with
	if r := e.running.Load(); r != nil {
		e.engage(r, name, with)
	}
	context.AfterFunc(ctx, func() { e.disengaged(name, with) })
}

// disengaged forgets an engagement that has ended, and the member with it if there is no such Cluster.
func (e *Engine) disengaged(name string, ended *engagement) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.engagements[name] != ended {
		return
	}
	delete(e.engagements, name)
	if e.published.Facts().Clusters[name] == nil {
		all := slices.DeleteFunc(slices.Clone(*e.published.members.Load()), func(m *member.Member) bool { return m.Name() == name })
		e.published.members.Store(&all)
	}
}

// engageAll begins the sessions that waited for the Engine to run.
func (e *Engine) engageAll(r *running) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, with := range e.engagements {
		if !with.begun {
			e.engage(r, name, with)
		}
	}
}

// engage begins a session. e.mu is held.
func (e *Engine) engage(r *running, name string, with *engagement) {
	if with.ctx.Err() != nil {
		return
	}
	with.begun = true
	ctx, cancel := context.WithCancel(with.ctx)
	context.AfterFunc(r.ctx, cancel)
	m := e.published.member(name)
	if m == nil {
		m = e.addMember(r, name)
	}
	if err := m.Engage(ctx, with.cfg); err != nil {
		klog.FromContext(ctx).Error(err, "Member cannot be used", "cluster", name)
		cancel()
		return
	}
	e.measurer.Engage(ctx, name, limits.Responses(with.cfg, limits.Response, nil))
}

// addMember is a new member. e.mu is held.
func (e *Engine) addMember(r *running, name string) *member.Member {
	m := member.New(name, r.members, source{e.published, e}, listener{e, r, name})
	all := append(slices.Clone(*e.published.members.Load()), m)
	slices.SortFunc(all, func(a, b *member.Member) int { return strings.Compare(a.Name(), b.Name()) })
	e.published.members.Store(&all)
	return m
}

// publishFacts makes known what is known beside the objects, and keeps the members in step with the Clusters.
func (e *Engine) publishFacts(facts *decide.Facts) {
	before := e.published.Facts().Clusters
	e.published.facts.Store(facts)
	e.mu.Lock()
	r := e.running.Load()
	for name := range facts.Clusters {
		if e.published.member(name) != nil {
			continue
		}
		if with := e.engagements[name]; with != nil {
			e.engage(r, name, with)
		} else {
			e.addMember(r, name)
		}
	}
	var stay, gone []*member.Member
	for _, m := range *e.published.members.Load() {
		if facts.Clusters[m.Name()] == nil && before[m.Name()] != nil { // of one that is new here, the World has not heard yet
			gone = append(gone, m)
		} else {
			stay = append(stay, m)
		}
	}
	if len(gone) > 0 {
		e.published.members.Store(&stay)
	}
	e.mu.Unlock()
	for _, m := range stay {
		was, is := before[m.Name()], facts.Clusters[m.Name()]
		switch {
		case is == nil:
		case was != nil && !was.Access.Equal(is.Access):
			m.Restart()
		case was == nil || !was.Namespaces.Equal(is.Namespaces):
			m.Rebound()
		}
	}
	for _, m := range gone {
		m.Disengage()
		e.measurer.Forget(m.Name())
		e.counts.forget(m.Name())
	}
}

// refreshMembers lets the members look for resources that are propagated from now on, or no more.
func (e *Engine) refreshMembers() {
	for _, m := range *e.published.members.Load() {
		m.Refresh()
	}
}

// Looked takes in a look at a member, which began at a time: whether it is in reach. It does not block.
func (e *Engine) Looked(name string, began time.Time, reached bool) {
	e.apply(decide.Looked{Cluster: name, Began: began, Reached: reached})
}

// Session says which run of the hub this is, "" before it has begun, and whether the hub was restored since the run that
// wrote in a member last ("" if that is not known). From then on what is put back in that member is said.
func (e *Engine) Session(name, last string) (now string, restored bool) {
	r := e.running.Load()
	if r == nil {
		return "", false
	}
	now, restored = r.run.Session(name, last)
	if restored {
		e.mu.Lock()
		m := e.published.member(name)
		if m == nil {
			m = e.addMember(r, name)
		}
		e.mu.Unlock()
		m.Restored()
	}
	return now, restored
}

// Withdraw takes everything out of the member that this hub put there; with stay, it only takes the hub's marks off it. It
// blocks until that is done or ctx ends, and is idempotent.
func (e *Engine) Withdraw(ctx context.Context, name string, stay bool) error {
	m := e.published.member(name)
	if m == nil {
		return nil
	}
	return m.Withdraw(ctx, stay, func() bool { return e.Synced() == nil })
}

// Report is how propagation to a member is doing, in numbers of objects.
type Report struct {
	Held    int // managed there, and left alone until somebody approves of the deletion
	Pending int // to be written or deleted, without a fault yet
	Failing int // refused by the member, or in conflict
	Message string
	// Unread is what cannot be read there, so that nobody knows how it is; empty: nothing.
	Unread string
	// Waiting is what the first of the pending deletions waits for; empty: nothing is known.
	Waiting string
	// FailedOver, Drained, Disengaged and FailoverReady are the conditions of these types, nil: none.
	FailedOver, Drained, Disengaged, FailoverReady *metav1.Condition
}

// Report counts. It waits for nothing but the owner of the World.
func (e *Engine) Report(name string) Report {
	m, r := e.published.member(name), e.running.Load()
	if m == nil || r == nil {
		return Report{}
	}
	var counts report.Counts
	err := guard.RunCounted(r.ctx, "propagation", func() error {
		counts = e.counts.of(m)
		return nil
	})
	if err != nil {
		klog.FromContext(r.ctx).Error(err, "A cluster's objects cannot be counted", "cluster", name, "stack", string(guard.Stack(err)))
		counts = report.Counts{Failing: 1, Message: err.Error()}
	}
	out := Report{
		Held: counts.Withheld, Pending: counts.Pending, Failing: counts.Failing, Message: counts.Message, Waiting: counts.Waiting,
		Unread: m.Unreadable(e.measurer.Unread(name)), Disengaged: m.Disengaged(),
	}
	c := e.published.Facts().Clusters[name]
	if c != nil && c.Ready { // of one that is not, FailedOver says how it is
		out.FailoverReady = e.survival.condition(name)
	}
	if c == nil || c.Drained || !c.Ready || !m.Reachable() {
		_ = r.loop.ask(r.ctx, func(w *decide.World, now time.Time) {
			standing := w.Standing(now, name)
			out.FailedOver, out.Drained = standing.FailedOver, standing.Drained
		})
	}
	return out
}

// source is what a member is to have: what is published, and what the World answers.
type source struct {
	*published
	engine *Engine
}

// Begins asks before work that must not be done twice is written to a cluster.
func (s source) Begins(cluster string, w *decide.Wanted) bool {
	return s.engine.allows(decide.Begins{Cluster: cluster, Key: w.Key, UID: w.UID, Share: w.Share})
}

// allows is the World's Verdict on an input.
func (e *Engine) allows(in decide.Input) bool {
	r := e.running.Load()
	for _, effect := range r.loop.apply(r.ctx, in) {
		if verdict, ok := effect.(decide.Verdict); ok {
			return verdict.GoAhead
		}
	}
	return false
}

// Lowers asks before a cluster is told to run fewer replicas than it is seen to run.
func (s source) Lowers(cluster string, w *decide.Wanted, seen *decide.Observed) bool {
	return s.engine.allows(decide.Lowers{Cluster: cluster, Key: w.Key, UID: w.UID, Observed: seen, Replicas: w.Share.Replicas})
}

// Accepts says whether the rules for an object let a cluster have n replicas.
func (s source) Accepts(cluster string, key template.Key, n int32) (accepts bool) {
	r := s.engine.running.Load()
	err := r.loop.ask(r.ctx, func(w *decide.World, now time.Time) { accepts = w.Accepts(now, key, cluster, n) })
	return accepts && err == nil
}

// listener hears of the members.
type listener struct {
	engine  *Engine
	running *running
	cluster string
}

// Seen is told to the World.
func (l listener) Seen(cluster string, key template.Key, o *decide.Observed) {
	l.running.loop.add(decide.Seen{Cluster: cluster, Key: key, Observed: o})
}

// StatusChanged has statuses written.
func (l listener) StatusChanged(_ string, keys ...template.Key) {
	for _, key := range keys {
		l.running.recorder.Status(key, 0)
	}
}

// Changed has whoever watches Placements told.
func (l listener) Changed(keys ...template.Key) {
	l.engine.changes.notify(keys...)
	if facts := l.engine.published.Facts(); slices.ContainsFunc(keys, func(k template.Key) bool { return facts.KeptOut(k, l.cluster) }) {
		l.engine.policies.Count() // a Residency says what is where it may not be
	}
}

// Read is told to the World.
func (l listener) Read(cluster string, gr schema.GroupResource, read bool) {
	l.running.loop.add(decide.Read{Cluster: cluster, GR: gr, Read: read})
}

// Engaged is told to the World.
func (l listener) Engaged(cluster string, engaged bool) {
	l.running.loop.add(decide.Engaged{Cluster: cluster, Engaged: engaged})
}

// Tell makes an event about an object at the hub.
func (l listener) Tell(cluster string, w *decide.Wanted, eventType, reason, message string) {
	l.engine.events.Tell(decide.Event{Template: w.Template, Type: eventType, Reason: reason, Message: cluster + ": " + message})
}

// Placed is how many objects a member is to have.
func (e *Engine) Placed(name string) (n int) {
	e.published.here(name, nil, func(*entry) { n++ })
	return n
}

// Unplaced is how many replicas, of all workloads, no cluster can take. What has not been decided yet is not counted.
func (e *Engine) Unplaced() (n int) {
	for a := range e.published.Assignments() {
		if !a.Decision.Hold {
			n += int(a.Decision.Unplaced)
		}
	}
	return n
}
