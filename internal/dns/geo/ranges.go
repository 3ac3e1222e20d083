package geo

import (
	"errors"
	"net/netip"
)

// ranges covers all addresses of a family: from each of starts on, up to the
// next, addresses have the location beside it. The first start is 0, and
// neighbours differ in their location.
type ranges struct {
	starts    []uint128
	locations []Location
	// end is the first number that nothing is known of yet, 0 once all are, and at
	// the beginning.
	end uint128
}

var errOrder = errors.New("networks overlap or are not in order")

// add says where the size numbers from start on are; what was left out before
// start is at 0.
func (r *ranges) add(start, size uint128, l Location) error {
	if start.less(r.end) || len(r.starts) > 0 && r.end.zero() {
		return errOrder
	}
	if r.end != start {
		r.put(r.end, 0)
	}
	r.put(start, l)
	r.end = start.add(size)
	return nil
}

func (r *ranges) put(start uint128, l Location) {
	if n := len(r.locations); n > 0 && r.locations[n-1] == l {
		return
	}
	r.starts = append(r.starts, start)
	r.locations = append(r.locations, l)
}

// close says that the rest, up to the family's last address, is at 0.
func (r *ranges) close(bits int) {
	if len(r.starts) == 0 || !r.end.zero() && r.end != power(bits) {
		r.put(r.end, 0)
	}
}

// power is 1<<n, and 0 for 128.
func power(n int) uint128 { return uint128{lo: 1}.shiftLeft(n) }

// builder makes the two families' ranges out of networks.
type builder struct {
	places  []Place
	numbers map[Place]Location
	special []netip.Prefix
	v4, v6  ranges
}

func newBuilder() *builder {
	return &builder{places: make([]Place, 1), numbers: map[Place]Location{{}: 0}, special: special()}
}

var errTooManyPlaces = errors.New("it has more than 65535 places")

// location numbers a place.
func (b *builder) location(p Place) (Location, error) {
	l, ok := b.numbers[p]
	if !ok {
		if len(b.places) > 65535 {
			return 0, errTooManyPlaces
		}
		l = Location(len(b.places))
		b.numbers[p] = l
		b.places = append(b.places, p)
	}
	return l, nil
}

// add says where a network is. Networks come in order. What is special in it is
// left out.
func (b *builder) add(p netip.Prefix, l Location) error {
	for _, s := range b.special {
		if !s.Overlaps(p) {
			continue
		}
		if s.Bits() <= p.Bits() {
			return nil
		}
		low, high := halves(p)
		if err := b.add(low, l); err != nil {
			return err
		}
		return b.add(high, l)
	}
	family := &b.v6
	if p.Addr().Is4() {
		family = &b.v4
	}
	return family.add(number(p.Addr()), power(p.Addr().BitLen()-p.Bits()), l)
}

func halves(p netip.Prefix) (low, high netip.Prefix) {
	n := p.Bits()
	b := p.Addr().AsSlice()
	b[n/8] |= 0x80 >> (n % 8)
	a, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(p.Addr(), n+1), netip.PrefixFrom(a, n+1)
}

// special is the networks that are nowhere in particular, whatever a database
// says: IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), and
// of IPv6 all that is not global unicast (RFC 4291, section 2.4).
func special() []netip.Prefix {
	var p []netip.Prefix
	for _, s := range [...]string{
		"0.0.0.0/8",       // this network
		"10.0.0.0/8",      // private
		"100.64.0.0/10",   // carrier-grade NAT, RFC 6598
		"127.0.0.0/8",     // loopback
		"169.254.0.0/16",  // link-local
		"172.16.0.0/12",   // private
		"192.0.0.0/24",    // protocol assignments
		"192.0.2.0/24",    // documentation
		"192.168.0.0/16",  // private
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"224.0.0.0/3",     // multicast and reserved
		"::/3",            // loopback, IPv4-mapped, NAT64, …
		"2001::/23",       // Teredo, benchmarks, ORCHID, …
		"2001:db8::/32",   // documentation
		"2002::/16",       // 6to4
		"3fff::/20",       // documentation, RFC 9637
		"4000::/2",        // not assigned
		"8000::/1",        // not assigned, unique local, link-local, multicast
	} {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}
