package propagate

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/failover"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// losses is which clusters are lost. Its mutex is taken after Engine.mu.
type losses struct {
	after time.Duration // the hub's own failover time; 0: off
	wake  chan struct{}

	mu     sync.Mutex
	judge  *failover.Judge
	heeded map[loss]bool       // what the decisions so far go by
	taints map[taint]time.Time // since when there are those that do not say it

	tolerated time.Time // until when ends of tolerations were looked for; watchLosses alone uses it
}

// loss is a cluster that is lost for workloads with a failover time.
type loss struct {
	cluster string
	after   time.Duration
}

// settleWithout is when a cluster counts as lost among the others while failover is
// off at the hub and on for single policies only.
const settleWithout = 30 * time.Second

func newLosses(after time.Duration) *losses {
	l := &losses{after: after, wake: make(chan struct{}, 1), heeded: map[loss]bool{}, taints: map[taint]time.Time{}}
	l.judge = failover.New(l.settled())
	return l
}

// Looked takes in a look at a member, which began at a time: whether it is in reach.
// It does not block on any server.
func (e *Engine) Looked(name string, began time.Time, reached bool) {
	l := e.losses
	l.mu.Lock()
	defer l.mu.Unlock()
	failing := l.judge.Failing()
	if reached {
		l.judge.Answered(name, began, e.clock())
	} else {
		l.judge.Failed(name, began, e.clock())
	}
	if failing || !reached {
		wake(l.wake)
	}
}

// keepClusters lets the judge know which clusters there are. Engine.mu is held.
func (l *losses) keepClusters(clusters map[string]*cluster, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.judge.Keep(func(name string) bool { return clusters[name] != nil })
	for name := range clusters {
		l.judge.Add(name)
	}
	l.keepTaints(clusters, now)
	wake(l.wake)
}

// afterFor is the failover time of a policy's workloads; 0: never.
func (l *losses) afterFor(p *policy.Policy) time.Duration {
	switch {
	case !p.Failover.Enabled:
		return 0
	case p.Failover.After > 0:
		return p.Failover.After
	}
	return l.after
}

// isLost says whether a cluster is lost for the workloads of a policy. One that is
// being drained and does not answer is: somebody has said that it is to be left.
func (l *losses) isLost(c *cluster, p *policy.Policy) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.judge.Lost(c.name, l.afterFor(p)) || c.drained && !c.ready && l.judge.Away(c.name)
}

// isDead says whether the pods of a policy's workloads in a cluster are taken for not
// ready: when it is lost for them, or, where they are not to fail over, would be by
// the hub's own time.
func (l *losses) isDead(c *cluster, p *policy.Policy) bool {
	after := cmp.Or(l.afterFor(p), l.settled())
	l.mu.Lock()
	lost := l.judge.Lost(c.name, after)
	l.mu.Unlock()
	return lost || l.isLost(c, p)
}

// settled is when a cluster counts as lost for what nobody has said anything about.
func (l *losses) settled() time.Duration { return cmp.Or(max(0, l.after), settleWithout) }

// notCounted says whether what a member said last is not counted on any more.
func (e *Engine) notCounted(m *member, p *policy.Policy) bool {
	if m.reachable() {
		return false
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	c := e.clusters[m.name]
	return c != nil && e.losses.isDead(c, p)
}

// watchLosses decides again about what a lost cluster runs, until ctx ends.
func (e *Engine) watchLosses(ctx context.Context) {
	for {
		var due <-chan time.Time
		next := e.weighLosses(e.clock())
		timer := time.NewTimer(time.Until(next))
		if !next.IsZero() {
			due = timer.C
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-due:
		case <-e.losses.wake:
		}
		timer.Stop()
	}
}

// weighLosses decides again about the workloads that are concerned by a cluster that
// is lost now and was not before, or the other way round, or by a taint that is not
// tolerated any more. It says when it has to be called again, zero if nothing is
// awaited.
func (e *Engine) weighLosses(now time.Time) (next time.Time) {
	var changed map[string]bool
	var ended tolerations
	var keys []Key
	e.locked(func() {
		changed, next = e.losses.weigh(now, e.afters(), e.clusters)
		ended = e.toleratedUntil(now)
		if len(changed) > 0 || !ended.again.IsZero() {
			e.surroundingsChanged() // they know the time, too
			keys = e.decideSome(func(t *template) bool {
				return ended.templates[t.key] || len(changed) > 0 && t.concernedBy(changed)
			})
		}
	})
	e.toMembers(keys...)
	e.changes.notify(keys...)
	for name := range changed {
		e.lossChanged(name) // its pods are ready no more, or again
	}
	if !ended.again.IsZero() && (next.IsZero() || ended.again.Before(next)) {
		next = ended.again
	}
	return next
}

// afters are the failover times that are in use. Engine.mu is held.
func (e *Engine) afters() []time.Duration {
	afters := []time.Duration{e.losses.settled()}
	for _, p := range e.policies.index.Policies() {
		afters = append(afters, e.losses.afterFor(p))
	}
	slices.Sort(afters)
	return slices.Compact(afters)
}

// weigh is the clusters about which something is different now.
func (l *losses) weigh(now time.Time, afters []time.Duration, clusters map[string]*cluster) (changed map[string]bool, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.judge.Weigh(now)
	lost := map[loss]bool{}
	for name, c := range clusters {
		for _, after := range afters {
			if l.judge.Lost(name, after) {
				lost[loss{name, after}] = true
			}
		}
		if c.drained && !c.ready && l.judge.Away(name) {
			lost[loss{cluster: name}] = true
		}
	}
	changed = map[string]bool{}
	for _, pair := range [][2]map[loss]bool{{lost, l.heeded}, {l.heeded, lost}} {
		for one := range pair[0] {
			if !pair[1][one] {
				changed[one.cluster] = true
			}
		}
	}
	l.heeded = lost
	return changed, l.judge.Next(now, afters...)
}

// concernedBy says whether a change of what is lost may change where t goes.
func (t *template) concernedBy(clusters map[string]bool) bool {
	return t.decision.Divided && (t.decision.Unplaced > 0 || t.policy.Rebalance || t.obj.GetAnnotations()[preferencesOf(t.key.GR)] != "" ||
		slices.ContainsFunc(t.decision.Shares, func(s schedule.Share) bool { return s.Replicas > 0 && clusters[s.Cluster] }))
}

// failedOver is the condition of a cluster that is out of reach, nil of any other.
func (e *Engine) failedOver(name string) *metav1.Condition {
	l := e.losses
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.judge.Away(name) {
		return nil
	}
	c := &metav1.Condition{Type: v1alpha1.ConditionFailedOver, Status: metav1.ConditionFalse}
	if l.after <= 0 {
		c.Reason, c.Message = v1alpha1.ReasonOff, "failover is off at this hub, but for policies that say otherwise. Try: hanse drain "+name
		return c
	}
	var verdict failover.Verdict
	switch verdict, c.Message = l.judge.Explain(name, l.after); verdict {
	case failover.Lost:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonLost
	case failover.CutOff:
		c.Reason = v1alpha1.ReasonCutOff
	default:
		c.Reason = v1alpha1.ReasonWaiting
	}
	return c
}
