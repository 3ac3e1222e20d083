package geo

import (
	"math/bits"
	"net/netip"
	"slices"
	"sort"
)

// DB tells where an address is. It does not change, and any number of
// goroutines may use it.
type DB struct {
	places []Place
	share  []float64
	about  string
	v4     table4
	v6     table6
}

// newDB takes over what the builder has.
func newDB(b *builder, about string) *DB {
	b.v4.close(32)
	b.v6.close(128)
	return &DB{
		places: b.places,
		share:  share(&b.v4, len(b.places)),
		about:  about,
		v4:     newTable4(&b.v4),
		v6:     newTable6(&b.v6),
	}
}

// share is each location's part of the IPv4 addresses whose location is known.
func share(r *ranges, places int) []float64 {
	s := make([]float64, places)
	known := 0.0
	for i, l := range r.locations {
		if l == 0 {
			continue
		}
		end := power(32)
		if i+1 < len(r.starts) {
			end = r.starts[i+1]
		}
		size := float64(end.lo - r.starts[i].lo)
		s[l] += size
		known += size
	}
	for l := range s {
		if known > 0 {
			s[l] /= known
		}
	}
	return s
}

// Lookup returns where a is, and the length of the longest prefix around a in
// which all addresses have that location: the scope of an answer that depends on
// nothing else (RFC 7871, section 7.2.1). An address that is private, reserved
// or not in the database is at 0. An IPv4-mapped IPv6 address is where its IPv4
// address is, and its length counts the 96 bits before.
func (d *DB) Lookup(a netip.Addr) (Location, int) {
	switch {
	case a.Is4():
		b := a.As4()
		return d.v4.lookup(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
	case a.Is4In6():
		l, n := d.Lookup(a.Unmap())
		return l, 96 + n
	case a.IsValid():
		return d.v6.lookup(number(a))
	}
	return 0, 0
}

// Places returns the places of the database; the index is the Location, and [0]
// the zero Place. Nobody may change it.
func (d *DB) Places() []Place { return d.places }

// Share returns, by Location, the part of the IPv4 addresses with a known
// location, from 0 to 1. [0] is 0. Nobody may change it.
func (d *DB) Share() []float64 { return d.share }

// About says in a line where the data is from, of when, and under what licence.
func (d *DB) About() string { return d.about }

// table4 finds the location of an IPv4 address in 10 to 20 ns.
type table4 struct {
	blocks    []block4
	starts    []uint32
	locations []Location
}

// block4 is what there is in 1<<block4Bits addresses: so many ranges, from the
// number first on, of which the first and the last may extend beyond the block;
// or, if ranges is 0, one location with one prefix, and first is the location
// and, in the lowest 8 bits, the prefix's length. It fits a machine word.
type block4 struct {
	first  uint32
	ranges uint16
}

const block4Bits = 14

func newTable4(r *ranges) table4 {
	t := table4{
		blocks:    make([]block4, 1<<(32-block4Bits)),
		starts:    make([]uint32, len(r.starts)),
		locations: slices.Clone(r.locations),
	}
	for i, s := range r.starts {
		t.starts[i] = uint32(s.lo)
	}
	at := 0
	for b := range t.blocks {
		first := at
		last := uint32(b)<<block4Bits | (1<<block4Bits - 1)
		for at+1 < len(t.starts) && t.starts[at+1] <= last {
			at++
		}
		if first == at {
			t.blocks[b].first = uint32(t.locations[at])<<8 | t.length(uint32(at), last)
		} else {
			t.blocks[b] = block4{uint32(first), uint16(at - first + 1)}
		}
		if at+1 < len(t.starts) && t.starts[at+1] == last+1 {
			at++
		}
	}
	return t
}

func (t *table4) lookup(x uint32) (Location, int) {
	b := &t.blocks[x>>block4Bits]
	if b.ranges == 0 {
		return Location(b.first >> 8), int(b.first & 0xff)
	}
	at := b.first
	// A branch within the loop would be guessed wrong half of the time, so half is
	// added by arithmetic: the difference is negative if the start is not behind x.
	for n := uint32(b.ranges); n > 1; {
		half := n / 2
		difference := int64(t.starts[at+half]) - int64(x) - 1
		at += half & uint32(difference>>63)
		n -= half
	}
	return t.locations[at], int(t.length(at, x))
}

// length is that of the longest prefix around x within the range at. A block
// around x may be as large as it can be without reaching the number before the
// range or the one behind it. They get a bit above those of an address, so that
// what is before the first address and behind the last differs from x there.
func (t *table4) length(at, x uint32) uint32 {
	before, behind := uint64(1)<<32|uint64(t.starts[at]), uint64(2)<<32
	if int(at)+1 < len(t.starts) {
		behind = uint64(1)<<32 | uint64(t.starts[at+1])
	}
	before--
	address := uint64(1)<<32 | uint64(x)
	size := min(bits.Len64(address^before), bits.Len64(address^behind)) - 1
	return uint32(32 - min(size, 32))
}

// table6 is table4 for IPv6.
type table6 struct {
	first     []uint32
	starts    []uint128
	locations []Location
}

// block6 is how many bits of an address's upper half are within a block.
const block6 = 64 - 20

func newTable6(r *ranges) table6 {
	t := table6{
		first:     make([]uint32, 1<<(64-block6)+1),
		starts:    slices.Clone(r.starts),
		locations: slices.Clone(r.locations),
	}
	at := uint32(0)
	for b := range len(t.first) - 1 {
		for int(at)+1 < len(t.starts) && !(uint128{hi: uint64(b) << block6}).less(t.starts[at+1]) {
			at++
		}
		t.first[b] = at
	}
	t.first[len(t.first)-1] = uint32(len(t.starts) - 1)
	return t
}

func (t *table6) lookup(x uint128) (Location, int) {
	low, high := int(t.first[x.hi>>block6]), int(t.first[x.hi>>block6+1])
	low += sort.Search(high-low, func(i int) bool { return x.less(t.starts[low+i+1]) })
	size := 128
	if low > 0 {
		size = min(size, differ(x, t.starts[low].sub(uint128{lo: 1}))-1)
	}
	if low+1 < len(t.starts) {
		size = min(size, differ(x, t.starts[low+1])-1)
	}
	return t.locations[low], 128 - size
}
