package schedule

import "slices"

// settle prepares the rules, and sorts the units into classes that they treat
// alike.
func (r *run) settle() {
	var keys []*rule
	for _, rule := range r.rules {
		if rule.kind == skewed {
			keys = append(keys, rule)
		}
	}
	for _, rule := range keys {
		r.settleSkew(rule, keys)
	}
	for i, rule := range r.rules {
		if rule.self {
			r.moving = append(r.moving, rule)
			continue
		}
		for u := range r.units {
			u := &r.units[u]
			u.score += rule.bonus(u.site)
			if u.closed == 0 && rule.refuses(u.site) {
				u.closed = int32(i) + 1
			}
		}
	}
	for _, s := range r.policy.Spread {
		r.spreads = append(r.spreads, newUsage(r.x.Topology(s.Key), s, r.total))
	}
	if len(r.moving)+len(r.spreads) > 0 {
		r.classify()
	}
	if r.x != nil && !r.whole {
		r.findOwn()
		r.merge()
	}
	if r.policy.Rebalance {
		r.giveBack()
	}
}

// giveBack makes the room that replicas have which are divided again. The pods
// that are known to be somewhere make it there.
func (r *run) giveBack() {
	for i := range r.members {
		m := &r.members[i]
		if m.standing != open || m.units == m.until {
			continue
		}
		rest := m.before
		for u := m.units; u < m.until; u++ {
			unit := &r.units[u]
			k := min(rest, unit.own)
			unit.room, rest = min(unlimited, unit.room+k), rest-k
		}
		first := &r.units[m.units]
		first.room = min(unlimited, first.room+rest)
	}
}

// findOwn notes in which units pods of the workload are known to be.
func (r *run) findOwn() {
	for _, own := range r.x.own[r.w.Key] {
		m := &r.members[r.x.Cluster[own.site]]
		for u := m.units; u < m.until; u++ {
			if r.units[u].site == own.site {
				r.units[u].own += int64(own.count)
			}
		}
	}
}

// merge makes one unit of those of a cluster that nothing tells apart.
func (r *run) merge() {
	kept := int32(0)
	for i := range r.members {
		m := &r.members[i]
		start := kept
		for at := m.units; at < m.until; at++ {
			u := r.units[at]
			same := slices.IndexFunc(r.units[start:kept], func(o unit) bool {
				return o.class == u.class && o.score == u.score && o.closed == u.closed
			})
			if same < 0 {
				r.units[kept] = u
				kept++
				continue
			}
			into := &r.units[start+int32(same)]
			into.room = min(unlimited, into.room+u.room)
			into.more = min(unlimited, into.more+u.more)
			into.own += u.own
		}
		m.units, m.until = start, kept
	}
	r.units = r.units[:kept]
}

// settleSkew says where a topology spread constraint counts: where a replica
// could be, unless its inclusion policies say otherwise. A cluster that is lost
// or is to be left is no domain: its emptiness would hold up the others.
func (r *run) settleSkew(rule *rule, all []*rule) {
	affinity, honorTaints := rule.honors()
	rule.settle(r.w, r.s, func(site int32) bool {
		m := &r.members[r.x.Cluster[site]]
		for _, other := range all {
			if other.of[site] < 0 {
				return false
			}
		}
		if honorTaints && m.noSchedule {
			return false
		}
		if m.units == m.until && !m.mismatched {
			return false
		}
		return !affinity || r.nodes.Verdict(site).Why == ""
	})
}

// classify gives units the same class if they are in the same domain of
// everything that own replicas change.
func (r *run) classify() {
	type pair struct{ class, domain int32 }
	split := func(of []int32) {
		ids := map[pair]int32{}
		for i := range r.units {
			u := &r.units[i]
			p := pair{u.class, of[u.site]}
			id, ok := ids[p]
			if !ok {
				id = int32(len(ids))
				ids[p] = id
			}
			u.class = id
		}
		r.classes = int32(len(ids))
	}
	for _, rule := range r.moving {
		split(rule.of)
	}
	for _, s := range r.spreads {
		split(s.of)
	}
}
