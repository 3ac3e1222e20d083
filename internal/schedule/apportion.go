package schedule

import (
	"cmp"
	"slices"
)

// part is what one cluster may be given when a number is divided by weights.
type part struct {
	weight int64
	// low and high bound given, whatever the weight.
	low, high int64
	// rank breaks ties; lower goes first.
	rank  uint64
	given int64

	fixed bool
	rest  int64 // of the exact quota, beyond given
}

// apportion divides total by weights, by the method of largest remainders: each part
// is given its exact quota rounded down, and what is left goes one by one to those with
// the largest remainders. A part whose quota is beyond one of its bounds is given the
// bound, and the others divide the rest. So without bounds no part is a whole one away
// from its quota.
//
// The sum is total unless the bounds do not let it, or no part that could take more has
// a weight. As with every method that keeps to the quota so, a larger total may give a
// part less; where replicas run already, low keeps them from being moved for that.
func apportion(total int64, parts []part) {
	for i := range parts {
		parts[i].given, parts[i].rest, parts[i].fixed = 0, 0, false
	}
	for range parts { // each round but the last fixes one at least
		rest, weights := total, int64(0)
		for i := range parts {
			if p := &parts[i]; p.fixed {
				rest -= p.given
			} else {
				weights += p.weight
			}
		}
		if !fixBeyond(parts, max(0, rest), weights) {
			break
		}
	}
	var open []*part
	left := total
	for i := range parts {
		p := &parts[i]
		left -= p.given
		if !p.fixed && p.rest > 0 {
			open = append(open, p)
		}
	}
	slices.SortFunc(open, func(a, b *part) int {
		return cmp.Or(cmp.Compare(b.rest, a.rest), cmp.Compare(a.rank, b.rank))
	})
	for _, p := range open[:max(0, min(int64(len(open)), left))] {
		p.given++
	}
}

// apportionLess is apportion where parts have high already, and are to have less: those
// without a weight keep what the others do not need, evenly.
func apportionLess(total int64, parts []part) {
	apportion(total, parts)
	for i := range parts {
		p := &parts[i]
		p.low, p.weight = p.given, 1-min(1, p.weight)
	}
	apportion(total, parts)
}

// fixBeyond gives each part that is not fixed its quota of rest, rounded down. Where
// that is beyond bounds, it fixes the parts at those that make more of a difference, as
// the others come nearer to theirs by that, and reports true.
func fixBeyond(parts []part, rest, weights int64) bool {
	var whole, remainders int64 // what low bounds add to the quotas, less what high ones take
	for i := range parts {
		p := &parts[i]
		if p.fixed {
			continue
		}
		p.given, p.rest = 0, 0
		if weights > 0 {
			p.given, p.rest = rest*p.weight/weights, rest*p.weight%weights
		}
		switch {
		case p.given < p.low:
			whole, remainders = whole+p.low-p.given, remainders+p.rest
		case p.above():
			whole, remainders = whole+p.high-p.given, remainders+p.rest
		}
	}
	more := cmp.Compare(whole, 0) // than nothing is added
	if weights > 0 {
		more = cmp.Or(cmp.Compare(whole, remainders/weights), cmp.Compare(0, remainders%weights))
	}
	fixed := false
	for i := range parts {
		p := &parts[i]
		if p.fixed {
			continue
		}
		low, high := p.given < p.low, p.above()
		if low && more >= 0 || high && more <= 0 {
			fixed, p.fixed = true, true
			p.given = max(p.low, min(p.given, p.high))
		}
	}
	return fixed
}

// above is whether the exact quota is more than the part may have.
func (p *part) above() bool { return p.given > p.high || p.given == p.high && p.rest > 0 }

// byWeight divides n more over the members of units, which no rule and no preference
// tells apart, as the strategy weighs them, and returns what each is to have of that,
// by its index: all that they have room for where that is less.
func (r *run) byWeight(units []int32, n int64) (aims map[int32]int64) {
	var order []int32 // members
	parts := map[int32]*part{}
	for _, i := range units {
		u := &r.units[i]
		p := parts[u.member]
		if p == nil {
			m := &r.members[u.member]
			p = &part{weight: m.weight, low: r.weighed(m), rank: m.rank}
			p.high = p.low
			parts[u.member] = p
			order = append(order, u.member)
		}
		p.high = min(p.high+r.space(u), p.low+r.members[u.member].most-r.members[u.member].n)
	}
	slices.Sort(order)
	all := make([]part, len(order))
	total := n
	for i, member := range order {
		all[i] = *parts[member]
		total += all[i].low
	}
	apportion(total, all)
	aims = make(map[int32]int64, len(order))
	for i, member := range order {
		aims[member] = all[i].given
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
