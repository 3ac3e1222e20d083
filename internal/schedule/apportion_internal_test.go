package schedule

import (
	"testing"

	"pgregory.net/rapid"
)

func drawParts(t *rapid.T, bounded bool) []part {
	parts := make([]part, rapid.IntRange(1, 6).Draw(t, "parts"))
	for i := range parts {
		p := &parts[i]
		p.weight = rapid.Int64Range(0, 6).Draw(t, "weight")
		p.rank = rapid.Uint64Range(0, 3).Draw(t, "rank")<<8 + uint64(i)
		p.high = unlimited
		if bounded {
			p.low = rapid.Int64Range(0, 4).Draw(t, "low")
			if rapid.Bool().Draw(t, "has a maximum") {
				p.high = p.low + rapid.Int64Range(0, 5).Draw(t, "above")
			}
		}
	}
	return parts
}

func sums(parts []part) (low, high, given, weights int64) {
	for i := range parts {
		p := &parts[i]
		low, given, weights = low+p.low, given+p.given, weights+p.weight
		if p.weight > 0 || p.low == p.high {
			high += p.high
		} else {
			high += p.low
		}
	}
	return low, high, given, weights
}

// TestApportionKeepsToTheQuota: without bounds nobody is a whole one away.
func TestApportionKeepsToTheQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := drawParts(t, false)
		total := rapid.Int64Range(0, 50).Draw(t, "total")
		apportion(total, parts)
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
			if off := p.given*weights - total*p.weight; off <= -weights || off >= weights {
				t.Fatalf("a weight of %d of %d was given %d of %d", p.weight, weights, p.given, total)
			}
		}
	})
}

// TestApportionKeepsToBounds, sums to the total as far as they let it, and gives
// nobody more for a lower weight who could have taken as much.
func TestApportionKeepsToBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := drawParts(t, true)
		low, high, _, _ := sums(parts)
		total := low + rapid.Int64Range(0, 40).Draw(t, "total")
		apportion(total, parts)
		_, _, given, _ := sums(parts)
		if want := min(total, high); given != want {
			t.Fatalf("%d of %d, wanted %d: %+v", given, total, want, parts)
		}
		for _, p := range parts {
			if p.given < p.low || p.given > p.high {
				t.Fatalf("out of bounds: %+v", p)
			}
			for _, q := range parts {
				if p.weight > q.weight && p.given < p.high && q.given > q.low && q.given > p.given+1 {
					t.Fatalf("%+v was given less than %+v", p, q)
				}
			}
		}
	})
}

func TestApportionOfLargeNumbers(t *testing.T) {
	parts := make([]part, 1000)
	for i := range parts {
		parts[i] = part{weight: unlimited, high: unlimited, rank: uint64(i)}
	}
	apportion(unlimited, parts)
	if _, _, given, _ := sums(parts); given != unlimited {
		t.Fatalf("%d of %d", given, unlimited)
	}
}
