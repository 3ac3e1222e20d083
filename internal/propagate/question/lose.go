package question

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Losses answers what would become of workloads if clusters were lost. It changes nothing.
type Losses struct {
	as *decide.Supposed
	// instead are workloads as they would be after a change, by key.
	instead map[template.Key]*decide.Assignment
	in      map[string][]template.Key // what runs in a cluster, sorted
}

// Loss is what would become of one workload. Kept, FailedOver and Unplaced add up to Wanted.
type Loss struct {
	// Before is what is decided now, After what would be.
	Before *decide.Assignment
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

// NewLosses is the question about w at a time. Nothing may be applied to w as long as it is in use: ask a Fork. Before the members have
// been measured (see World.Unmeasured) it goes by what their nodes are to have.
func NewLosses(w *decide.World, now time.Time) *Losses { return losing(w.Suppose(now), nil) }

func losing(as *decide.Supposed, instead map[template.Key]*decide.Assignment) *Losses {
	l := &Losses{as: as, instead: instead, in: map[string][]template.Key{}}
	for _, key := range as.Keys(func(a *decide.Assignment) bool { return instead[a.Key] == nil && mayBeLost(a) }) {
		l.note(as.At(key))
	}
	for _, key := range template.SortedKeys(instead) {
		l.note(instead[key])
	}
	for _, keys := range l.in {
		template.SortKeys(keys)
	}
	return l
}

func (l *Losses) note(a *decide.Assignment) {
	for _, s := range a.Decision.Shares {
		if s.Replicas > 0 {
			l.in[s.Cluster] = append(l.in[s.Cluster], a.Key)
		}
	}
}

// mayBeLost says whether a has replicas that the loss of a cluster is about.
func mayBeLost(a *decide.Assignment) bool {
	return a.Decision.Divided && a.Scaler == nil && a.Division != kinds.OneActive && !a.Going && !a.Finished()
}

// Clusters are all there are, by name, not to be changed.
func (l *Losses) Clusters() map[string]*decide.Cluster { return l.as.Clusters() }

// Objects are what the hub has of a resource, by key.
func (l *Losses) Objects(gr schema.GroupResource) (all []*decide.Assignment) {
	for _, key := range l.as.Keys(func(a *decide.Assignment) bool { return a.Key.GR == gr && !a.Going }) {
		all = append(all, l.as.At(key))
	}
	return all
}

// Running is how many replicas of a run in clusters that are not lost now; of what is in every cluster, in how many it is.
func (l *Losses) Running(a *decide.Assignment) (n int32) { return l.running(a, nil) }

// Left is Running without some clusters, if nothing failed over.
func (l *Losses) Left(a *decide.Assignment, lost map[string]bool) int32 { return l.running(a, lost) }

func (l *Losses) running(a *decide.Assignment, without map[string]bool) (n int32) {
	for _, s := range a.Decision.Shares {
		switch {
		case without[s.Cluster] || l.as.IsLost(s.Cluster, a.Policy):
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
func (l *Losses) CutsOff(clusters ...string) bool { return l.as.CutsOff(clusters...) }

// at is what was decided about a workload, or would be after the change.
func (l *Losses) at(key template.Key) *decide.Assignment {
	if a := l.instead[key]; a != nil {
		return a
	}
	return l.as.At(key)
}

// Of is what would become of all that runs in some clusters, by key, if they were lost to all workloads at once: it is
// decided in the order in which the World itself would decide, so that what fails over first uses up room. It ends with ctx' error.
func (l *Losses) Of(ctx context.Context, clusters ...string) (all []Loss, err error) {
	f := l.as.Lose(clusters)
	var keys []template.Key
	for _, name := range clusters {
		if f.Clusters()[name] != nil {
			keys = append(keys, l.in[name]...)
		}
	}
	template.SortKeys(keys)
	for _, key := range slices.Compact(keys) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		before := l.at(key)
		all = append(all, loss(f, before, f.Again(before), l.Running(before)))
	}
	return all, nil
}

// loss compares what is with what would be, as f has it. ran is how many replicas run in clusters that are not lost.
func loss(f *decide.Supposed, before, after *decide.Assignment, ran int32) Loss {
	wanted := before.Total
	l := Loss{Before: before, After: after.Decision, Wanted: wanted, Already: max(0, wanted-ran), Stays: after.Decision.Kept}
	var runs int32
	had := before.Decision.Division()
	for _, s := range after.Decision.Shares {
		if f.IsLost(s.Cluster, before.Policy) {
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
	l.Disallowed = disallowed(f, before)
	l.Why = whyLost(f, before, &after.Decision, l.Disallowed)
	return l
}

// disallowed says whether the rules for a allow none of the clusters that are not lost, although there are some.
func disallowed(f *decide.Supposed, a *decide.Assignment) bool {
	rules, left := f.Rules(a), 0
	for name := range f.Clusters() {
		if f.Lost()[name] {
			continue
		}
		if left++; !rules[name].Disallowed {
			return false
		}
	}
	return left > 0
}

// left are the clusters that are not lost.
func left(f *decide.Supposed) []policy.Cluster {
	return slices.DeleteFunc(slices.Clone(f.PolicyClusters()), func(c policy.Cluster) bool { return f.Lost()[c.Name] })
}

// whyLost is why replicas would have no place.
func whyLost(f *decide.Supposed, a *decide.Assignment, d *schedule.Decision, disallowed bool) string {
	switch {
	case len(f.Lost()) == len(f.Clusters()):
		return "no cluster would be left"
	case d.Kept:
		return "its work must not be done twice, it waits for its cluster"
	case !a.Policy.Failover.Enabled:
		return a.Policy.String() + " says that it does not fail over"
	case f.FailoverAfter(a.Policy) <= 0:
		return "failover is off at this hub"
	case disallowed && a.Policy.Barring(left(f)) != nil:
		return a.Policy.Barring(left(f)).String() + " allows none of the clusters that would be left"
	case disallowed && a.Policy.Name != "":
		return a.Policy.String() + " allows none of the clusters that would be left"
	case disallowed:
		return "its rules allow none of the clusters that would be left"
	}
	for _, l := range d.Losses {
		if f.Lost()[l.Cluster] && l.Why != "" {
			return l.Why
		}
	}
	return cmp.Or(d.Reason, "no other cluster can take them")
}

// Said is what would not survive, in words: empty if all does.
func (l *Loss) Said() string {
	if l.Lost() == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %s without a place: %s", l.Unplaced, replicas(l.Wanted), l.Why)
}

func replicas(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}
