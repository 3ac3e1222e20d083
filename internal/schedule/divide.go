package schedule

import (
	"slices"
)

// divide gives what is missing and takes what is too much, and returns how many
// replicas are left that fit nowhere.
func (r *run) divide() (left int64) {
	if r.w.Preferences != nil {
		return r.keepEvicted(r.divideByPreferences())
	}
	if r.strategy == Duplicate {
		r.duplicate()
	}
	rest := r.total
	for i := range r.members {
		rest -= r.members[i].n
	}
	if rest < 0 {
		short := -rest
		short -= r.lower(short)
		r.lowerTo(short, func(*member) int64 { return 0 })
		rest = 0
	}
	rest = r.minima(rest, false)
	rest = r.spreadOut(rest)
	left = r.raise(rest)
	left = r.minima(left, true) // a rule may have been in the way before the others had theirs
	left = r.preempt(left)
	return r.keepEvicted(left)
}

// duplicate makes the total what all clusters together are to have.
func (r *run) duplicate() {
	whole := r.total
	r.total = 0
	for i := range r.members {
		m := &r.members[i]
		switch m.standing {
		case open:
			m.most = min(m.most, whole)
			r.total += m.most
			for u := m.units; u < m.until && m.n > m.most; u++ {
				r.take(&r.units[u], min(r.units[u].n, m.n-m.most))
			}
		case keeping, frozen:
			r.total += m.n
		}
	}
	r.strategy = Evenly
}

// minima gives each cluster its minimum, from rest or, if that is not enough,
// from those that have more than theirs. What is left of rest is returned.
func (r *run) minima(rest int64, last bool) int64 {
	if len(r.policy.Min) == 0 {
		return rest
	}
	order := make([]*member, 0, len(r.members))
	for i := range r.members {
		if m := &r.members[i]; m.standing == open && m.n < m.least {
			order = append(order, m)
		}
	}
	slices.SortStableFunc(order, func(a, b *member) int {
		switch {
		case a.weight != b.weight:
			return compareBool(a.weight > b.weight, false)
		default:
			return compareBool(a.rank < b.rank, a.rank == b.rank)
		}
	})
	for _, m := range order {
		for m.n < m.least {
			u, space := r.placeable(m)
			if u == nil {
				if last {
					r.note("cluster %s cannot take its minimum of %d", m.Name, m.least)
					r.waits = true
				}
				break
			}
			k := min(space, m.least-m.n)
			if rest < k {
				rest += r.lower(k - rest)
			}
			if k = min(k, rest); k == 0 {
				if last {
					r.note("there are too few replicas for the minimum of cluster %s, %d", m.Name, m.least)
				}
				break
			}
			r.place(u, k)
			rest -= k
		}
	}
	return rest
}

// placeable is a part of the cluster that can take more, and how many at once.
func (r *run) placeable(m *member) (*unit, int64) {
	for i := m.units; i < m.until; i++ {
		u := &r.units[i]
		if space := r.space(u); space > 0 && r.refused(u, anyKind) == nil {
			if len(r.moving) > 0 {
				space = 1
			}
			return u, space
		}
	}
	return nil, 0
}

// spreadOut uses as many domains as the policy wants.
func (r *run) spreadOut(rest int64) int64 {
	for _, s := range r.spreads {
		for s.used < s.want {
			best := r.bestIn(s)
			if best == nil {
				r.waits = true
				break // see unmet
			}
			if rest == 0 {
				spare := r.spare()
				if spare == nil {
					break
				}
				r.take(spare, 1)
				rest++
			}
			r.place(best, 1)
			rest--
		}
	}
	return rest
}

// bestIn is where the next replica goes if it is to be in a new domain.
func (r *run) bestIn(s *usage) *unit {
	var best *unit
	news := func(u *unit) (n int64) {
		for _, other := range r.spreads {
			if other.used < other.want && other.fresh(u.site) {
				n++
			}
		}
		return n
	}
	for i := range r.units {
		u := &r.units[i]
		if !s.fresh(u.site) || r.space(u) == 0 || r.refused(u, anyKind) != nil {
			continue
		}
		u.seen = r.members[u.member].n
		if best == nil {
			best = u
			continue
		}
		c := tier(u, best, r.bonus(u)+1<<20*news(u), r.bonus(best)+1<<20*news(best))
		if c < 0 || c == 0 && r.wants(u, best) < 0 {
			best = u
		}
	}
	return best
}

// spare is a replica that can move without leaving a domain empty.
func (r *run) spare() *unit {
	var best *unit
	for i := range r.units {
		u := &r.units[i]
		m := &r.members[u.member]
		if m.standing > keeping || u.n == 0 || m.n <= m.least {
			continue
		}
		if slices.ContainsFunc(r.spreads, func(s *usage) bool { return s.of[u.site] >= 0 && s.count[s.of[u.site]] < 2 }) {
			continue
		}
		u.seen = m.n
		if best == nil || r.spares(u, best) < 0 {
			best = u
		}
	}
	return best
}

// preempt places what is left where pods of lower priority would make room.
func (r *run) preempt(left int64) int64 {
	if left == 0 {
		return 0
	}
	found := false
	for i := range r.units {
		u := &r.units[i]
		found = found || u.more > 0
		u.room, u.more = u.room+u.more, 0
	}
	if !found {
		return left
	}
	after := r.raise(left)
	if after < left {
		r.note("%d replicas take the place of pods with lower priority", left-after)
	}
	return after
}

// keepEvicted leaves what fits nowhere else in the clusters that are to be left.
func (r *run) keepEvicted(left int64) int64 {
	for _, gone := range []bool{false, true} {
		for i := range r.members {
			m := &r.members[i]
			if m.standing == leaving && m.gone == gone {
				m.n = min(left, m.before)
				left -= m.n
				r.waits = r.waits || m.n > 0
			}
		}
	}
	return left
}

// crowded says whether all is divided again, and a cluster would have more with more room.
func (r *run) crowded() bool {
	if !r.policy.Rebalance || r.strategy == FreeCapacity || r.strategy == Pack {
		return false // what is free changes with every pod
	}
	return slices.ContainsFunc(r.units, func(u unit) bool {
		m := &r.members[u.member]
		return m.standing == open && u.closed == 0 && u.room <= 0 && m.n < m.most
	})
}
