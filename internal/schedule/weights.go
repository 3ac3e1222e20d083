package schedule

import (
	"slices"

	"github.com/hanse-dev/hanse/internal/schedule/apportion"
)

// byWeight divides n more over the members of units, which no rule and no preference
// tells apart, as the strategy weighs them, and returns what each is to have of that,
// by its index: all that they have room for where that is less.
func (r *run) byWeight(units []int32, n int64) (aims map[int32]int64) {
	var order []int32 // members
	parts := map[int32]*apportion.Part{}
	for _, i := range units {
		u := &r.units[i]
		p := parts[u.member]
		if p == nil {
			m := &r.members[u.member]
			p = &apportion.Part{Weight: m.weight, Low: r.weighed(m), Rank: m.rank}
			p.High = p.Low
			parts[u.member] = p
			order = append(order, u.member)
		}
		p.High = min(p.High+r.space(u), p.Low+r.members[u.member].most-r.members[u.member].n)
	}
	slices.Sort(order)
	all := make([]apportion.Part, len(order))
	total := n
	for i, member := range order {
		all[i] = *parts[member]
		total += all[i].Low
	}
	apportion.Divide(total, all)
	aims = make(map[int32]int64, len(order))
	for i, member := range order {
		aims[member] = all[i].Given
	}
	return aims
}

// weighed is what a member has that its weight is about: all, or what is new there.
func (r *run) weighed(m *member) int64 {
	if r.strategy == FreeCapacity {
		return m.placed
	}
	return m.n
}

// proportional reports whether replicas are divided by weights.
func (r *run) proportional() bool { return r.strategy == Weighted || r.strategy == FreeCapacity }
