package decide

import (
	"maps"
	"math"
	"time"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// stuck is what clusters have turned out not to be able to run.
type stuck struct {
	ceilings map[template.Key]map[string]ceiling // by cluster; the inner maps are replaced, never changed
	unready  time.Time                           // since when something is unready; zero: nothing is
	next     time.Time                           // when to look for pods that are unschedulable; zero: nothing is unready
}

// ceiling is how many replicas a cluster has turned out to be able to run of a workload: the pods of others have been
// unschedulable for too long. It is forgotten some time after the last of them was seen, and with a restart: what was moved stays
// moved.
type ceiling struct {
	most  int32
	until time.Time
}

const (
	// stuckInterval is how often it is looked for pods that are unschedulable.
	stuckInterval = 5 * time.Second
	// ceilingRest is how long a cluster is not given back what it could not run.
	ceilingRest = 10 * time.Minute
	// unreadyFor is how long something has to be unready before members' pods are measured to see whether that is why.
	unreadyFor = time.Minute
)

// noteUnready counts what has fewer ready replicas in a member than it was told to run.
func (w *World) noteUnready(cluster string, before, after *Observed) {
	n := w.unready[cluster]
	if before.unready() {
		n--
	}
	if after.unready() {
		n++
	}
	if w.unready[cluster] = n; n == 0 {
		delete(w.unready, cluster)
		return
	}
	w.stuckChanged()
}

func (o *Observed) unready() bool {
	if !o.Exists() || o.Replicas == nil {
		return false
	}
	ready, _ := o.Status["readyReplicas"].(int64)
	return ready < int64(*o.Replicas)
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
	if w.Measures && w.stuck.next.IsZero() && (len(w.stuck.ceilings) > 0 || w.anyUnready()) {
		w.stuck.next = w.now.Add(stuckInterval)
	}
}

// stepStuck moves what clusters turn out not to be able to run.
func (w *World) stepStuck() {
	if !due(w.stuck.next, w.now) {
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
	for key, ceilings := range w.stuck.ceilings {
		kept := maps.Clone(ceilings)
		maps.DeleteFunc(kept, func(_ string, c ceiling) bool { return w.now.After(c.until) })
		if w.stuck.ceilings[key] = kept; len(kept) == 0 {
			delete(w.stuck.ceilings, key)
		}
	}
	fresh := map[template.Key]bool{}
	for cluster, view := range w.around.views {
		for workload, u := range view.Unschedulable() {
			if key, ok := template.ParseKey(workload); ok && w.setCeiling(key, cluster, u) {
				fresh[key] = true
			}
		}
	}
	w.backlog.Add(sorted(fresh), agenda.Work{Decide: true})
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
	c, has := w.stuck.ceilings[key][cluster]
	next := ceiling{most: max(0, share-u.Count), until: w.now.Add(ceilingRest)}
	if has && c.most <= next.most {
		next.most = c.most // it is known, and there is nowhere else for them
	}
	all := maps.Clone(w.stuck.ceilings[key])
	if all == nil {
		all = map[string]ceiling{}
	}
	all[cluster] = next
	w.stuck.ceilings[key] = all
	return !has || next.most != c.most
}

// placeUnder places a workload below the ceilings of a as far as others can take what that leaves: what fits nowhere else
// waits where it is.
func (w *World) placeUnder(a *Assignment, snapshot *schedule.Snapshot, wl *schedule.Workload) schedule.Decision {
	d := snapshot.Schedule(wl)
	ceilings := w.stuck.ceilings[a.Key]
	if len(ceilings) == 0 || d.Hold {
		return d
	}
	lower, stays := d, false
	for _, give := range []bool{false, true} { // then so much less as fitted nowhere
		unplaced := max(0, lower.Unplaced-d.Unplaced)
		if give && unplaced == 0 {
			break
		}
		under, p := *wl, schedule.Policy{}
		if wl.Policy != nil {
			p = *wl.Policy
		}
		p.Max = maps.Clone(p.Max)
		if p.Max == nil {
			p.Max = map[string]int32{}
		}
		for _, s := range d.Shares {
			c, has := ceilings[s.Cluster]
			if !has || c.most >= s.Replicas {
				continue
			}
			back := min(unplaced, s.Replicas-c.most)
			unplaced, stays = unplaced-back, stays || back > 0
			p.Max[s.Cluster] = min(maximum(p.Max, s.Cluster), c.most+back)
		}
		under.Policy = &p
		lower = snapshot.Schedule(&under)
	}
	if lower.Unplaced > d.Unplaced || lower.Hold {
		d.Waits = true
		return d
	}
	lower.Waits = lower.Waits || stays
	return lower
}

// maximum is that of a cluster.
func maximum(all map[string]int32, cluster string) int32 {
	for _, name := range []string{cluster, schedule.Others} {
		if n, ok := all[name]; ok {
			return n
		}
	}
	return math.MaxInt32
}
