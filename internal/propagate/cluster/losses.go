package cluster

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/failover"
	"github.com/hanse-dev/hanse/internal/policy"
)

// Losses is which clusters are lost, and since when they have taints.
type Losses struct {
	judge   *failover.Judge
	lost    Lost                // as of the last weighing
	taints  map[taint]time.Time // since when there are those that do not say it; replaced, never changed
	tainted bool                // some taint may be tolerated for some time only
	next    time.Time           // when to weigh again
	// assumed are clusters that are taken for lost although they are not: a question is about that. Replaced, never changed.
	assumed map[string]bool
}

// taint names a taint of a cluster.
type taint struct {
	cluster, key, value string
	effect              corev1.TaintEffect
}

// settleWithout is when a cluster counts as lost among the others while failover is off at the hub and on for single
// policies only.
const settleWithout = 30 * time.Second

// NewLosses is for a hub with a failover time of its own; 0: off.
func NewLosses(after time.Duration) Losses {
	l := Losses{lost: Lost{after: after}, taints: map[taint]time.Time{}}
	l.judge = failover.New(l.lost.settled())
	return l
}

// Looked takes in a look at a member that began at a time. It says whether that may have changed what is lost.
func (l *Losses) Looked(name string, began time.Time, reached bool, now time.Time) (weigh bool) {
	weigh = l.judge.Failing() || !reached
	if reached {
		l.judge.Answered(name, began, now)
	} else {
		l.judge.Failed(name, began, now)
	}
	return weigh
}

// Clone is a copy, which may be changed without l.
func (l *Losses) Clone() Losses {
	out := *l
	out.judge = l.judge.Clone()
	return out
}

// Tainted says whether some taint may be tolerated for some time only.
func (l *Losses) Tainted() bool { return l.tainted }

// Next is when to weigh again, zero if nothing is to be waited for.
func (l *Losses) Next() time.Time { return l.next }

// Lost is which clusters are lost as of the last weighing.
func (l *Losses) Lost() Lost { return l.lost }

// Keep is told which clusters there are.
func (l *Losses) Keep(clusters map[string]*Cluster, now time.Time) {
	l.judge.Keep(func(name string) bool { return clusters[name] != nil })
	for name := range clusters {
		l.judge.Add(name)
	}
	there := map[taint]time.Time{}
	l.tainted = false
	for _, c := range clusters {
		for _, t := range c.Taints {
			l.tainted = l.tainted || t.Effect == corev1.TaintEffectNoExecute
			if t.TimeAdded != nil {
				continue
			}
			key := taint{c.Name, t.Key, t.Value, t.Effect}
			if there[key] = now; !l.taints[key].IsZero() {
				there[key] = l.taints[key]
			}
		}
	}
	l.taints = there
}

// TaintsOf is a cluster's taints, each with the time from which tolerationSeconds count.
func (l *Losses) TaintsOf(c *Cluster) []corev1.Taint {
	if len(c.Taints) == 0 {
		return nil
	}
	out := make([]corev1.Taint, len(c.Taints))
	for i, t := range c.Taints {
		if since := l.taints[taint{c.Name, t.Key, t.Value, t.Effect}]; t.TimeAdded == nil && !since.IsZero() {
			t.TimeAdded = &metav1.Time{Time: since}
		}
		out[i] = t
	}
	return out
}

// IsLost says whether a cluster is lost for the workloads of a policy. One that is being drained and does not answer is:
// somebody has said that it is to be left.
func (l *Losses) IsLost(c *Cluster, p *policy.Policy) bool {
	if l.assumed[c.Name] && (c.Drained || l.After(p) > 0) {
		return true
	}
	return l.judge.Lost(c.Name, afterFor(l.lost.after, p)) || c.Drained && !c.Ready && l.judge.Away(c.Name)
}

// Assume takes clusters for lost that are not, in place of those that were taken for lost before.
func (l *Losses) Assume(clusters map[string]bool) { l.assumed = clusters }

// Assumed are the clusters that are taken for lost although they are not. Not to be changed.
func (l *Losses) Assumed() map[string]bool { return l.assumed }

// After is the failover time of a policy's workloads; 0: never.
func (l *Losses) After(p *policy.Policy) time.Duration { return afterFor(l.lost.after, p) }

// CutsOff says whether the hub would take itself to be the one that is cut off if these clusters, too, fell silent.
func (l *Losses) CutsOff(clusters ...string) bool { return l.judge.CutsOff(clusters...) }

// afters are the failover times that are in use.
func (l *Losses) afters(policies []*policy.Policy) []time.Duration {
	afters := []time.Duration{l.lost.settled()}
	for _, p := range policies {
		afters = append(afters, afterFor(l.lost.after, p))
	}
	slices.Sort(afters)
	return slices.Compact(afters)
}

// Weigh is the clusters about which something is different now, for workloads of these policies and of none.
func (l *Losses) Weigh(now time.Time, policies []*policy.Policy, clusters map[string]*Cluster) (changed map[string]bool) {
	afters := l.afters(policies)
	l.judge.Weigh(now)
	lost := map[loss]bool{}
	for name, c := range clusters {
		for _, after := range afters {
			if l.judge.Lost(name, after) {
				lost[loss{name, after}] = true
			}
		}
		if c.Drained && !c.Ready && l.judge.Away(name) {
			lost[loss{cluster: name}] = true
		}
	}
	changed = map[string]bool{}
	for _, pair := range [][2]map[loss]bool{{lost, l.lost.of}, {l.lost.of, lost}} {
		for one := range pair[0] {
			if !pair[1][one] {
				changed[one.cluster] = true
			}
		}
	}
	l.lost.of, l.next = lost, l.judge.Next(now, afters...)
	return changed
}

// FailedOver is the condition of a cluster that is out of reach, nil of any other.
func (l *Losses) FailedOver(name string) *metav1.Condition {
	if !l.judge.Away(name) {
		return nil
	}
	c := &metav1.Condition{Type: v1alpha1.ConditionFailedOver, Status: metav1.ConditionFalse}
	if l.lost.after <= 0 {
		c.Reason, c.Message = v1alpha1.ReasonOff, "failover is off at this hub, except where a policy turns it on. Try: hanse drain "+name
		return c
	}
	var verdict failover.Verdict
	switch verdict, c.Message = l.judge.Explain(name, l.lost.after); verdict {
	case failover.Lost:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonLost
	case failover.CutOff:
		c.Reason = v1alpha1.ReasonCutOff
	default:
		c.Reason = v1alpha1.ReasonWaiting
	}
	return c
}
