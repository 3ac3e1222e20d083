// Package transition moves replicas from cluster to cluster without going below
// the number that is wanted: first more where more is wanted, then, as these get
// ready, less where less is. It is pure, and remembers nothing: what the clusters
// run and what they are to run in the end is all that it goes by, so that a move
// goes on after a restart.
package transition

// Member is a cluster's part in a workload.
type Member struct {
	// Target is what it is to run in the end.
	Target int32
	// Has is what it was last told to run; 0 for one that is out of reach.
	Has int32
	// Ready is how many of these are ready; 0 for one that is out of reach.
	Ready int32
}

// Next is how many replicas each member is to run now. Those that are to have
// more get it at once. Of the others so many are taken that no fewer are ready
// than are wanted in all, or than are ready already. Members that come first go
// first; the sums are what counts.
//
// When replicas are taken away, those that are not ready go first, as a
// ReplicaSet sees to; with ordered, as in a StatefulSet, any may.
func Next(members []Member, ordered bool) []int32 {
	var wanted, ready int32
	for _, m := range members {
		wanted += m.Target
		ready += m.ready()
	}
	spare := max(0, ready-wanted)
	next := make([]int32, len(members))
	for i, m := range members {
		next[i] = m.Target
		if m.Target >= m.Has {
			continue
		}
		loss := m.loss(m.Target, ordered)
		if loss > spare {
			// With nothing to spare, what is not ready goes all the same.
			next[i] = m.Has - spare
			if !ordered {
				next[i] = m.ready() - spare
			}
			loss = spare
		}
		spare -= loss
	}
	return next
}

// ready is at most what it was told to run: a status may be older than that.
func (m Member) ready() int32 { return min(m.Ready, m.Has) }

// loss is how many ready replicas may go when it is told to run n.
func (m Member) loss(n int32, ordered bool) int32 {
	if ordered {
		return min(m.ready(), m.Has-n)
	}
	return max(0, m.ready()-n)
}
