package schedule

import (
	"maps"
	"slices"
)

// maxSteps bounds the work for replicas that have to be placed one by one. It
// is more pods than a cluster can have.
const maxSteps = 1_000_000

// raise places n replicas and returns how many did not fit.
func (r *run) raise(n int64) int64 {
	if n <= 0 {
		return 0
	}
	r.weigh()
	candidates := make([]int32, 0, len(r.units))
	for i := range r.units {
		u := &r.units[i]
		m := &r.members[u.member]
		if r.space(u) > 0 && (m.weight > 0 || r.strategy == Cheapest || r.strategy == Evenly) {
			u.seen = m.n
			candidates = append(candidates, int32(i))
		}
	}
	if len(r.moving) > 0 {
		return r.raiseRuled(candidates, n)
	}
	byTier := func(a, b int32) int { return tier(&r.units[a], &r.units[b], 0, 0) }
	if !slices.IsSortedFunc(candidates, byTier) {
		slices.SortStableFunc(candidates, byTier)
	}
	for len(candidates) > 0 && n > 0 {
		end := 1
		for end < len(candidates) && byTier(candidates[0], candidates[end]) == 0 {
			end++
		}
		n = r.raiseTier(candidates[:end], n)
		candidates = candidates[end:]
	}
	return n
}

// raiseTier is raise for units that no rule and no preference tells apart.
func (r *run) raiseTier(units []int32, n int64) int64 {
	var room int64
	for _, i := range units {
		room += r.space(&r.units[i])
	}
	if room <= n {
		for _, i := range units {
			u := &r.units[i]
			k := min(n, r.space(u))
			r.place(u, k)
			n -= k
		}
		return n
	}
	switch {
	case r.proportional():
		return n - r.placeByWeight(units, n)
	case r.gradual():
		n -= r.lift(units, n)
	}
	if n == 0 {
		return 0
	}
	h := heap[int32]{items: units, before: func(a, b *int32) bool { return r.wants(&r.units[*a], &r.units[*b]) < 0 }}
	for _, i := range units {
		r.units[i].seen = r.members[r.units[i].member].n
	}
	h.init()
	for n > 0 && len(h.items) > 0 {
		u := &r.units[h.items[0]]
		m := &r.members[u.member]
		space := r.space(u)
		switch {
		case space == 0:
			h.pop()
			continue
		case u.seen == m.n:
			k := int64(1)
			if !r.gradual() {
				k = min(n, space)
			}
			r.place(u, k)
			n -= k
		}
		u.seen = m.n
		h.down(0)
	}
	return n
}

// lift brings all units up to a level that n replicas suffice for, and returns
// how many that took. What one by one would do is done at once but for less
// than one replica per unit. Each member has one unit here, or nothing is done.
func (r *run) lift(units []int32, n int64) (used int64) {
	for i := 1; i < len(units); i++ {
		if r.units[units[i]].member == r.units[units[i-1]].member {
			return 0
		}
	}
	share := func(u *unit, level int64) int64 {
		return min(max(0, level-r.members[u.member].n), r.space(u))
	}
	taken := func(level int64) (sum int64) {
		for _, i := range units {
			sum += share(&r.units[i], level)
		}
		return sum
	}
	low, high := int64(0), int64(1)
	for _, i := range units {
		high = max(high, r.members[r.units[i].member].n+n+1)
	}
	for high-low > 1 {
		mid := low + (high-low)/2
		if sum := taken(mid); sum <= n {
			low, used = mid, sum
		} else {
			high = mid
		}
	}
	for _, i := range units {
		u := &r.units[i]
		r.place(u, share(u, low))
	}
	return used
}

// placeByWeight places n replicas, for which there is room, by the members' weights.
func (r *run) placeByWeight(units []int32, n int64) (used int64) {
	aims := r.byWeight(units, n)
	for _, i := range units {
		u := &r.units[i]
		k := min(aims[u.member]-r.weighed(&r.members[u.member]), r.space(u))
		r.place(u, k)
		used += k
	}
	return used
}

// aim says how much each member is to have by its weight, if the rules let it: what one
// group has no room for is the next one's.
func (r *run) aim(candidates []int32, n int64) {
	if !r.proportional() {
		return
	}
	byGroup := map[int32][]int32{}
	for _, i := range candidates {
		byGroup[r.units[i].group] = append(byGroup[r.units[i].group], i)
	}
	for _, group := range slices.Sorted(maps.Keys(byGroup)) {
		for member, n := range r.byWeight(byGroup[group], n) {
			r.members[member].aim = n
		}
		for _, i := range byGroup[group] {
			n = max(0, n-r.space(&r.units[i]))
		}
	}
}

// raiseRuled is raise one by one, with rules that each replica may change.
func (r *run) raiseRuled(candidates []int32, n int64) int64 {
	r.aim(candidates, n)
	classes := r.queueClasses(candidates)
	before := r.before()
	h := heap[int32]{before: func(a, b *int32) bool { return before(&classes[*a].top, &classes[*b].top) }}
	for i := range classes {
		if r.freshen(&classes[i]) {
			h.items = append(h.items, int32(i))
		}
	}
	h.init()
	var parked []int32 // too far above the least for now
	level := r.levels()
	for steps := 0; n > 0 && len(h.items) > 0; steps++ {
		if steps == maxSteps {
			r.note("only the first %d were placed, because rules look at each one by one", maxSteps)
			break
		}
		at := h.items[0]
		c := &classes[at]
		top := c.top
		if !r.freshen(c) {
			h.pop()
			continue
		}
		if c.top != top {
			h.down(0)
			continue
		}
		u := &r.units[c.top.unit]
		if rule := r.refused(u, anyKind); rule != nil {
			h.pop()
			if rule.kind == skewed {
				parked = append(parked, at)
			}
			continue
		}
		r.place(u, 1)
		n--
		if now := r.levels(); now != level {
			level = now
			for _, p := range parked {
				h.push(p)
			}
			parked = parked[:0]
		}
		if r.attracted(u) { // others got better, which a heap cannot see
			for _, i := range h.items {
				r.freshen(&classes[i])
			}
			h.init()
		}
	}
	return n
}

// levels changes when the least of a spread constraint does.
func (r *run) levels() (sum int64) {
	for _, rule := range r.moving {
		if rule.kind == skewed {
			sum += rule.least()
		}
	}
	return sum
}

// attracted reports whether a replica just placed was the first of a domain
// that others are drawn to.
func (r *run) attracted(u *unit) bool {
	for _, rule := range r.moving {
		if d := rule.of[u.site]; rule.flat && d >= 0 && rule.count[d] == 1 {
			return true
		}
	}
	return false
}
