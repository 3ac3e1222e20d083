package route53

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// probe is the health check for a set with addresses: each is probed, and the set
// is healthy while one of them is. Empty: it cannot be probed.
func (e *expression) probe(values []string) string {
	var lines []string
	for _, v := range values {
		addr, err := netip.ParseAddr(v)
		if err != nil || !public(addr) {
			e.note("%s is not public: Route 53 cannot probe it", v)
			return ""
		}
		s := e.spec()
		if s.Address = v; s.Type != "TCP" {
			s.Host = e.host.Check.Host
		}
		lines = append(lines, s.String())
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// probeName is the health check for a CNAME. Route 53 then asks for the name that
// it resolves, so that HTTP for another host cannot be probed.
func (e *expression) probeName(target string) string {
	s := e.spec()
	s.Host = strings.TrimSuffix(target, ".")
	if s.Type != "TCP" && e.host.Check.Host != "" && e.host.Check.Host != s.Host {
		e.note("Route 53 cannot probe %s for another host name: not probed", s.Host)
		return ""
	}
	return s.String()
}

// spec is what all checks of the host have in common. Route 53 probes every 10 or
// 30 seconds, and takes from 1 to 10 failures.
func (e *expression) spec() spec {
	c := e.host.Check
	s := spec{Type: c.Protocol, Port: int32(c.Port), Interval: 10, Down: int32(min(max(c.Down, 1), 10))}
	if c.Interval >= 30 {
		s.Interval = 30
	}
	if s.Type != "TCP" {
		s.Path, s.Text = cmp.Or(c.Path, "/"), c.Text
	}
	return s
}

// public says whether Route 53's checkers can reach an address: special ones (RFC
// 6890) they refuse.
func public(a netip.Addr) bool {
	special := []string{"100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "2001:db8::/32"}
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(special, func(p string) bool { return netip.MustParsePrefix(p).Contains(a) })
}
