package decide

import (
	"cmp"
	"slices"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/outlook"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// decide places an object; before is what was decided about it, nil if nothing was. What cannot be decided for a fault stays as it
// is.
func (w *World) decide(a, before *Assignment) (d schedule.Decision) {
	err := guard.Run(func() error {
		d = w.decideFreely(a, before)
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

// decideFreely is decide, and may panic.
func (w *World) decideFreely(a, before *Assignment) schedule.Decision {
	o := w.outlook(a.Policy)
	wl := w.workload(a, before, o)
	if w.begun(a) {
		return w.kept(a, o, &wl)
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
	if unread := w.movesUnread(a, o, &wl, &d); unread != "" {
		wl.Problem = unread
		d = snapshot.Schedule(&wl)
		d.Problem, d.Waits = "", true
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
	if a.Scaler != nil {
		return w.bounded(a, d)
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

// current is how an object is divided; nil if it is new.
func (w *World) current(a, before *Assignment, wl *schedule.Workload, o *outlook.Outlook) map[string]int32 {
	demanding := a.Under(wl.Policy) != nil
	switch {
	case a.Recorded != nil:
		return a.Recorded
	case before != nil && before.UID == a.UID && (before.Decision.Unplaced == 0 || before.Placed() > 0):
		return before.Decision.Division()
	case demanding && (w.steered(a) || !w.mayRun(a)):
		return nil
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
