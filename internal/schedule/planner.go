package schedule

import (
	"cmp"
	"hash/fnv"
	"slices"
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
