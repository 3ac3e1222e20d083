package schedule

import "cmp"

// gradual reports whether replicas are handed out one by one, to whoever is
// furthest behind, rather than to one cluster until it is full.
func (r *run) gradual() bool { return r.strategy != Pack && r.strategy != Cheapest }

// tier compares what goes before any strategy: an earlier group of the policy,
// then what the pods prefer.
func tier(a, b *unit, bonusA, bonusB int64) int {
	if a.group != b.group {
		return cmp.Compare(a.group, b.group)
	}
	return cmp.Compare(b.score+bonusB, a.score+bonusA)
}

// wants compares units of one tier by who is to be given the next replica. It
// goes by unit.seen, not by what the member has now, so that a heap stays a
// heap until its items are looked at again.
func (r *run) wants(a, b *unit) int {
	if r.strategy == Evenly { // the commonest, and compared most: not a comparison more than it needs
		switch {
		case a.seen != b.seen:
			return cmp.Compare(a.seen, b.seen)
		case a.rank != b.rank:
			return cmp.Compare(a.rank, b.rank)
		}
		return cmp.Or(cmp.Compare(a.member, b.member), cmp.Compare(a.site, b.site))
	}
	m, n := &r.members[a.member], &r.members[b.member]
	c := 0
	switch r.strategy {
	case Weighted:
		c = cmp.Or(compareBool(a.seen < m.aim, b.seen < n.aim), cmp.Compare((a.seen+1)*n.weight, (b.seen+1)*m.weight))
	case FreeCapacity:
		x, y := a.seen-m.n+m.placed, b.seen-n.n+n.placed
		c = cmp.Or(compareBool(x < m.aim, y < n.aim), cmp.Compare((x+1)*n.weight, (y+1)*m.weight))
	case Pack:
		c = cmp.Or(compareBool(m.n > 0 || m.prior > 0, n.n > 0 || n.prior > 0), cmp.Compare(n.weight, m.weight), cmp.Compare(n.prior, m.prior))
	case Cheapest:
		c = cmp.Or(compareBool(m.cost > 0, n.cost > 0), cmp.Compare(m.cost, n.cost), cmp.Compare(n.prior, m.prior))
	}
	return cmp.Or(c, cmp.Compare(m.rank, n.rank), cmp.Compare(a.member, b.member), cmp.Compare(a.site, b.site))
}

// spares compares units of one tier by who gives a replica away first.
func (r *run) spares(a, b *unit) int {
	m, n := &r.members[a.member], &r.members[b.member]
	c := 0
	switch r.strategy {
	case Weighted:
		c = cmp.Compare(b.seen*m.weight, a.seen*n.weight)
	case Pack:
		c = cmp.Compare(a.seen, b.seen)
	case Cheapest:
		c = cmp.Or(compareBool(n.cost > 0, m.cost > 0), cmp.Compare(n.cost, m.cost))
	default:
		c = cmp.Compare(b.seen, a.seen)
	}
	return cmp.Or(c, cmp.Compare(n.rank, m.rank), cmp.Compare(b.member, a.member), cmp.Compare(b.site, a.site))
}

// compareBool puts true first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// bonus is what the preferences make of a unit now.
func (r *run) bonus(u *unit) (sum int64) {
	for _, rule := range r.moving {
		if rule.kind == nicer {
			sum += rule.bonus(u.site)
		}
	}
	return sum
}

// weigh sets the weights that follow from what is free.
func (r *run) weigh() {
	if r.strategy != FreeCapacity && r.strategy != Pack {
		return
	}
	known := int64(0)
	for i := range r.members {
		m := &r.members[i]
		m.weight = 0
		for u := m.units; u < m.until; u++ {
			m.weight = min(unlimited, m.weight+r.space(&r.units[u]))
		}
		if m.weight < unlimited {
			known = max(known, m.weight)
		}
	}
	if r.strategy == Pack {
		return
	}
	for i := range r.members { // nothing known: as much as the largest of the others
		if m := &r.members[i]; m.weight == unlimited {
			m.weight = max(1, known)
		}
	}
}
