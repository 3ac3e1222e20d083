package schedule

import (
	"cmp"
	"slices"
)

// seed puts what each cluster has into its units.
func (r *run) seed() {
	tight := slices.ContainsFunc(r.moving, func(rule *rule) bool { return rule.kind == apart })
	order := make([]int32, len(r.members))
	for i := range order {
		order[i] = int32(i)
	}
	if tight { // who comes first stays
		slices.SortFunc(order, func(a, b int32) int {
			x, y := &r.members[a], &r.members[b]
			return cmp.Or(cmp.Compare(y.standing, x.standing), cmp.Compare(x.rank, y.rank), cmp.Compare(a, b))
		})
	}
	for _, i := range order {
		m := &r.members[i]
		if m.standing == leaving {
			r.evicted += m.before
			continue
		}
		if m.before == 0 || m.standing == out || r.policy.Rebalance && m.standing == open {
			continue
		}
		r.seedMember(m, tight && m.standing != frozen)
	}
}

func (r *run) seedMember(m *member, tight bool) {
	rest := m.before
	if m.standing != frozen {
		rest = min(rest, m.most)
	}
	units := r.units[m.units:m.until]
	put := func(u *unit, n int64) {
		if tight && r.refused(u, apart) != nil {
			return
		}
		if tight && slices.ContainsFunc(r.moving, func(rule *rule) bool { return rule.kind == apart && rule.of[u.site] >= 0 }) {
			n = min(n, 1)
		}
		r.count(u, n)
		rest -= n
	}
	for i := range units {
		put(&units[i], min(rest, units[i].own))
	}
	for i := range units { // what is not known to be anywhere: evenly
		u := &units[i]
		put(u, rest/int64(len(units)-i))
	}
	for i := 0; tight && i < len(units); i++ {
		put(&units[i], rest)
	}
	m.cut = m.n < m.before
}
