package decide

import (
	"time"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/room"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// stuck is what clusters have turned out not to be able to run.
type stuck struct {
	ceilings room.Ceilings
	unready  time.Time // since when something is unready; zero: nothing is
	next     time.Time // when to look for pods that are unschedulable; zero: nothing is unready
}

const (
	// stuckInterval is how often it is looked for pods that are unschedulable.
	stuckInterval = 5 * time.Second
	// unreadyFor is how long something has to be unready before members' pods are measured to see whether that is why.
	unreadyFor = time.Minute
)

// noteUnready counts what has fewer ready replicas in a member than it was told to run.
func (w *World) noteUnready(cluster string, before, after *Observed) {
	n := w.unready[cluster]
	if before.Unready() {
		n--
	}
	if after.Unready() {
		n++
	}
	if w.unready[cluster] = n; n == 0 {
		delete(w.unready, cluster)
		return
	}
	w.stuckChanged()
}

// anyUnready says whether a member that answers has fewer ready replicas of anything than it was told to run.
func (w *World) anyUnready() bool {
	for cluster := range w.unready {
		if w.reached(cluster) {
			return true
		}
	}
	return false
}

// stuckChanged has it looked for pods that are unschedulable, if there may be any.
func (w *World) stuckChanged() {
	if w.Measures && w.stuck.next.IsZero() && (w.stuck.ceilings.Some() || w.anyUnready()) {
		w.stuck.next = w.now.Add(stuckInterval)
	}
}

// stepStuck moves what clusters turn out not to be able to run.
func (w *World) stepStuck() {
	if !agenda.Due(w.stuck.next, w.now) {
		return
	}
	w.stuck.next = time.Time{}
	switch since := w.stuck.unready; {
	case !w.anyUnready():
		w.stuck.unready = time.Time{}
	case since.IsZero():
		w.stuck.unready = w.now
	case w.now.Sub(since) >= unreadyFor:
		w.watch(false)
	}
	w.moveStuck()
	w.stuckChanged()
}

// moveStuck sets ceilings where pods have been unschedulable for as long as their workload's policy says, and has these workloads
// decided again.
func (w *World) moveStuck() {
	w.stuck.ceilings.Expire(w.now)
	fresh := map[template.Key]bool{}
	for cluster, view := range w.room.Views() {
		for workload, u := range view.Unschedulable() {
			if key, ok := template.ParseKey(workload); ok && w.setCeiling(key, cluster, u) {
				fresh[key] = true
			}
		}
	}
	w.backlog.Add(template.SortedKeys(fresh), agenda.Work{Decide: true})
}

// setCeiling says whether there is a new one.
func (w *World) setCeiling(key template.Key, cluster string, u capacity.Unschedulable) bool {
	a := w.at(key)
	if a == nil || a.Undecided || a.Division != replicas || !a.Policy.Failover.Enabled {
		return false
	}
	share, after := a.Shares[cluster].Replicas, a.Policy.Failover.UnschedulableAfter
	if after <= 0 || w.now.Sub(u.Since) < after || share == 0 {
		return false
	}
	return w.stuck.ceilings.Set(key, cluster, max(0, share-u.Count), w.now)
}
