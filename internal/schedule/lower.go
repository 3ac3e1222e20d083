package schedule

import (
	"cmp"
	"slices"

	"github.com/hanse-dev/hanse/internal/schedule/apportion"
)

// lower takes up to n replicas away from clusters that have more than their
// minimum, and returns how many it took. Surplus goes from where it is wanted
// least: a later group, what the pods prefer less, then by the strategy.
func (r *run) lower(n int64) (took int64) {
	return r.lowerTo(n, func(m *member) int64 { return m.least })
}

// lowerTo is lower with any floor for a member.
func (r *run) lowerTo(n int64, floor func(*member) int64) (took int64) {
	if n <= 0 {
		return 0
	}
	r.weigh()
	candidates := make([]int32, 0, len(r.units))
	for i := range r.units {
		u := &r.units[i]
		m := &r.members[u.member]
		if (m.standing == open || m.standing == keeping) && u.n > 0 && m.n > floor(m) {
			u.seen = m.n
			candidates = append(candidates, int32(i))
		}
	}
	compare := func(a, b int32) int {
		x, y := &r.units[a], &r.units[b]
		return cmp.Or(
			compareBool(!r.needed(x), !r.needed(y)),
			-tier(x, y, r.bonus(x), r.bonus(y)),
			cmp.Compare(r.crowd(y), r.crowd(x)),
		)
	}
	if r.gradual() && len(r.moving)+len(r.spreads) == 0 && r.even(candidates, compare) {
		took = r.sink(candidates, n, floor)
	}
	h := heap[int32]{items: candidates, before: func(a, b *int32) bool {
		return cmp.Or(compare(*a, *b), r.spares(&r.units[*a], &r.units[*b])) < 0
	}}
	for _, i := range candidates {
		r.units[i].seen = r.members[r.units[i].member].n
	}
	h.init()
	for steps := 0; took < n && len(h.items) > 0 && steps < maxSteps; steps++ {
		u := &r.units[h.items[0]]
		m := &r.members[u.member]
		spare := min(u.n, m.n-floor(m))
		switch {
		case spare <= 0:
			h.pop()
			continue
		case u.seen == m.n:
			k := int64(1)
			if !r.gradual() && len(r.moving)+len(r.spreads) == 0 {
				k = min(n-took, spare)
			}
			r.take(u, k)
			took += k
			if len(r.moving)+len(r.spreads) > 0 { // the order of others may have changed
				u.seen = m.n
				h.init()
				continue
			}
		}
		u.seen = m.n
		h.down(0)
	}
	for _, i := range h.items { // beyond maxSteps: in any order
		u := &r.units[i]
		m := &r.members[u.member]
		k := max(0, min(n-took, u.n, m.n-floor(m)))
		r.take(u, k)
		took += k
	}
	return took
}

func (r *run) take(u *unit, n int64) {
	u.room += n
	r.count(u, -n)
}

// even reports whether the candidates are one tier and each of a member of its
// own.
func (r *run) even(candidates []int32, compare func(a, b int32) int) bool {
	for i := 1; i < len(candidates); i++ {
		if r.units[candidates[i]].member == r.units[candidates[i-1]].member || compare(candidates[0], candidates[i]) != 0 {
			return false
		}
	}
	return len(candidates) > 0
}

// sinkByWeight takes n replicas away, or as many as the floors let it, and leaves what
// is next to the members' weights.
func (r *run) sinkByWeight(units []int32, n int64, floor func(*member) int64) (took int64) {
	parts := make([]apportion.Part, len(units))
	total := -n
	for i, unit := range units {
		m := &r.members[r.units[unit].member]
		parts[i] = apportion.Part{Weight: m.weight, Low: min(m.n, max(floor(m), m.n-r.units[unit].n)), High: m.n, Rank: m.rank}
		total += m.n
	}
	apportion.Reduce(total, parts)
	for i, unit := range units {
		k := parts[i].High - parts[i].Given
		r.take(&r.units[unit], k)
		took += k
	}
	return took
}

// sink is lift the other way: down to a level, but for about one replica each.
func (r *run) sink(units []int32, n int64, floor func(*member) int64) (took int64) {
	if r.strategy == Weighted {
		return r.sinkByWeight(units, n, floor)
	}
	share := func(u *unit, level float64) int64 {
		m := &r.members[u.member]
		return max(0, m.n-max(floor(m), int64(level)))
	}
	low, high := 0.0, 1.0
	for _, i := range units {
		high = max(high, float64(r.members[r.units[i].member].n+1))
	}
	for range 64 {
		if n-took <= int64(len(units)) {
			break
		}
		mid := (low + high) / 2
		var sum int64
		for _, i := range units {
			sum += share(&r.units[i], mid)
		}
		if sum <= n {
			high, took = mid, sum
		} else {
			low = mid
		}
	}
	for _, i := range units {
		u := &r.units[i]
		r.take(u, share(u, high))
	}
	return took
}

// needed reports whether a policy's Spread needs the unit's replica.
func (r *run) needed(u *unit) bool {
	return slices.ContainsFunc(r.spreads, func(s *usage) bool { return s.needed(u.site) })
}

// crowd is how full the domains of a unit are that spread constraints compare.
func (r *run) crowd(u *unit) (sum int64) {
	for _, rule := range r.moving {
		if d := rule.of[u.site]; rule.kind == skewed && d >= 0 {
			sum += rule.count[d]
		}
	}
	return sum
}
