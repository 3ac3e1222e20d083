package decide

import (
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/references"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// staying is the decision about what stays at the hub, or of which nobody knows whether it does.
func staying(how policy.Propagated) schedule.Decision {
	if how.Problem != "" {
		return schedule.Decision{Hold: true, Problem: how.Problem, Reason: how.Problem}
	}
	return schedule.Decision{Reason: "it stays at the hub: propagation is None by " + how.By}
}

// followed is d without the clusters in which nothing names a. Before all that may name it has been read, it leaves none.
func (w *World) followed(a *Assignment, d schedule.Decision, how policy.Propagated) schedule.Decision {
	if d.Hold {
		return d
	}
	why := assignment.Unnamed
	if !w.readAll() {
		why = assignment.Unread
	}
	var shares []schedule.Share
	d.Rejected = slices.Clone(d.Rejected)
	for _, s := range d.Shares {
		if !w.needed.In(a.Key, s.Cluster) {
			d.Rejected = append(d.Rejected, schedule.Rejection{Cluster: s.Cluster, Reason: why})
			continue
		}
		s.Reason, s.Passing = w.needed.By(a.Key, s.Cluster), true
		shares = append(shares, s)
	}
	slices.SortFunc(d.Rejected, func(a, b schedule.Rejection) int { return strings.Compare(a.Cluster, b.Cluster) })
	d.Shares = shares
	d.Reason = "it is where something names it: propagation is Needed by " + how.By
	return d
}

// readAll says whether all that may name anything has been read at the hub.
func (w *World) readAll() bool {
	for _, r := range w.resources {
		if !r.synced {
			return false
		}
	}
	return true
}

// readMore has what waited for all to be read decided again.
func (w *World) readMore() {
	if !w.readAll() {
		return
	}
	w.backlog.Hurry(w.keys(func(o *object) bool {
		return references.Named(o.key.GR) && slices.ContainsFunc(o.a.Decision.Rejected, func(r schedule.Rejection) bool { return r.Reason == assignment.Unread })
	}), agenda.Work{Decide: true})
}

// named notes what an object names where from now on, and has decided again what that is news for. It costs what the object names,
// and nothing as long as that stays the same.
func (w *World) named(o *object, a *Assignment) {
	b := o.a
	if a != nil && b != nil && a.Content == b.Content && assignment.SameMap(a.Shares, b.Shares) && assignment.SameMap(a.Now, b.Now) && assignment.SameShapes(a.Shapes, b.Shapes) && assignment.SameTurns(a.Turns, b.Turns) {
		return
	}
	var news []template.Key
	for _, key := range w.needed.Set(o.key, assignment.Naming(a)) {
		if n := w.at(key); n != nil && w.policies.Propagation(n.Template, n.Policy).How == v1alpha1.PropagateNeeded {
			news = append(news, key)
		}
	}
	w.backlog.Hurry(news, agenda.Work{Decide: true})
}
