package decide

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/outlook"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// begun says whether the work of a may have begun somewhere, so that it stays as it was divided: some member has it, or it is
// not known of one whether it does. Nothing is made anywhere before the division is recorded. From one that leaves it may have
// been taken away, half done.
func (w *World) begun(a *Assignment) bool {
	if !a.StaysPut() || a.Recorded == nil {
		return false
	}
	if a.Finished() {
		return true
	}
	o := w.stored(a.Key)
	for name := range a.Recorded {
		if c := w.clusters[name]; w.members[name] == nil || c != nil && c.Leaving || w.mayHave(o, a, name) {
			return true
		}
	}
	return false
}

// mayHave says whether a member has or had the object of a, or may have it.
func (w *World) mayHave(o *object, a *Assignment, cluster string) bool {
	if !w.hasRead(cluster, a.Key.GR) {
		return true
	}
	if o == nil {
		return false
	}
	_, begun := o.begun[cluster]
	seen := o.seen[cluster]
	return begun || seen.From(a.UID) || seen != nil && (seen.Left != nil || seen.Sending != nil)
}

// kept is the decision about work that has begun: it stays as it was divided, whatever labels, policies, annotations and the
// state of clusters say by now, and says what is different for what is made later.
func (w *World) kept(a *Assignment, o *outlook.Outlook, wl *schedule.Workload) schedule.Decision {
	d := schedule.Decision{Divided: true, Kept: true, Problem: wl.Warning}
	rules, problem := o.Unharmed.Closed(wl)
	if problem != "" {
		d.Problem = problem
	}
	states, _ := o.Snapshot.Closed(wl)
	var leave, lost, gone []string
	for _, name := range slices.Sorted(maps.Keys(a.Recorded)) {
		if w.clusters[name] == nil {
			gone = append(gone, name)
			d.Rejected = append(d.Rejected, schedule.Rejection{Cluster: name, Reason: "no longer a member: its part of the work went with it"})
			continue
		}
		s := schedule.Share{Cluster: name, Replicas: a.Recorded[name], Reason: schedule.AsBefore}
		rule := rules[name]
		if why := o.Rejected[name]; why != "" && rule.Disallowed {
			rule.Why = why
		}
		switch state := states[name]; {
		case rule.Disallowed:
			leave = append(leave, fmt.Sprintf("%s (%s)", name, rule.Why))
			s.Reason, s.Passing = "stays, because its work has begun here; "+rule.Why, true
		case state.Why != "":
			s.Reason, s.Passing = schedule.AsBefore+"; "+state.Why, true
		}
		if w.losses.IsLost(w.clusters[name], a.Policy) {
			lost = append(lost, name)
		}
		d.Shares = append(d.Shares, s)
	}
	for _, c := range o.Snapshot.Clusters() {
		if _, in := a.Recorded[c.Name]; !in {
			why := "the work was divided without it when it began"
			if rule := rules[c.Name]; rule.Disallowed {
				why = o.Because(c.Name, rule.Why)
			}
			d.Rejected = append(d.Rejected, schedule.Rejection{Cluster: c.Name, Reason: why})
		}
	}
	slices.SortFunc(d.Rejected, func(a, b schedule.Rejection) int { return strings.Compare(a.Cluster, b.Cluster) })
	if !a.Finished() {
		for _, name := range gone {
			d.Unplaced += a.Recorded[name]
		}
		d.Reason = strings.Join(slices.Concat(w.later(a, o, wl, leave), w.bereft(a, lost, gone)), "; ")
	}
	return d
}

// later says what of the rules as they are now is not for a, whose work has begun, but for what is made later. leave is the
// clusters that are not allowed, and why.
func (w *World) later(a *Assignment, o *outlook.Outlook, wl *schedule.Workload, leave []string) []string {
	noun := a.Object.GetKind()
	if len(leave) > 0 {
		return []string{fmt.Sprintf("its work has begun and stays in %s: the current rules apply only to a %s that is created later", strings.Join(leave, ", "), noun)}
	}
	if !w.dividesOtherwise(a, o, wl) {
		return nil
	}
	by := "what its annotations now say"
	if o.Policy != nil {
		by = o.Policy.Name + " as it is now"
	}
	return []string{fmt.Sprintf("its work has begun and stays as it was divided: %s applies only to a %s that is created later", by, noun)}
}

// dividesOtherwise says whether the rules as they are now would divide a otherwise than it was. What depends on what clusters
// have free is not looked at.
func (w *World) dividesOtherwise(a *Assignment, o *outlook.Outlook, wl *schedule.Workload) bool {
	free := o.Policy != nil && (o.Policy.Strategy == schedule.FreeCapacity || o.Policy.Strategy == schedule.Pack)
	if !w.steered(a) || free || a.Demand != nil {
		return false
	}
	for name := range w.clusters {
		if !w.founded(a, name) {
			return false
		}
	}
	again := *wl
	again.Current, again.Total = nil, 0
	for _, n := range a.Recorded {
		again.Total += n
	}
	if o.Policy != nil && o.Policy.Strategy == schedule.Duplicate {
		again.Total = a.Total
	}
	d := o.Unharmed.Schedule(&again)
	return !d.Hold && d.Unplaced == 0 && !assignment.SameDivision(d.Division(), a.Recorded)
}

// bereft says what to do about work that may never be done: its cluster is lost, or no member any more.
func (w *World) bereft(a *Assignment, lost, gone []string) (said []string) {
	noun := a.Object.GetKind()
	for _, name := range lost {
		if part := w.leftThere(a, name); part != "" {
			said = append(said, fmt.Sprintf("cluster %s is lost with %s, which does not fail over because it may still be doing that. Try: bring it back; or if it is gone for good, delete the %s and create it again", name, part, noun))
		}
	}
	for _, name := range gone {
		said = append(said, fmt.Sprintf("cluster %s is no longer a member and took %s with it. Try: delete the %s and create it again, to have all of it done", name, a.PartOf(name), noun))
	}
	return said
}

// leftThere is what a cluster has left to do of a, for people; empty if that is nothing.
func (w *World) leftThere(a *Assignment, cluster string) string {
	if a.Division == completions {
		if left := w.work(w.stored(a.Key), a, cluster, assignment.CutOf(a.Recorded, cluster)).Left; left == 0 {
			return ""
		}
	}
	return a.PartOf(cluster)
}
