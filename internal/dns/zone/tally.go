package zone

import "sync/atomic"

// Rcodes is how many rcodes a Tally has: those of four bits, and 16, which is BADVERS.
const Rcodes = 17

// shards is in how many parts a Tally is kept, so that workers do not wait for each other's processor's cache. There
// are at most 4 for UDP, and those for TCP.
const shards = 8

// Tally counts responses by rcode. Any number of goroutines may use it, and it does not allocate. The zero Tally
// counts from zero.
type Tally struct {
	shards [shards]struct {
		rcodes [Rcodes]atomic.Uint64
		_      [56]byte // to a multiple of a cache line
	}
}

// Add counts one; worker is any number, of which those that count at the same time should have different ones.
func (t *Tally) Add(worker uint32, rcode int) {
	t.shards[worker%shards].rcodes[uint(rcode)%Rcodes].Add(1)
}

// Sum is how many there were, by rcode.
func (t *Tally) Sum() (sum [Rcodes]uint64) {
	for i := range t.shards {
		for rcode := range sum {
			sum[rcode] += t.shards[i].rcodes[rcode].Load()
		}
	}
	return sum
}

// Responses is how many responses were counted for each zone, by its name with a final dot, since it was first in a
// snapshot from which this one was built.
func (s *Snapshot) Responses() map[string][Rcodes]uint64 {
	all := make(map[string][Rcodes]uint64, len(s.domains))
	for _, d := range s.domains {
		all[canonical(d.source.Name)] = d.tally.Sum()
	}
	return all
}
