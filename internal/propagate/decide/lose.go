package decide

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Losses answers what would become of workloads if clusters were lost. It changes nothing.
type Losses struct {
	world *World
	// instead are workloads as they would be after a change, by key.
	instead map[template.Key]*Assignment
	in      map[string][]template.Key // what runs in a cluster, sorted
}

// Loss is what would become of one workload. Kept, FailedOver and Unplaced add up to Wanted.
type Loss struct {
	// Before is what is decided now, After what would be.
	Before *Assignment
	After  schedule.Decision
	// Wanted is how many replicas there are to be; Kept of them run in clusters that would be left, FailedOver would go to
	// these, and Unplaced would have no place.
	Wanted, Kept, FailedOver, Unplaced int32
	// Already is how many of the unplaced have no place now.
	Already int32
	// Stays: it is work that must not be done twice, and waits for its cluster.
	Stays bool
	// Why some have no place, in words; empty: all have.
	Why string
	// Disallowed: the rules for the workload allow none of the clusters that would be left.
	Disallowed bool
}

// Lost is how many replicas the loss itself would leave without a place. What stays put is not counted: it was never to go
// elsewhere.
func (l *Loss) Lost() int32 {
	if l.Stays {
		return 0
	}
	return max(0, l.Unplaced-l.Already)
}

// Losses is w as a question. Nothing may be applied to w as long as it is in use: ask a Fork. Before the members have been measured (see
// Unmeasured) it goes by what their nodes are to have.
func (w *World) Losses(now time.Time) *Losses {
	f := w.asking(now)
	f.Measures = w.knows(w.clusters)
	f.surroundingsChanged()
	f.around.cached(f.owner).made = now // so that no answer begins with forgetting what clusters have free
	return losing(f, nil)
}

func losing(w *World, instead map[template.Key]*Assignment) *Losses {
	l := &Losses{world: w, instead: instead, in: map[string][]template.Key{}}
	for _, key := range w.keys(func(o *object) bool { return instead[o.key] == nil && o.a.mayBeLost() }) {
		l.note(w.at(key))
	}
	for _, key := range sorted(instead) {
		l.note(instead[key])
	}
	for _, keys := range l.in {
		sortKeys(keys)
	}
	return l
}

func (l *Losses) note(a *Assignment) {
	for _, s := range a.Decision.Shares {
		if s.Replicas > 0 {
			l.in[s.Cluster] = append(l.in[s.Cluster], a.Key)
		}
	}
}

// mayBeLost says whether a has replicas that the loss of a cluster is about.
func (a *Assignment) mayBeLost() bool {
	return a.Decision.Divided && a.Scaler == nil && a.Division != kinds.OneActive && !a.Going && !a.Finished()
}

// Demands says whether any workload asks for anything of what members have free.
func (w *World) Demands() bool {
	for _, r := range w.resources {
		for _, o := range r.objects {
			if o.a != nil && o.a.Demand != nil {
				return true
			}
		}
	}
	return false
}

// Clusters are all there are, by name, not to be changed.
func (l *Losses) Clusters() map[string]*Cluster { return l.world.clusters }

// Objects are what the hub has of a resource, by key.
func (l *Losses) Objects(gr schema.GroupResource) (all []*Assignment) {
	for _, key := range l.world.keys(func(o *object) bool { return o.key.GR == gr && !o.a.Going }) {
		all = append(all, l.world.at(key))
	}
	return all
}

// Running is how many replicas of a run in clusters that are not lost now; of what is in every cluster, in how many it is.
func (l *Losses) Running(a *Assignment) (n int32) { return l.running(a, nil) }

// Left is Running without some clusters, if nothing failed over.
func (l *Losses) Left(a *Assignment, lost map[string]bool) int32 { return l.running(a, lost) }

func (l *Losses) running(a *Assignment, without map[string]bool) (n int32) {
	for _, s := range a.Decision.Shares {
		c := l.world.clusters[s.Cluster]
		switch {
		case c == nil || without[s.Cluster] || l.world.losses.IsLost(c, a.Policy):
		case a.Decision.Divided:
			n += s.Replicas
		default:
			n++
		}
	}
	return n
}

// RunIn is how many replicas some clusters were given.
func (l *Losses) RunIn(clusters ...string) (n int32) {
	for _, name := range clusters {
		for _, key := range l.in[name] {
			for _, s := range l.at(key).Decision.Shares {
				if s.Cluster == name {
					n += s.Replicas
				}
			}
		}
	}
	return n
}

// CutsOff says whether the hub would take itself to be the one that is cut off, if these clusters fell silent at once: then
// nothing fails over until half of the clusters are back, or somebody drains those that are lost.
func (l *Losses) CutsOff(clusters ...string) bool { return l.world.losses.CutsOff(clusters...) }

// at is what was decided about a workload, or would be after the change.
func (l *Losses) at(key template.Key) *Assignment {
	if a := l.instead[key]; a != nil {
		return a
	}
	return l.world.at(key)
}

// Of is what would become of all that runs in some clusters, by key, if they were lost to all workloads at once: it is
// decided in the order in which the World itself would decide, so that what fails over first uses up room. It ends with ctx' error.
func (l *Losses) Of(ctx context.Context, clusters ...string) (all []Loss, err error) {
	f := l.world.without(clusters)
	var keys []template.Key
	for _, name := range clusters {
		if f.clusters[name] != nil {
			keys = append(keys, l.in[name]...)
		}
	}
	sortKeys(keys)
	for _, key := range slices.Compact(keys) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		before := l.at(key)
		after := *before
		after.setDecision(f.decide(before, before))
		f.grant(&after)
		all = append(all, f.loss(before, &after, l.Running(before)))
	}
	return all, nil
}

// without is w with some clusters lost to all whose replicas fail over, and not ready. Nothing may be applied to it.
func (w *World) without(clusters []string) *World {
	f := w.asking(w.now)
	f.around.short, f.around.demanding = maps.Clone(w.around.short), maps.Clone(w.around.demanding)
	assumed := map[string]bool{}
	f.clusters = maps.Clone(w.clusters)
	for _, name := range clusters {
		c := w.clusters[name]
		if c == nil {
			continue
		}
		gone := *c
		if gone.Ready {
			gone.Ready, gone.Since = false, w.now
		}
		f.clusters[name], assumed[name] = &gone, true
	}
	f.losses.Assume(assumed)
	clear(f.outlooks.all) // what clusters have free is as before
	return f
}

// loss compares what is with what would be. ran is how many replicas run in clusters that are not lost.
func (w *World) loss(before, after *Assignment, ran int32) Loss {
	wanted := before.Total
	l := Loss{Before: before, After: after.Decision, Wanted: wanted, Already: max(0, wanted-ran), Stays: after.Decision.Kept}
	var runs int32
	had := before.Decision.Division()
	for _, s := range after.Decision.Shares {
		if c := w.clusters[s.Cluster]; c == nil || w.losses.Assumed()[s.Cluster] || w.losses.IsLost(c, before.Policy) {
			continue
		}
		runs += s.Replicas
		l.Kept += min(s.Replicas, had[s.Cluster])
	}
	l.Kept = min(l.Kept, wanted)
	l.FailedOver = max(0, min(runs, wanted)-l.Kept)
	if l.Unplaced = wanted - l.Kept - l.FailedOver; l.Unplaced == 0 {
		return l
	}
	l.Disallowed = w.disallowed(before)
	l.Why = w.whyLost(before, &after.Decision, l.Disallowed)
	return l
}

// disallowed says whether the rules for a allow none of the clusters that are not lost, although there are some.
func (w *World) disallowed(a *Assignment) bool {
	o := w.outlook(a.Policy)
	wl := w.workload(a, a, o)
	rules, _ := o.unharmed.Closed(&wl)
	left := 0
	for name := range w.clusters {
		if w.losses.Assumed()[name] {
			continue
		}
		if left++; !rules[name].Disallowed {
			return false
		}
	}
	return left > 0
}

// whyLost is why replicas would have no place.
func (w *World) whyLost(a *Assignment, d *schedule.Decision, disallowed bool) string {
	switch {
	case len(w.losses.Assumed()) == len(w.clusters):
		return "no cluster would be left"
	case d.Kept:
		return "its work must not be done twice, it waits for its cluster"
	case !a.Policy.Failover.Enabled:
		return a.Policy.String() + " says that it does not fail over"
	case w.losses.After(a.Policy) <= 0:
		return "failover is off at this hub"
	case disallowed && a.Policy.Name != "":
		return a.Policy.String() + " allows none of the clusters that would be left"
	case disallowed:
		return "its rules allow none of the clusters that would be left"
	}
	for _, l := range d.Losses {
		if w.losses.Assumed()[l.Cluster] && l.Why != "" {
			return l.Why
		}
	}
	return wordOr(d.Reason, "no other cluster can take them")
}

// Said is what would not survive, in words: empty if all does.
func (l *Loss) Said() string {
	if l.Lost() == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %s without a place: %s", l.Unplaced, counted(l.Wanted), l.Why)
}
