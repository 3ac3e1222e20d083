package decide

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/failover"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// losses is which clusters are lost, and since when they have taints.
type losses struct {
	after   time.Duration // the hub's own failover time; 0: off
	judge   *failover.Judge
	lost    map[loss]bool       // as of the last weighing; replaced, never changed
	taints  map[taint]time.Time // since when there are those that do not say it; replaced, never changed
	tainted bool                // some taint may be tolerated for some time only
	next    time.Time           // when to weigh again
}

// taint names a taint of a cluster.
type taint struct {
	cluster, key, value string
	effect              corev1.TaintEffect
}

const (
	// settleWithout is when a cluster counts as lost among the others while failover is off at the hub and on for single
	// policies only.
	settleWithout = 30 * time.Second
	// moveFirst is how long the statuses of what a lost cluster runs wait: the hub has to write where its replicas go, and
	// members what they are to run. To say so is not urgent.
	moveFirst = time.Second
)

func newLosses(after time.Duration) losses {
	l := losses{after: after, lost: map[loss]bool{}, taints: map[taint]time.Time{}}
	l.judge = failover.New(l.settled())
	return l
}

// looked takes in a look at a member.
func (w *World) looked(in Looked) {
	failing := w.losses.judge.Failing()
	if in.Reached {
		w.losses.judge.Answered(in.Cluster, in.Began, w.now)
	} else {
		w.losses.judge.Failed(in.Cluster, in.Began, w.now)
	}
	if failing || !in.Reached {
		w.weigh()
	}
}

// keepClusters lets the judge know which clusters there are.
func (l *losses) keepClusters(clusters map[string]*Cluster, now time.Time) {
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

// taintsOf is a cluster's taints, each with the time from which tolerationSeconds count.
func (l *losses) taintsOf(c *Cluster) []corev1.Taint {
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

// expire has an object decided again when one of the tolerations by which it is in a cluster ends. It costs nothing without
// taints.
func (w *World) expire(a *Assignment) {
	if !w.losses.tainted {
		return
	}
	for name, share := range a.Shares {
		c := w.clusters[name]
		if c == nil || share.Replicas == 0 {
			continue
		}
		for _, one := range w.losses.taintsOf(c) {
			if one.Effect != corev1.TaintEffectNoExecute || one.TimeAdded == nil {
				continue
			}
			w.expireAt(a, &one, a.Policy.Tolerations)
			if a.Constraints != nil {
				w.expireAt(a, &one, a.Constraints.Spec.Tolerations)
			}
		}
	}
}

func (w *World) expireAt(a *Assignment, one *corev1.Taint, tolerations []corev1.Toleration) {
	for i := range tolerations {
		if s := tolerations[i].TolerationSeconds; s != nil && tolerations[i].ToleratesTaint(klog.Logger{}, one, false) {
			if end := one.TimeAdded.Add(time.Duration(*s) * time.Second); end.After(w.now) {
				w.alarms.at(end, alarm{key: a.Key, decide: true})
			}
		}
	}
}

// afterFor is the failover time of a policy's workloads; 0: never.
func (l *losses) afterFor(p *policy.Policy) time.Duration { return afterFor(l.after, p) }

func afterFor(after time.Duration, p *policy.Policy) time.Duration {
	switch {
	case !p.Failover.Enabled:
		return 0
	case p.Failover.After > 0:
		return p.Failover.After
	}
	return after
}

// isLost says whether a cluster is lost for the workloads of a policy. One that is being drained and does not answer is:
// somebody has said that it is to be left.
func (l *losses) isLost(c *Cluster, p *policy.Policy) bool {
	return l.judge.Lost(c.Name, l.afterFor(p)) || c.Drained && !c.Ready && l.judge.Away(c.Name)
}

// settled is when a cluster counts as lost for what nobody has said anything about.
func (l *losses) settled() time.Duration { return cmp.Or(max(0, l.after), settleWithout) }

// afters are the failover times that are in use.
func (w *World) afters() []time.Duration {
	afters := []time.Duration{w.losses.settled()}
	for _, p := range w.policies.index.Policies() {
		afters = append(afters, w.losses.afterFor(p))
	}
	slices.Sort(afters)
	return slices.Compact(afters)
}

// weigh has decided again what is concerned by a cluster that is lost now and was not before, or the other way round.
func (w *World) weigh() {
	afters := w.afters()
	changed := w.losses.weigh(w.now, afters, w.clusters)
	w.losses.next = w.losses.judge.Next(w.now, afters...)
	if len(changed) == 0 {
		return
	}
	w.surroundingsChanged()
	w.out.facts = true
	w.backlog.hurry(w.keys(func(o *object) bool { return o.a.runsIn(changed) }), work{decide: true})
	w.backlog.add(w.keys(func(o *object) bool { return o.a.wouldMoveTo() }), work{decide: true})
	for _, name := range w.names {
		if changed[name] {
			w.lossChanged(name)
		}
	}
}

// weigh is the clusters about which something is different now.
func (l *losses) weigh(now time.Time, afters []time.Duration, clusters map[string]*Cluster) (changed map[string]bool) {
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
	for _, pair := range [][2]map[loss]bool{{lost, l.lost}, {l.lost, lost}} {
		for one := range pair[0] {
			if !pair[1][one] {
				changed[one.cluster] = true
			}
		}
	}
	l.lost = lost
	return changed
}

// runsIn says whether a has replicas in one of some clusters.
func (a *Assignment) runsIn(clusters map[string]bool) bool {
	return a.Decision.Divided && slices.ContainsFunc(a.Decision.Shares, func(s schedule.Share) bool { return s.Replicas > 0 && clusters[s.Cluster] })
}

// wouldMoveTo says whether a change of what is lost may change where a goes although it runs nothing there.
func (a *Assignment) wouldMoveTo() bool {
	return a.Decision.Divided && (a.Decision.Unplaced > 0 || a.Policy.Rebalance || a.Object.GetAnnotations()[template.FederationPreferences(a.Key.GR)] != "")
}

// lossChanged has the statuses written of all that a member is to run or runs: its pods are ready no more, or again.
func (w *World) lossChanged(name string) {
	for _, key := range w.keys(func(o *object) bool {
		_, placed := o.a.Shares[name]
		return placed || o.seen[name].Exists()
	}) {
		w.status(key, moveFirst)
		w.show(w.own(key))
	}
}

// failedOver is the condition of a cluster that is out of reach, nil of any other.
func (w *World) failedOver(name string) *metav1.Condition {
	l := &w.losses
	if !l.judge.Away(name) {
		return nil
	}
	c := &metav1.Condition{Type: v1alpha1.ConditionFailedOver, Status: metav1.ConditionFalse}
	if l.after <= 0 {
		c.Reason, c.Message = v1alpha1.ReasonOff, "failover is off at this hub, except where a policy turns it on. Try: hanse drain "+name
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

// announceLosses says by an event on the hub's object what of a lost cluster failed over and where, and what did not: once, and
// again when room has appeared.
func (w *World) announceLosses(before, after *Assignment) {
	if before == nil || before.UID != after.UID || after.Decision.Hold {
		return
	}
	for _, l := range after.Decision.Losses {
		if slices.ContainsFunc(before.Decision.Losses, func(was schedule.Loss) bool { return was.Cluster == l.Cluster && was.Stays == l.Stays }) {
			continue
		}
		in := gained(before, after)
		if in == "" && l.Stays < l.Before {
			continue // there are to be fewer, nothing failed over
		}
		kind, reason := corev1.EventTypeNormal, v1alpha1.ReasonFailedOver
		said := fmt.Sprintf("%s is lost: %d of %s failed over%s", l.Cluster, l.Before-l.Stays, counted(l.Before), in)
		if l.Stays > 0 {
			kind, reason = corev1.EventTypeWarning, v1alpha1.ReasonFailoverIncomplete
			said += fmt.Sprintf("; no other cluster can take %d: %s", l.Stays, l.Why)
		}
		w.tell(after.Template, kind, reason, said)
	}
}

// gained is the clusters that are to run more than before, as " to aws (2 to 3)".
func gained(before, after *Assignment) string {
	var all []string
	for _, s := range after.Decision.Shares {
		if had := before.Shares[s.Cluster].Replicas; s.Replicas > had {
			all = append(all, fmt.Sprintf("%s (%d to %d)", s.Cluster, had, s.Replicas))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " to " + strings.Join(all, ", ")
}

func counted(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}
