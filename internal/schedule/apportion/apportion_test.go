package apportion

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func drawParts(t *rapid.T, bounded bool) []Part {
	parts := make([]Part, rapid.IntRange(1, 6).Draw(t, "parts"))
	for i := range parts {
		p := &parts[i]
		p.Weight = rapid.Int64Range(0, 6).Draw(t, "weight")
		p.Rank = rapid.Uint64Range(0, 3).Draw(t, "rank")<<8 + uint64(i)
		p.High = math.MaxInt32
		if bounded {
			p.Low = rapid.Int64Range(0, 4).Draw(t, "low")
			if rapid.Bool().Draw(t, "has a maximum") {
				p.High = p.Low + rapid.Int64Range(0, 5).Draw(t, "above")
			}
		}
	}
	return parts
}

func sums(parts []Part) (low, high, given, weights int64) {
	for i := range parts {
		p := &parts[i]
		low, given, weights = low+p.Low, given+p.Given, weights+p.Weight
		if p.Weight > 0 || p.Low == p.High {
			high += p.High
		} else {
			high += p.Low
		}
	}
	return low, high, given, weights
}

// TestDivideKeepsToTheQuota: without bounds nobody is a whole one away.
func TestDivideKeepsToTheQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := drawParts(t, false)
		total := rapid.Int64Range(0, 50).Draw(t, "total")
		Divide(total, parts)
		_, _, given, weights := sums(parts)
		if weights == 0 {
			if given != 0 {
				t.Fatalf("%d given without a weight", given)
			}
			return
		}
		if given != total {
			t.Fatalf("%d of %d: %+v", given, total, parts)
		}
		for _, p := range parts {
			if off := p.Given*weights - total*p.Weight; off <= -weights || off >= weights {
				t.Fatalf("a weight of %d of %d was given %d of %d", p.Weight, weights, p.Given, total)
			}
		}
	})
}

// TestDivideKeepsToBounds, sums to the total as far as they let it, and gives
// nobody more for a lower weight who could have taken as much.
func TestDivideKeepsToBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := drawParts(t, true)
		low, high, _, _ := sums(parts)
		total := low + rapid.Int64Range(0, 40).Draw(t, "total")
		Divide(total, parts)
		_, _, given, _ := sums(parts)
		if want := min(total, high); given != want {
			t.Fatalf("%d of %d, wanted %d: %+v", given, total, want, parts)
		}
		for _, p := range parts {
			if p.Given < p.Low || p.Given > p.High {
				t.Fatalf("out of bounds: %+v", p)
			}
			for _, q := range parts {
				if p.Weight > q.Weight && p.Given < p.High && q.Given > q.Low && q.Given > p.Given+1 {
					t.Fatalf("%+v was given less than %+v", p, q)
				}
			}
		}
	})
}

func TestDivideOfLargeNumbers(t *testing.T) {
	parts := make([]Part, 1000)
	for i := range parts {
		parts[i] = Part{Weight: math.MaxInt32, High: math.MaxInt32, Rank: uint64(i)}
	}
	Divide(math.MaxInt32, parts)
	if _, _, given, _ := sums(parts); given != math.MaxInt32 {
		t.Fatalf("%d of %d", given, math.MaxInt32)
	}
}

// TestLikeV1KeepsToBounds: nobody is given more than it can run or may have, but for what it
// is to have at least, and all is given that somebody with a weight can take.
func TestLikeV1KeepsToBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claims := make([]*Claim, rapid.IntRange(1, 5).Draw(t, "claims"))
		n := func(name string) int64 { return rapid.Int64Range(0, 6).Draw(t, name) }
		for i := range claims {
			c := &Claim{Hash: Hash(string(rune('a'+i)), "x"), Min: n("min"), Weight: n("weight"), Current: n("current"), Capacity: n("capacity")}
			c.Max = c.Min + n("above")
			claims[i] = c
		}
		total := rapid.Int64Range(0, 30).Draw(t, "total")
		LikeV1(total, claims, rapid.Bool().Draw(t, "rebalance"))
		rest := total
		for _, c := range claims {
			if c.Given < 0 || c.Given > min(c.Max, c.Capacity) {
				t.Fatalf("given %+v", *c)
			}
			rest -= c.Given
		}
		for _, c := range claims {
			if rest < 0 || rest > 0 && c.Weight > 0 && c.Given < min(c.Max, c.Capacity) {
				t.Fatalf("%d of %d are left, and given %+v", rest, total, *c)
			}
		}
	})
}
