package fleet

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
	"github.com/hanse-dev/hanse/internal/trouble"
)

// syncPoll is how often a member asks whether all Clusters are known.
const syncPoll = 20 * time.Millisecond

// member is one Cluster, looked after by one goroutine: all fields but kick,
// cancel and done belong to it.
type member struct {
	fleet  *Fleet
	name   string
	kick   chan struct{}
	cancel context.CancelFunc
	done   chan struct{}

	spec   v1alpha1.ClusterSpec // what link was made for
	line   *line                // all connections to it
	link   *link                // nil if the spec cannot be used
	spare  *link                // to ask by a new connection; nil until it is needed
	pace   time.Duration        // how long answers have taken lately
	token  *token
	cred   access.Credential
	health health
	facts  survey.Facts
	// surveys counts how often facts were another.
	surveys int
	said    said    // at the last look that was answered
	glance  glanced // what the next glance is at
	// session is the run of the hub, "" if it has not begun.
	session string

	surveyAt, rotateAt time.Time // when next
	engagement         context.Context
	disengage          context.CancelFunc // nil: not engaged
	leaving            leaving
	publishing         publishing
	faults             faults
	troubles           trouble.Log[string] // by what is tried
}

func newMember(f *Fleet, name string) *member {
	m := &member{fleet: f, name: name, kick: make(chan struct{}, 1), done: make(chan struct{}), token: &token{}, health: newHealth()}
	m.line = &line{clock: m.fleet.clock, broken: m.wake, fence: f.fence}
	return m
}

// wake has the member looked at as soon as possible. It does not block.
func (m *member) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// run looks after the member until ctx ends.
func (m *member) run(ctx context.Context) {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("cluster", klog.KRef("", m.name)))
	m.fleet.metrics.Joined(m.name)
	defer m.fleet.metrics.Left(m.name)
	defer m.drop()
	for ctx.Err() == nil {
		timer := m.fleet.clock.NewTimer(m.guardedStep(ctx))
		select {
		case <-ctx.Done():
		case <-timer.C():
		case <-m.kick:
		}
		timer.Stop()
	}
}

// step looks at the member once, does what follows from it, and says when to
// look again.
func (m *member) step(ctx context.Context) time.Duration {
	if !m.fleet.synced() {
		return syncPoll // it may be there twice
	}
	cluster, ok := m.fleet.cluster(m.name)
	if !ok || m.leaving.gone {
		return probeInterval // it is being deleted; ctx ends soon
	}
	m.connect(ctx, cluster)
	began := m.fleet.clock.Now()
	v := m.guardedLook(ctx, cluster)
	if ctx.Err() != nil {
		return 0
	}
	m.measure(v, began)
	m.fleet.prop.Looked(m.name, began, v.reached())
	was := m.health.reason
	m.health = m.health.next(v)
	if m.health.reason != was {
		klog.FromContext(ctx).Info("Cluster changed health", "from", was, "to", m.health.reason, "message", m.health.message)
		m.fleet.events.health(cluster, m.health)
	}
	m.fleet.metrics.Ready(m.name, m.health.ok())
	m.engage(ctx, cluster)
	m.rotate(ctx, cluster)
	m.leave(ctx, cluster)
	if m.leaving.gone {
		return probeInterval
	}
	m.publish(ctx, cluster)
	return max(m.health.delay(rand.Float64()), m.faults.backOff(m.fleet.clock.Now()))
}

// connect makes the link to the member again if the Cluster says something else
// about how to reach it, and takes over a changed credential. Without a credential that is for that way it has no link.
func (m *member) connect(ctx context.Context, c *v1alpha1.Cluster) {
	cred, ok := m.fleet.credential(c)
	if ok && cred.Token != m.cred.Token {
		m.rotateAt = rotateAt(cred)
	}
	m.cred = cred
	m.fleet.metrics.Credential(m.name, m.cred.Expires)
	if m.astray(c) != "" {
		m.drop()
		m.token.set("")
		return // look says so
	}
	m.token.set(cred.Token)
	if m.link != nil && sameWay(m.spec, c.Spec) {
		return
	}
	m.drop()
	if !sameWay(m.spec, c.Spec) {
		m.health = newHealth()
	}
	m.spec = c.Spec
	m.fleet.metrics.Authority(m.name, bundleExpiry(c.Spec.CABundle))
	link, err := newLink(ctx, c.Spec, m.token, m.line)
	if err != nil {
		m.link = nil
		return // look says so
	}
	m.link = link
}

// astray says in what the way to a member is another than the credential was given for; empty: in nothing, or there is none.
func (m *member) astray(c *v1alpha1.Cluster) string {
	if m.cred.Token == "" {
		return ""
	}
	return m.cred.For.Difference(access.WayOf(&c.Spec))
}

// sameWay is true if the same connection serves both.
func sameWay(a, b v1alpha1.ClusterSpec) bool {
	return a.Endpoint == b.Endpoint && a.TLSServerName == b.TLSServerName && a.UID == b.UID &&
		string(a.CABundle) == string(b.CABundle)
}

// engage hands the member to propagation or takes it away, as its health says.
// One that leaves is handed over until its workloads are dealt with.
func (m *member) engage(ctx context.Context, c *v1alpha1.Cluster) {
	wanted := m.health.ok() && !m.leaving.settled
	if wanted && m.disengage == nil && !m.begin(ctx, c) {
		m.wakeIn(ctx, beginPoll)
		return
	}
	switch {
	case wanted && m.disengage == nil:
		m.engagement, m.disengage = context.WithCancel(ctx)
		m.fleet.metrics.Session(m.name, true)
		m.fleet.prop.Engage(m.engagement, m.name, memberConfig(m.engagement, c.Spec, m.link, m.noting(m.engagement)))
	case !wanted && m.disengage != nil:
		m.release()
	}
}

// release ends the engagement, if there is one.
func (m *member) release() {
	if m.disengage != nil {
		m.disengage()
		m.disengage = nil
		m.fleet.metrics.Session(m.name, false)
	}
}

// drop ends the engagement and closes the connections.
func (m *member) drop() {
	m.release()
	for _, l := range []*link{m.link, m.spare} {
		if l != nil {
			l.close()
		}
	}
	m.link, m.spare = nil, nil
}
