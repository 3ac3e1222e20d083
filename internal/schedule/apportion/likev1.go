package apportion

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Claim is what a cluster is to have by Federation v1's preferences, and Given what it gets.
type Claim struct {
	Hash     uint32 // breaks ties; see Hash
	Min, Max int64
	Weight   int64
	Current  int64 // what it runs
	Capacity int64 // what it can run
	Given    int64
	kept     int64 // of given, what was there and is not yet counted by weight
	overflow int64 // what it would be given if it could run it
}

// LikeV1 divides total as Federation v1 did: minima first, in order of weight;
// then, unless it is to rebalance, what runs; then the rest by weight, rounded
// up, over and over while somebody can take more. What a cluster cannot run
// goes to the others. The sum may stay below total.
func LikeV1(total int64, clusters []*Claim, rebalance bool) {
	slices.SortFunc(clusters, func(a, b *Claim) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Hash, b.Hash))
	})
	rest := total
	for _, c := range clusters {
		c.Given = min(c.Min, rest, c.Capacity)
		rest -= c.Given
	}
	if !rebalance {
		for _, c := range clusters {
			c.kept = max(0, min(min(c.Current, c.Max, c.Capacity)-c.Given, rest))
			c.Given += c.kept
			rest -= c.kept
		}
	}
	for more := true; more && rest > 0; {
		clusters, rest, more = round(clusters, rest)
	}
}

// round is one round by weight; who is full does not take part in the next.
func round(clusters []*Claim, rest int64) (next []*Claim, _ int64, more bool) {
	var weights int64
	for _, c := range clusters {
		weights += c.Weight
	}
	if weights == 0 {
		return nil, rest, false
	}
	all := rest
	for _, c := range clusters {
		part := min(rest, (all*c.Weight+weights-1)/weights)
		kept := min(part, c.kept)
		c.kept -= kept
		want := c.Given + part - kept
		got := min(want, c.Max)
		if got > c.Capacity {
			c.overflow = got - c.Capacity
			got = c.Capacity
		}
		more = more || kept > 0 || got > c.Given
		rest -= got - c.Given
		c.Given = got
		if got == want {
			next = append(next, c)
		}
	}
	return next, rest, more
}

// Hash is the Claim.Hash of a cluster by which Federation v1 broke ties for an object.
func Hash(cluster, object string) uint32 {
	h := fnv.New32()
	h.Write([]byte(cluster)) // a hash.Hash never returns an error
	h.Write([]byte(object))
	return h.Sum32()
}
