package schedule

// Loss is what becomes of what a lost cluster was given.
type Loss struct {
	Cluster string
	// Before is what it was given, Stays what of that counts there still, as nothing
	// else can take it: Why says what is in the way.
	Before, Stays int32
	Why           string
}

// losses is one for each cluster that is lost and was given something.
func (r *run) losses() (all []Loss) {
	for i := range r.members {
		m := &r.members[i]
		if !m.Lost || m.standing != leaving || m.before == 0 {
			continue
		}
		l := Loss{Cluster: m.Name, Before: int32(m.before), Stays: int32(m.n)}
		if l.Stays > 0 {
			l.Why = r.tally(func(m *member) bool { return !m.Lost })
		}
		all = append(all, l)
	}
	return all
}
