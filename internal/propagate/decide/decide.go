package decide

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/outlook"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// decide places an object; before is what was decided about it, nil if nothing was. What cannot be decided for a fault stays as it
// is.
func (w *World) decide(a, before *Assignment) schedule.Decision { return w.decideHow(a, before, false) }

// decideAgain places an object as if nobody had before, but with the room that its replicas take where they are.
func (w *World) decideAgain(a, before *Assignment) schedule.Decision {
	return w.decideHow(a, before, true)
}

func (w *World) decideHow(a, before *Assignment, again bool) (d schedule.Decision) {
	err := guard.Run(func() error {
		d = w.decideFreely(a, before, again)
		return nil
	})
	if err == nil {
		return d
	}
	w.out.others = append(w.out.others, Fault{Key: a.Key, Err: err})
	d = schedule.Decision{Hold: true, Divided: a.Division != kinds.Everywhere, Reason: err.Error()}
	for cluster, n := range a.Recorded {
		d.Shares = append(d.Shares, schedule.Share{Cluster: cluster, Replicas: n})
	}
	slices.SortFunc(d.Shares, func(a, b schedule.Share) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return d
}

// decideFreely is decideHow, and may panic.
func (w *World) decideFreely(a, before *Assignment, again bool) schedule.Decision {
	if why := a.Policy.WhyHeld(); why != "" {
		// What is recorded, or would be by the formula, may be what the policy is to prevent: it is left alone everywhere.
		return schedule.Decision{Hold: true, Divided: a.Division != kinds.Everywhere, Problem: why, Reason: why}
	}
	how := w.policies.Propagation(a.Template, a.Policy)
	if how.Problem != "" || how.How == v1alpha1.PropagateNone && !w.begun(a) {
		return staying(how)
	}
	o := w.outlook(a.Policy)
	wl := w.workload(a, before, o)
	if again {
		rebalance(&wl)
	}
	if w.begun(a) {
		return w.kept(a, o, &wl)
	}
	if unread := w.unreadWork(a.Template); unread != "" {
		d := schedule.Decision{Divided: true, Unplaced: a.Total, Reason: unread, Hold: true}
		if w.awaitsAway(a.Template) {
			d.Problem = unread // that may take long: somebody has to know
		}
		return d
	}
	waiting := w.awaited(a, o, &wl)
	if waiting != "" && len(wl.Current) == 0 {
		return schedule.Decision{Divided: true, Unplaced: a.Total, Reason: waiting, Hold: true}
	}
	snapshot := o.Snapshot
	if w.drains.Waits(a) {
		snapshot = o.Undrained
	}
	snapshot = w.demanded(a, o, snapshot, &wl)
	d := w.stuck.ceilings.Place(a.Key, snapshot, &wl)
	if d.Unplaced > 0 && !d.Hold {
		if more := w.withRunning(a, d.Division(), d.Unplaced); more != nil {
			wl.Current = more
			d = w.stuck.ceilings.Place(a.Key, snapshot, &wl)
		}
	}
	if unread := w.movesUnread(a, o, &wl, &d); unread != "" {
		wl.Problem = unread
		d = snapshot.Schedule(&wl)
		d.Problem, d.Waits = "", true
		d.Unplaced += a.Total - wl.Total // what waits with it
		return d
	}
	if waiting != "" {
		d.Unplaced, d.Reason = a.Total-wl.Total, waiting
		d.Hold = a.Recorded != nil && assignment.SameDivision(d.Division(), a.Recorded)
	}
	for i := range d.Rejected {
		if why := o.Rejected[d.Rejected[i].Cluster]; why != "" {
			d.Rejected[i].Reason = why
		}
	}
	switch {
	case a.Scaler != nil:
		return w.bounded(a, d)
	case how.How == v1alpha1.PropagateNeeded:
		return w.followed(a, d, how)
	case a.Quota != nil:
		return a.Allotted(d)
	}
	return d
}

// workload is what scheduling has to know of an object.
func (w *World) workload(a, before *Assignment, o *outlook.Outlook) schedule.Workload {
	wl := schedule.Workload{
		Key: a.Key.String(), Divided: a.Division != kinds.Everywhere, Total: a.Total,
		Namespace: a.Key.Namespace, Template: a.Constraints, Policy: o.Policy,
	}
	wl.ReadFederation(a.Object.GetAnnotations(), a.Preferences())
	wl.Warning = cmp.Or(wl.Warning, a.Mistake)
	if wl.Divided {
		wl.Current = w.current(a, before, &wl, o)
	}
	return wl
}

// rebalance has a workload divided again instead of keeping what runs where it is.
func rebalance(wl *schedule.Workload) {
	p := schedule.Policy{}
	if wl.Policy != nil {
		p = *wl.Policy
	}
	p.Rebalance = true
	wl.Policy = &p
	if wl.Preferences != nil {
		preferences := *wl.Preferences
		preferences.Rebalance = true
		wl.Preferences = &preferences
	}
}

// current is how an object is divided; nil if it is new.
func (w *World) current(a, before *Assignment, wl *schedule.Workload, o *outlook.Outlook) map[string]int32 {
	demanding := a.Under(wl.Policy) != nil
	switch {
	case a.Recorded != nil:
		return w.withoutUnmade(a)
	case before != nil && before.UID == a.UID && (before.Decision.Unplaced == 0 || before.Placed() > 0):
		if division := before.Decision.Division(); len(division) > 0 {
			return division
		}
		return w.runningNow(a)
	case demanding && (w.steered(a) || !w.mayRun(a)):
		return w.runningNow(a)
	}
	all := o.Snapshot.Clusters()
	if !w.isFirst(a) && o.Closed {
		return nil // it is new, or was nowhere until now: what is closed gets none of it
	}
	if demanding || !o.Ready || w.roll().Last.After(a.Created) || o.Closed && w.isFirst(a) {
		// Divided before by the formula, over the clusters of that time.
		return schedule.Even(*wl, w.founding(a, all))
	}
	return nil
}

// withoutUnmade is the recorded division of a without clusters that a Residency keeps it out of and that have nothing of it: what is
// recorded for them is not there, and is never made.
func (w *World) withoutUnmade(a *Assignment) map[string]int32 {
	out, o := a.Recorded, w.stored(a.Key)
	for name := range a.Recorded {
		if !w.keptOut(a, name) || w.mayHave(o, a, name) {
			continue
		}
		if len(out) == len(a.Recorded) {
			out = maps.Clone(out)
		}
		delete(out, name)
	}
	return out
}

// runningNow is how members show an object to be divided of which no division is known, because the hub was restored from
// a copy without it; nil if it runs nowhere.
func (w *World) runningNow(a *Assignment) (division map[string]int32) {
	if o := w.stored(a.Key); o != nil && a.Division == replicas {
		for name, seen := range o.seen {
			if n := seen.Runs(a); n > 0 {
				division = with(division, name, min(n, a.Total))
			}
		}
	}
	return division
}

// withRunning is a division to which so many replicas are missing, with those that are ready beyond it: they may stay as far as
// rules let them. A hub that was restored does not know of them, and what has no place may have run where it was. Nil if there
// are none.
func (w *World) withRunning(a *Assignment, division map[string]int32, missing int32) (more map[string]int32) {
	o := w.stored(a.Key)
	if o == nil || a.Division != replicas {
		return nil
	}
	for _, name := range w.names {
		if missing <= 0 || !w.shows(name, a.Key.GR) || w.clusters[name] == nil {
			continue
		}
		seen := o.seen[name]
		n := min(seen.Runs(a), seen.Count("readyReplicas"))
		if seen != nil && seen.Left != nil {
			n = min(n, seen.Left.Share.Replicas) // what others in the member added is theirs
		}
		extra := min(missing, n-division[name])
		if extra <= 0 {
			continue
		}
		if more == nil {
			more = maps.Clone(division)
		}
		more = with(more, name, division[name]+extra)
		missing -= extra
	}
	return more
}

func with(division map[string]int32, cluster string, n int32) map[string]int32 {
	if division == nil {
		division = map[string]int32{}
	}
	division[cluster] = n
	return division
}

// steered says whether an object's division depends on more than its number and its clusters, so that it has to be recorded.
func (w *World) steered(a *Assignment) bool {
	annotations := a.Object.GetAnnotations()
	return a.Constraints != nil || w.outlook(a.Policy).Policy != nil ||
		annotations[a.Preferences()] != "" || annotations[schedule.AnnotationClusterSelector] != ""
}

// founded says whether a cluster is one of those over which the formula divided a when it was made: a member by then, and not
// away since before.
func (w *World) founded(a *Assignment, name string) bool {
	c := w.clusters[name]
	away := !c.Ready && !c.Since.After(a.Created)
	return !c.Joined.After(a.Created) && !away
}

// founding is those of the clusters, as they were when nothing was wrong with them.
func (w *World) founding(a *Assignment, all []schedule.Cluster) (founding []schedule.Cluster) {
	for i := range all {
		if w.founded(a, all[i].Name) {
			founding = append(founding, outlook.Bare(all[i]))
		}
	}
	return founding
}

// isFirst says whether an object is read for the first time since the hub started: it was there before.
func (w *World) isFirst(a *Assignment) bool {
	r := w.resources[a.Key.GR]
	return r != nil && !r.synced
}

// outlook is the clusters as the objects that p applies to see them.
func (w *World) outlook(p *policy.Policy) *outlook.Outlook {
	return w.outlooks.Of(p, outlook.Around{Clusters: w.clusters, Losses: &w.losses, Namespaces: w.policies.Namespaces(), Now: w.now})
}

func (w *World) roll() *outlook.Roll { return w.outlooks.Roll(w.clusters) }

// surroundingsChanged lets all be worked out again that clusters are seen by: something changed of what it is made of.
func (w *World) surroundingsChanged() {
	w.room.Changed()
	w.outlooks.Forget()
}

// policyClusters is what policies select the clusters by, by name.
func (w *World) policyClusters() []policy.Cluster { return outlook.PolicyClusters(w.clusters) }
