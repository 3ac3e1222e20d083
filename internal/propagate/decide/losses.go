package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// moveFirst is how long the statuses of what a lost cluster runs wait: the hub has to write where its replicas go, and
// members what they are to run. To say so is not urgent.
const moveFirst = time.Second

// looked takes in a look at a member.
func (w *World) looked(in Looked) {
	if failing := w.losses.Looked(in.Cluster, in.Began, in.Reached, w.now); failing {
		w.weigh()
	}
}

// expire has an object decided again when one of the tolerations by which it is in a cluster ends. It costs nothing without
// taints.
func (w *World) expire(a *Assignment) {
	if !w.losses.Tainted() {
		return
	}
	for name, share := range a.Shares {
		c := w.clusters[name]
		if c == nil || share.Replicas == 0 {
			continue
		}
		for _, one := range w.losses.TaintsOf(c) {
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
				w.alarms.Set(end, agenda.Alarm{Key: a.Key, Decide: true})
			}
		}
	}
}

// weigh has decided again what is concerned by a cluster that is lost now and was not before, or the other way round.
func (w *World) weigh() {
	changed := w.losses.Weigh(w.now, w.policies.Index().Policies(), w.clusters)
	if len(changed) == 0 {
		return
	}
	w.surroundingsChanged()
	w.out.facts = true
	w.backlog.Hurry(w.keys(func(o *object) bool { return o.a.RunsIn(changed) }), agenda.Work{Decide: true})
	w.backlog.Add(w.keys(func(o *object) bool { return o.a.WouldMoveTo() }), agenda.Work{Decide: true})
	for _, name := range w.names {
		if changed[name] {
			w.lossChanged(name)
		}
	}
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
