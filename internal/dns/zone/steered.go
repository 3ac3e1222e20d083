package zone

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"sort"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// steered is a Host's answers, compiled. Hosts that have the same answers share
// one.
type steered struct {
	// places has, for each Location, the index of its outcome; nil: all places have
	// the same, the only one.
	places   []uint16
	outcomes []outcome
	// alias says that some variant is a CNAME.
	alias bool
}

// outcome is what a place is answered: one of the variants, drawn by weight.
type outcome struct {
	variants []variant
	// until has, for each variant, the sum of the weights up to and with it; nil:
	// there are less than two.
	until []uint64
}

// variant is one Choice of clusters: addresses, of a kind nil if there are none, or
// else a CNAME.
type variant struct {
	a, aaaa, cname *set
}

// locate is the outcome for a client, and how many bits of its address it depends on.
func (h *steered) locate(db *geo.DB, client netip.Addr) (*outcome, int) {
	if h.places == nil {
		return &h.outcomes[0], 0
	}
	location, length := db.Lookup(client)
	return &h.outcomes[h.places[location]], length
}

// draw picks a variant by weight; nil if there is none.
func (o *outcome) draw(random uint32) *variant {
	if o.until == nil {
		if len(o.variants) == 0 {
			return nil
		}
		return &o.variants[0]
	}
	at := uint64(random) * o.until[len(o.until)-1] >> 32
	low, high := 0, len(o.until)-1
	for low < high {
		middle := (low + high) / 2
		if at < o.until[middle] {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return &o.variants[low]
}

// newSteered compiles a Host's answers. Without canAlias there are no CNAMEs: at
// the apex, or where other records are, none can be (RFC 1034, section 3.6.2).
func newSteered(h *steer.Host, t *table, canAlias bool) *steered {
	s := &steered{places: t.places, outcomes: make([]outcome, len(t.outcomes))}
	for i, choices := range t.outcomes {
		o := &s.outcomes[i]
		o.variants = make([]variant, len(choices))
		total := uint64(0)
		for k, c := range choices {
			o.variants[k] = newVariant(h, c.Clusters, canAlias)
			s.alias = s.alias || o.variants[k].cname != nil
			if total += uint64(c.Weight); len(choices) > 1 {
				o.until = append(o.until, total)
			}
		}
	}
	return s
}

func newVariant(h *steer.Host, clusters []int, canAlias bool) variant {
	if len(clusters) == 1 && canAlias {
		if name, ok := wireName(h.Clusters[clusters[0]].Hostname); ok && len(name) > 1 {
			cname := &set{rtype: dns.TypeCNAME}
			cname.add(name, h.TTL, "")
			return variant{cname: cname}
		}
	}
	return variant{
		a:    addressSet(h, clusters, dns.TypeA),
		aaaa: addressSet(h, clusters, dns.TypeAAAA),
	}
}

// addresses are those of some clusters together, each once.
func addresses(h *steer.Host, clusters []int, rtype uint16) []netip.Addr {
	var all []netip.Addr
	for _, c := range clusters {
		for _, a := range h.Clusters[c].Addresses {
			if a = a.Unmap().WithZone(""); a.Is4() == (rtype == dns.TypeA) {
				all = append(all, a)
			}
		}
	}
	if len(clusters) > 1 {
		slices.SortFunc(all, netip.Addr.Compare)
		all = slices.Compact(all)
	}
	return all
}

// addressSet does by hand, and some twenty times as fast, what newSet does: most of
// a Build is this.
func addressSet(h *steer.Host, clusters []int, rtype uint16) *set {
	all := addresses(h, clusters, rtype)
	if len(all) == 0 {
		return nil
	}
	all = all[:min(len(all), 2000)] // what a message can hold
	size := all[0].BitLen() / 8
	s := &set{rtype: rtype, wire: make([]byte, 0, len(all)*(rdata+size)), starts: make([]uint16, 0, len(all))}
	for _, a := range all {
		s.starts = append(s.starts, uint16(len(s.wire)))
		s.wire = appendHeader(s.wire, rtype, h.TTL)
		s.wire[len(s.wire)-1] = byte(size)
		if a.Is4() {
			b := a.As4()
			s.wire = append(s.wire, b[:]...)
		} else {
			b := a.As16()
			s.wire = append(s.wire, b[:]...)
		}
	}
	return s
}

// table is what Choose says for every place, the part of compiling that takes
// long. Hosts with the same clusters, rules and states share it.
type table struct {
	places   []uint16 // as in steered
	outcomes [][]steer.Choice
}

func newTable(h *steer.Host, places []geo.Place) *table {
	if h.Policy != steer.Geography && h.Policy != steer.Latency && h.Serving == nil {
		places = places[:1] // the others do not ask where somebody is
	}
	t := &table{places: make([]uint16, len(places))}
	numbers := map[string]uint16{}
	var key []byte
	for i, p := range places {
		choices := steer.Choose(h, p)
		key = key[:0]
		for _, c := range choices {
			key = binary.BigEndian.AppendUint32(key, c.Weight)
			key = binary.AppendUvarint(key, uint64(len(c.Clusters)))
			for _, cluster := range c.Clusters {
				key = binary.AppendUvarint(key, uint64(cluster))
			}
		}
		n, ok := numbers[string(key)]
		if !ok {
			n = uint16(len(t.outcomes))
			numbers[string(key)] = n
			t.outcomes = append(t.outcomes, choices)
		}
		t.places[i] = n
	}
	if len(t.outcomes) == 1 {
		t.places = nil
	}
	return t
}

// everyone is the clusters that somebody at the zero Place may be answered with,
// each once.
func everyone(h *steer.Host) []int {
	var all []int
	for _, c := range steer.Choose(h, geo.Place{}) {
		all = append(all, c.Clusters...)
	}
	sort.Ints(all)
	return slices.Compact(all)
}

// mix spreads a number over all bits, so that classes differ.
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^0x9E3779B97F4A7C15, b^0xD1B54A32D192ED03)
	return high ^ low
}
