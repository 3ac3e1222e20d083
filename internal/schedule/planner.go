package schedule

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"
)

// planned is a cluster while Federation v1's division is computed.
type planned struct {
	member   *member
	hash     uint32
	min      int64
	max      int64
	weight   int64
	current  int64
	capacity int64
	given    int64
	kept     int64 // of given, what was there and is not yet counted by weight
	overflow int64 // what it would be given if it could run it
}

// plan divides total as Federation v1 did: minima first, in order of weight;
// then, unless it is to rebalance, what runs; then the rest by weight, rounded
// up, over and over while somebody can take more. What a cluster cannot run
// goes to the others. The sum may stay below total.
func plan(total int64, clusters []*planned, rebalance bool) {
	slices.SortFunc(clusters, func(a, b *planned) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.hash, b.hash))
	})
	rest := total
	for _, c := range clusters {
		c.given = min(c.min, rest, c.capacity)
		rest -= c.given
	}
	if !rebalance {
		for _, c := range clusters {
			c.kept = max(0, min(min(c.current, c.max, c.capacity)-c.given, rest))
			c.given += c.kept
			rest -= c.kept
		}
	}
	for more := true; more && rest > 0; {
		clusters, rest, more = planRound(clusters, rest)
	}
}

// planRound is one round by weight; who is full does not take part in the next.
func planRound(clusters []*planned, rest int64) (next []*planned, _ int64, more bool) {
	var weights int64
	for _, c := range clusters {
		weights += c.weight
	}
	if weights == 0 {
		return nil, rest, false
	}
	all := rest
	for _, c := range clusters {
		part := min(rest, (all*c.weight+weights-1)/weights)
		kept := min(part, c.kept)
		c.kept -= kept
		want := c.given + part - kept
		got := min(want, c.max)
		if got > c.capacity {
			c.overflow = got - c.capacity
			got = c.capacity
		}
		more = more || kept > 0 || got > c.given
		rest -= got - c.given
		c.given = got
		if got == want {
			next = append(next, c)
		}
	}
	return next, rest, more
}

// planHash breaks ties as Federation v1 did.
func planHash(cluster, object string) uint32 {
	h := fnv.New32()
	h.Write([]byte(cluster)) // a hash.Hash never returns an error
	h.Write([]byte(object))
	return h.Sum32()
}

// divideByPreferences is divide for Federation v1's preferences. Constraints
// that v1 did not know come after: what they do not let in stays unplaced.
func (r *run) divideByPreferences() (left int64) {
	_, object, _ := strings.Cut(r.w.Key, "/")
	left = r.total
	var all []*planned
	for i := range r.members {
		m := &r.members[i]
		if m.standing == frozen || m.standing == keeping {
			left -= m.n
		}
		if m.standing != open {
			continue
		}
		pref, ok := r.w.Preferences.Clusters[m.Name]
		if !ok {
			if pref, ok = r.w.Preferences.Clusters[Others]; !ok {
				m.most, m.why = 0, "not in the preferences"
			}
		}
		p := &planned{member: m, hash: planHash(m.Name, object), min: pref.MinReplicas, max: unlimited,
			weight: pref.Weight, current: m.before, capacity: m.n}
		if pref.MaxReplicas != nil {
			p.max = *pref.MaxReplicas
		}
		for u := m.units; u < m.until; u++ {
			p.capacity = min(unlimited, p.capacity+r.space(&r.units[u]))
		}
		if ok {
			all = append(all, p)
		}
	}
	left = max(0, left)
	plan(left, slices.Clone(all), r.w.Preferences.Rebalance)
	for i := range r.members {
		if m := &r.members[i]; m.standing == open {
			m.most = 0
		}
	}
	for _, p := range all {
		p.member.most = p.given
	}
	r.strategy = Evenly
	for i := range r.members {
		m := &r.members[i]
		for u := m.units; m.standing == open && u < m.until && m.n > m.most; u++ {
			r.take(&r.units[u], min(r.units[u].n, m.n-m.most))
		}
		if m.standing == open {
			left -= m.n
		}
	}
	var aim int64
	for _, p := range all {
		aim += p.given - p.member.n
	}
	return left - aim + r.raise(aim)
}
