package schedule

import (
	"fmt"
	"slices"
)

// everywhere places what is not divided: in every cluster that policy and
// selector allow, ready or not. Of a policy's groups that is the first with a
// cluster that is ready, so that a fallback group is not used before its turn.
func (s *Snapshot) everywhere(w *Workload) Decision {
	d := Decision{}
	policy := w.Policy
	if policy == nil {
		policy = &Policy{}
	}
	problem := w.Problem
	if problem == "" {
		problem = policy.problem(s)
	}
	if problem != "" {
		return Decision{Problem: problem, Hold: true, Reason: problem}
	}
	allowed := s.firstGroup(policy)
	for i := range s.clusters {
		c := &s.clusters[i]
		switch {
		case w.Selector != nil && !w.Selector.Matches(c.Labels):
			d.Rejected = append(d.Rejected, Rejection{c.Name, "not selected: " + w.Selector.String()})
		case allowed != nil && !slices.Contains(allowed, c.Name):
			d.Rejected = append(d.Rejected, Rejection{c.Name, "not allowed by " + policy.title()})
		case !c.Ready:
			d.Shares = append(d.Shares, Share{Cluster: c.Name, Reason: "every cluster, once it is ready"})
		default:
			d.Shares = append(d.Shares, Share{Cluster: c.Name, Reason: "every cluster"})
		}
	}
	switch {
	case len(s.clusters) == 0:
		d.Reason = "no cluster has joined"
	case len(d.Shares) > 0 || w.Selector == nil:
	case w.Selector.hub:
		d.Reason = "its cluster selector keeps it at the hub"
	case len(d.Rejected) == len(s.clusters):
		problem := "the cluster selector matches no cluster"
		return Decision{Problem: problem, Hold: true, Reason: problem, Rejected: d.Rejected}
	}
	d.Problem = w.Warning
	return d
}

// firstGroup is the names of the group whose turn it is; nil: all clusters.
func (s *Snapshot) firstGroup(p *Policy) []string {
	for _, names := range p.Groups {
		for i := range s.clusters {
			if c := &s.clusters[i]; c.Ready && slices.Contains(names, c.Name) {
				return names
			}
		}
	}
	for _, names := range p.Groups {
		if len(names) > 0 {
			return names
		}
	}
	return nil
}

// hold keeps what runs, but for surplus, and places nothing new.
func (r *run) hold(problem string) Decision {
	r.policy, r.strategy, r.rules, r.x, r.whole = &Policy{}, Evenly, nil, nil, false
	r.w = &Workload{Key: r.w.Key, Total: r.w.Total, Divided: true, Current: r.w.Current}
	r.enlist()
	for i := range r.members {
		if m := &r.members[i]; m.standing == leaving {
			m.standing, m.units, m.until = frozen, int32(len(r.units)), int32(len(r.units))+1
			r.addUnit(int32(i), 0)
		}
		if m := &r.members[i]; m.standing == open {
			m.standing, m.why = keeping, "nothing new is placed"
		}
	}
	r.seed()
	left := r.divide()
	d := r.decision(left)
	for i := range d.Shares {
		d.Shares[i].Reason = "kept as it is"
	}
	d.Problem, d.Hold = problem, true
	d.Reason = problem
	if left > 0 {
		d.Reason = fmt.Sprintf("%s; %d of %d replicas are not placed", problem, left, r.total)
	}
	return d
}
