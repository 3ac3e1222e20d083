// Package apportion divides a number by weights, into whole numbers with bounds: by the
// method of largest remainders, or as Federation v1 did. It is pure.
package apportion

import (
	"cmp"
	"slices"
)

// Part is what one cluster may be given when a number is divided by weights.
type Part struct {
	Weight int64
	// Low and High bound Given, whatever the weight.
	Low, High int64
	// Rank breaks ties; lower goes first.
	Rank  uint64
	Given int64

	fixed bool
	rest  int64 // of the exact quota, beyond Given
}

// Divide divides total by weights, by the method of largest remainders: each part
// is given its exact quota rounded down, and what is left goes one by one to those with
// the largest remainders. A part whose quota is beyond one of its bounds is given the
// bound, and the others divide the rest. So without bounds no part is a whole one away
// from its quota.
//
// The sum is total unless the bounds do not let it, or no part that could take more has
// a weight. As with every method that keeps to the quota so, a larger total may give a
// part less; where replicas run already, low keeps them from being moved for that.
func Divide(total int64, parts []Part) {
	for i := range parts {
		parts[i].Given, parts[i].rest, parts[i].fixed = 0, 0, false
	}
	for range parts { // each round but the last fixes one at least
		rest, weights := total, int64(0)
		for i := range parts {
			if p := &parts[i]; p.fixed {
				rest -= p.Given
			} else {
				weights += p.Weight
			}
		}
		if !fixBeyond(parts, max(0, rest), weights) {
			break
		}
	}
	var open []*Part
	left := total
	for i := range parts {
		p := &parts[i]
		left -= p.Given
		if !p.fixed && p.rest > 0 {
			open = append(open, p)
		}
	}
	slices.SortFunc(open, func(a, b *Part) int {
		return cmp.Or(cmp.Compare(b.rest, a.rest), cmp.Compare(a.Rank, b.Rank))
	})
	for _, p := range open[:max(0, min(int64(len(open)), left))] {
		p.Given++
	}
}

// Reduce is Divide where parts have High already, and are to have less: those
// without a weight keep what the others do not need, evenly.
func Reduce(total int64, parts []Part) {
	Divide(total, parts)
	for i := range parts {
		p := &parts[i]
		p.Low, p.Weight = p.Given, 1-min(1, p.Weight)
	}
	Divide(total, parts)
}

// fixBeyond gives each part that is not fixed its quota of rest, rounded down. Where
// that is beyond bounds, it fixes the parts at those that make more of a difference, as
// the others come nearer to theirs by that, and reports true.
func fixBeyond(parts []Part, rest, weights int64) bool {
	var whole, remainders int64 // what low bounds add to the quotas, less what high ones take
	for i := range parts {
		p := &parts[i]
		if p.fixed {
			continue
		}
		p.Given, p.rest = 0, 0
		if weights > 0 {
			p.Given, p.rest = rest*p.Weight/weights, rest*p.Weight%weights
		}
		switch {
		case p.Given < p.Low:
			whole, remainders = whole+p.Low-p.Given, remainders+p.rest
		case p.above():
			whole, remainders = whole+p.High-p.Given, remainders+p.rest
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
		low, high := p.Given < p.Low, p.above()
		if low && more >= 0 || high && more <= 0 {
			fixed, p.fixed = true, true
			p.Given = max(p.Low, min(p.Given, p.High))
		}
	}
	return fixed
}

// above is whether the exact quota is more than the part may have.
func (p *Part) above() bool { return p.Given > p.High || p.Given == p.High && p.rest > 0 }
