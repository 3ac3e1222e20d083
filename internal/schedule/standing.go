package schedule

// Closed is why a cluster may be given nothing new of a workload, or has to be left.
type Closed struct {
	Why string
	// Disallowed says that a policy, the cluster selector or what the pods ask of nodes
	// does not allow it, and not only the state that it is in.
	Disallowed bool
}

// Closed is the clusters that are closed for a workload, by name. problem is what is
// wrong with the input, so that nobody can tell.
func (s *Snapshot) Closed(w *Workload) (closed map[string]Closed, problem string) {
	r := &run{s: s, w: w, policy: w.Policy, workspace: &workspace{}}
	if r.policy == nil {
		r.policy = &Policy{}
	}
	if problem := r.problem(); problem != "" {
		return nil, problem
	}
	r.enlist()
	closed = map[string]Closed{}
	for i := range r.members {
		m := &r.members[i]
		if m.standing == open {
			continue
		}
		unselected := w.Selector != nil && !w.Selector.Matches(m.Labels)
		closed[m.Name] = Closed{Why: m.why, Disallowed: m.gone || m.mismatched || unselected}
	}
	return closed, ""
}
