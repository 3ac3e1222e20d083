package propagate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// begun says whether the work of t may have begun somewhere, so that it stays as it was
// divided: some member has it, or it is not known of one whether it does. Nothing is made
// anywhere before the division is recorded. Engine.mu is held at least for reading.
func (e *Engine) begun(t *template) bool {
	if !staysPut(t.division) || t.recorded == nil {
		return false
	}
	if t.finished() {
		return true
	}
	for name := range t.recorded {
		if m := e.members[name]; m == nil || m.mayHave(t) {
			return true
		}
	}
	return false
}

// mayHave says whether the member has or had the object of t, or may have it.
func (m *member) mayHave(t *template) bool {
	rec := m.get(t.key)
	if rec.seen.exists() && rec.seen.mark.Origin.Template == t.uid || rec.left != nil || rec.sending != nil {
		return true
	}
	return !m.hasRead(t.key)
}

// hasRead says whether it is known which objects of the resource the member has.
func (m *member) hasRead(key Key) bool {
	m.mu.Lock()
	s := m.session
	m.mu.Unlock()
	if s == nil {
		return false
	}
	watched, missing := s.state(key.GR)
	return watched || missing
}

// kept is the decision about work that has begun: it stays as it was divided, whatever
// labels, policies, annotations and the state of clusters say by now, and says what is
// different for what is made later. Engine.mu is held at least for reading.
func (e *Engine) kept(t *template, o *outlook, w *schedule.Workload) schedule.Decision {
	d := schedule.Decision{Divided: true, Kept: true, Problem: w.Warning}
	rules, problem := o.unharmed.Closed(w)
	if problem != "" {
		d.Problem = problem
	}
	states, _ := o.snapshot.Closed(w)
	var leave, lost, gone []string
	for _, name := range slices.Sorted(maps.Keys(t.recorded)) {
		if e.clusters[name] == nil {
			gone = append(gone, name)
			d.Rejected = append(d.Rejected, schedule.Rejection{Cluster: name, Reason: "not a member any more: what it was given of the work went with it"})
			continue
		}
		s := schedule.Share{Cluster: name, Replicas: t.recorded[name], Reason: schedule.AsBefore}
		rule := rules[name]
		if why := o.rejected[name]; why != "" && rule.Disallowed {
			rule.Why = why
		}
		switch state := states[name]; {
		case rule.Disallowed:
			leave = append(leave, fmt.Sprintf("%s (%s)", name, rule.Why))
			s.Reason, s.Passing = "stays, its work has begun here; "+rule.Why, true
		case state.Why != "":
			s.Reason, s.Passing = schedule.AsBefore+"; "+state.Why, true
		}
		if e.losses.isLost(e.clusters[name], t.policy) {
			lost = append(lost, name)
		}
		d.Shares = append(d.Shares, s)
	}
	for _, c := range o.snapshot.Clusters() {
		if _, in := t.recorded[c.Name]; !in {
			why := "the work was divided without it when it began"
			if rule := rules[c.Name]; rule.Disallowed {
				why = o.because(c.Name, rule.Why)
			}
			d.Rejected = append(d.Rejected, schedule.Rejection{Cluster: c.Name, Reason: why})
		}
	}
	slices.SortFunc(d.Rejected, func(a, b schedule.Rejection) int { return strings.Compare(a.Cluster, b.Cluster) })
	if !t.finished() {
		for _, name := range gone {
			d.Unplaced += t.recorded[name]
		}
		d.Reason = strings.Join(slices.Concat(e.later(t, o, w, leave), e.bereft(t, lost, gone)), "; ")
	}
	return d
}

// because is why the policy allows a cluster not, in its own words if there are any.
func (o *outlook) because(cluster, why string) string {
	if own := o.rejected[cluster]; own != "" {
		return own
	}
	return why
}

// later says what of the rules as they are now is not for t, whose work has begun, but
// for what is made later. leave is the clusters that are not allowed, and why.
func (e *Engine) later(t *template, o *outlook, w *schedule.Workload, leave []string) []string {
	noun := t.obj.GetKind()
	if len(leave) > 0 {
		return []string{fmt.Sprintf("its work has begun and stays in %s: the rules as they are now are for a %s that is made later", strings.Join(leave, ", "), noun)}
	}
	if !e.dividesOtherwise(t, o, w) {
		return nil
	}
	by := "what its annotations say now"
	if o.policy != nil {
		by = o.policy.Name + " as it is now"
	}
	return []string{fmt.Sprintf("its work has begun and stays as it was divided: %s is for a %s that is made later", by, noun)}
}

// dividesOtherwise says whether the rules as they are now would divide t otherwise than
// it was. What depends on what clusters have free is not looked at.
func (e *Engine) dividesOtherwise(t *template, o *outlook, w *schedule.Workload) bool {
	free := o.policy != nil && (o.policy.Strategy == schedule.FreeCapacity || o.policy.Strategy == schedule.Pack)
	if !e.steered(t) || free || t.demand != nil {
		return false
	}
	for name := range e.clusters {
		if !e.founded(t, name) {
			return false
		}
	}
	anew := *w
	anew.Current, anew.Total = nil, 0
	for _, n := range t.recorded {
		anew.Total += n
	}
	if o.policy != nil && o.policy.Strategy == schedule.Duplicate {
		anew.Total = t.total
	}
	d := o.unharmed.Schedule(&anew)
	return !d.Hold && d.Unplaced == 0 && !sameDivision(d.Division(), t.recorded)
}

// bereft says what to do about work that may never be done: its cluster is lost, or no
// member any more.
func (e *Engine) bereft(t *template, lost, gone []string) (said []string) {
	noun := t.obj.GetKind()
	for _, name := range lost {
		if part := e.leftThere(t, name); part != "" {
			said = append(said, fmt.Sprintf("cluster %s is lost with %s, which does not fail over because it may still be doing that. Try: bring it back; or if it is gone for good, delete the %s and create it again", name, part, noun))
		}
	}
	for _, name := range gone {
		said = append(said, fmt.Sprintf("cluster %s is not a member any more and has taken along %s. Try: delete the %s and create it again, to have all of it done", name, t.partOf(name), noun))
	}
	return said
}

// leftThere is what a cluster has left to do of t, for people; empty if that is nothing.
func (e *Engine) leftThere(t *template, cluster string) string {
	if t.division == kinds.Completions {
		if left := e.work(t, cluster).Left; left == 0 {
			return ""
		}
	}
	return t.partOf(cluster)
}

// partOf is what a cluster was given of t, for people.
func (t *template) partOf(cluster string) string {
	completions := numberIn(t.obj, "completions")
	switch {
	case t.division == kinds.One:
		return "its work"
	case completions == nil:
		return "its part of the work"
	}
	return fmt.Sprintf("%d of %d completions, as far as they are not done", t.cutFor(cluster).ofKind().Cut(int64(*completions)), *completions)
}
