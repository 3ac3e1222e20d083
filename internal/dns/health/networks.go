package health

import (
	"fmt"
	"net/netip"
	"slices"
)

// Networks says which addresses may be probed. Whoever may write a GlobalRoute may name
// any address: the hub, which stands where they do not, must not ask it for them.
type Networks struct {
	// Allowed are those that the hub's administrator lets be probed, whatever they are. An
	// address of the hub's own has to be listed itself.
	Allowed []netip.Prefix
	// Own are the hub's own addresses; nil: none are known.
	Own func() []netip.Addr
}

// never are networks in which nobody outside can be meant: this machine, its link, many at
// once, and where clouds tell a machine its secrets.
func never() []netip.Prefix {
	return prefixes("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "224.0.0.0/4", "240.0.0.0/4",
		"::/127", "fe80::/10", "ff00::/8", "fd00:ec2::/32", "fd20:ce::254/128")
}

// private are networks that are somebody's own: who owns a zone may let those be probed
// that are theirs.
func private() []netip.Prefix {
	return prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "fc00::/7", "fec0::/10")
}

func prefixes(all ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(all))
	for i, s := range all {
		parsed[i] = netip.MustParsePrefix(s)
	}
	return parsed
}

// Refuse says why an address may not be probed; empty: it may. within are the private
// networks that the owner of the zone lets be probed.
func (n *Networks) Refuse(a netip.Addr, within []netip.Prefix) string {
	a = inner(a)
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	switch listed := slices.ContainsFunc(n.Allowed, in); {
	case !a.IsValid():
		return "is no address"
	case n.Own != nil && slices.ContainsFunc(n.Own(), func(own netip.Addr) bool { return inner(own) == a }):
		if slices.ContainsFunc(n.Allowed, func(p netip.Prefix) bool { return p.IsSingleIP() && in(p) }) {
			return ""
		}
		return "is the hub's own"
	case listed:
		return ""
	case slices.ContainsFunc(never(), in):
		return "is not one that anybody is reached at from outside"
	case slices.ContainsFunc(private(), in) && !slices.ContainsFunc(within, in):
		return "is private, and neither the DNSZone's probeNetworks nor hanse server --probe-networks has it"
	}
	return ""
}

// inner is the address that one leads to: an IPv4 address may be written within an IPv6 one
// (mapped, NAT64, 6to4, or IPv4-compatible as nobody writes it any more).
func inner(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a), netip.MustParsePrefix("::/96").Contains(a) && a != netip.IPv6Unspecified() && a != netip.IPv6Loopback():
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

// ParseNetworks reads networks or addresses.
func ParseNetworks(all []string) ([]netip.Prefix, error) {
	var parsed []netip.Prefix
	for _, s := range all {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(s); err != nil {
				return nil, fmt.Errorf("%q is not a network. Try: 10.20.0.0/16", s)
			}
			p = netip.PrefixFrom(a.WithZone(""), a.BitLen())
		}
		parsed = append(parsed, p.Masked())
	}
	return parsed, nil
}
