// Package ratelimit limits how often a name server sends the same answer to the
// same network, so that it is of no use to those who forge the address of a
// victim. What BIND and Knot call response rate limiting: some of the limited
// answers go out truncated, so that a true client among them comes by TCP.
package ratelimit

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
)

// Verdict is what to do with an answer.
type Verdict uint8

// Send it; or send it without records and with TC set; or nothing.
const (
	Send Verdict = iota
	Truncate
	Drop
)

// Config says how much is too much.
type Config struct {
	// PerSecond is how many answers of one class a network gets in a second, and
	// how many at once after it was idle; 0: no limit.
	PerSecond int
	// Slip is which of the limited answers are truncated instead of dropped: 0
	// none, 1 all, 2 every second, and so on.
	Slip int
	// V4Prefix and V6Prefix are how many bits of an address make a network; 0: 24
	// and 56.
	V4Prefix, V6Prefix int
	// Exempt networks are never limited.
	Exempt []netip.Prefix
	// Start is a time before all that Check is told, best one that New is called at: as long as Check is told times of a
	// monotonic clock, nobody notices when the other is set. None: the beginning of 1970.
	Start time.Time
	// Size is the number of buckets, of 16 bytes each; rounded up to a power of
	// two, 0: 65,536. What meets in a bucket shares its rate.
	Size int
}

const (
	defaultV4   = 24
	defaultV6   = 56
	defaultSize = 1 << 16 // fits a processor's cache
)

// Limiter counts. All may call Check at the same time; it neither blocks nor
// allocates.
type Limiter struct {
	interval time.Duration // between answers at the rate; 0: no limit
	slip     uint32
	v4, v6   mask
	exempt   []netip.Prefix
	seed     [2]uint64 // keeps others from choosing who shares a bucket
	start    time.Time
	buckets  []bucket // a power of two
}

// bucket is a token bucket that holds a second's worth, written as the time at
// which it is full again: one word, so that changing it is one atomic operation.
type bucket struct {
	full    atomic.Int64  // nanoseconds since Limiter.start; 0: never used
	limited atomic.Uint32 // how many answers were; for Slip
}

// mask selects the network of an address, as two words.
type mask struct{ high, low uint64 }

// New returns a limiter, with its memory allocated once and for all.
func New(c Config) *Limiter {
	size := defaultSize
	if c.Size > 0 {
		size = 1 << bits.Len(uint(c.Size-1))
	}
	l := &Limiter{
		slip: uint32(max(c.Slip, 0)),
		// An IPv4 address is the last 32 bits of its mapped form.
		v4:     newMask(96 + orDefault(c.V4Prefix, defaultV4, 32)),
		v6:     newMask(orDefault(c.V6Prefix, defaultV6, 128)),
		exempt: c.Exempt,
		seed:   [2]uint64{rand.Uint64(), rand.Uint64()},
		start:  c.Start,
	}
	if l.start.IsZero() {
		l.start = time.Unix(0, 0)
	}
	if c.PerSecond > 0 {
		l.interval = max(time.Second/time.Duration(c.PerSecond), 1)
		l.buckets = make([]bucket, size)
	}
	return l
}

// Check counts one answer to an address and says what to do with it. Class is a
// hash of what is answered, so that a network's different questions do not limit
// each other.
func (l *Limiter) Check(addr netip.Addr, class uint64, now time.Time) Verdict {
	if l.interval == 0 || l.isExempt(addr) {
		return Send
	}
	b := &l.buckets[l.hash(addr, class)&uint64(len(l.buckets)-1)]
	if b.take(int64(now.Sub(l.start)), int64(l.interval)) {
		return Send
	}
	if l.slip == 0 || b.limited.Add(1)%l.slip != 0 {
		return Drop
	}
	return Truncate
}

// take takes a token, if there is one, at a time in nanoseconds.
func (b *bucket) take(now, interval int64) bool {
	for {
		old := b.full.Load()
		// A bucket misses at most a second's worth. One that seems to miss more
		// than twice that was filled before the clock went back: it counts as full.
		// Less than that is callers whose clock readings overtake each other.
		full := max(old, now)
		if old == 0 || uint64(full)-uint64(now) > uint64(2*time.Second) {
			full = now
		}
		if full-now > int64(time.Second)-interval {
			return false
		}
		if b.full.CompareAndSwap(old, full+interval) {
			return true
		}
	}
}

func (l *Limiter) isExempt(addr netip.Addr) bool {
	if len(l.exempt) == 0 {
		return false
	}
	addr = addr.Unmap()
	for _, p := range l.exempt {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// hash is of the network and the class; two rounds of a folded multiplication.
func (l *Limiter) hash(addr netip.Addr, class uint64) uint64 {
	m := l.v6
	if addr.Is4() || addr.Is4In6() {
		m = l.v4
	}
	ip := addr.As16()
	high := binary.BigEndian.Uint64(ip[:8]) & m.high
	low := binary.BigEndian.Uint64(ip[8:]) & m.low
	return fold(fold(high^l.seed[0], low^l.seed[1])^l.seed[1], class^l.seed[0])
}

func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

func newMask(ones int) mask {
	if ones <= 64 {
		return mask{high: ^uint64(0) << (64 - ones)}
	}
	return mask{high: ^uint64(0), low: ^uint64(0) << (128 - ones)}
}

func orDefault(n, otherwise, most int) int {
	if n <= 0 {
		return otherwise
	}
	return min(n, most)
}
