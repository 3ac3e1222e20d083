// Package zone compiles zones and steered hosts into immutable snapshots, from
// which a name server answers without allocating.
package zone

import (
	"strings"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// Zone is what a zone consists of. Build keeps parts of it: nobody changes them
// afterwards.
type Zone struct {
	// Name, as example.org. with a final dot.
	Name string
	// SOA with its Serial. Its Minttl is how long resolvers remember that something
	// does not exist (RFC 2308, section 5), if its TTL is not less.
	SOA dns.SOA
	// NS of the zone itself.
	NS []dns.RR
	// Records are further ones, of any name in the zone. NS below the zone's own name
	// are delegations. A, AAAA and CNAME at the name of a Host lose to it; a CNAME
	// at the zone's own name cannot be, and is left out, as is what is outside of the
	// zone or in another of the zones.
	Records []dns.RR
	// Hosts whose answers depend on who asks. Of two with one name the first wins.
	Hosts []steer.Host
}

// Snapshot is all zones at one time. It does not change, and any number of
// goroutines may ask it.
type Snapshot struct {
	db      *geo.DB
	domains map[string]*domain
	nodes   map[string]*node // of all zones
	depth   int              // most labels of a node
	memo    *memo
}

// domain is a zone.
type domain struct {
	name   string // as wireName
	source *Zone
	above  *domain // the zone of ours that this one is in
	apex   *node
	soa    *set // as it is in negative answers
	class  uint64
	cuts   bool // there are delegations
	tally  *Tally
}

// Build makes a snapshot of zones, where addresses are located by db (nil: not at
// all, so that everybody is at the zero Place). What previous, if any, has
// compiled already is not compiled again: it costs some microseconds a Host, and
// some hundred for each set of rules, clusters and states that is new. It neither
// fails nor blocks; what cannot be served is left out.
func Build(previous *Snapshot, db *geo.DB, zones []Zone) *Snapshot {
	b := newBuilder(previous, db, zones)
	for i := range zones {
		b.addDomain(&zones[i])
	}
	for _, d := range b.domains {
		b.addAbove(d)
	}
	for _, d := range b.domains {
		b.addRecords(d)
		b.addHosts(d)
	}
	b.link()
	b.memo.previous = nil
	return b.Snapshot
}

// Find returns the name of the zone that a name is in, with a final dot.
func (s *Snapshot) Find(name string) (string, bool) {
	wire, ok := wireName(name)
	for ok {
		if d := s.domains[wire]; d != nil {
			return canonical(d.source.Name), true
		}
		wire, ok = parent(wire)
	}
	return "", false
}

// Records is the zone as a transfer shows it: the SOA, which is not repeated at the
// end, then the rest; nil if there is no such zone. A Host has the addresses that
// somebody at the zero Place may get, or their CNAME.
func (s *Snapshot) Records(zone string) []dns.RR {
	wire, ok := wireName(zone)
	d := s.domains[wire]
	if !ok || d == nil {
		return nil
	}
	soa := d.source.SOA
	fixHeader(&soa, canonical(d.source.Name))
	soa.Hdr.Rrtype = dns.TypeSOA
	records := []dns.RR{&soa}
	for _, rr := range s.static(d) {
		rr = dns.Copy(rr)
		fixHeader(rr, strings.ToLower(rr.Header().Name))
		records = append(records, rr)
	}
	for i := range d.source.Hosts {
		h := &d.source.Hosts[i]
		if n := s.nodeOf(h.Name); n != nil && n.zone == d && n.owner == h {
			records = append(records, shown(h, n.host.alias)...)
		}
	}
	return records
}

func fixHeader(rr dns.RR, name string) {
	rr.Header().Name = name
	rr.Header().Class = dns.ClassINET
}

func (s *Snapshot) nodeOf(name string) *node {
	wire, _ := wireName(name)
	return s.nodes[wire]
}

// shown are a Host's records for somebody at the zero Place.
func shown(h *steer.Host, alias bool) []dns.RR {
	clusters := everyone(h)
	head := func(rtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: h.Name, Rrtype: rtype, Class: dns.ClassINET, Ttl: h.TTL}
	}
	if alias && len(clusters) == 1 && h.Clusters[clusters[0]].Hostname != "" {
		return []dns.RR{&dns.CNAME{Hdr: head(dns.TypeCNAME), Target: h.Clusters[clusters[0]].Hostname}}
	}
	var records []dns.RR
	for _, a := range addresses(h, clusters, dns.TypeA) {
		records = append(records, &dns.A{Hdr: head(dns.TypeA), A: a.AsSlice()})
	}
	for _, a := range addresses(h, clusters, dns.TypeAAAA) {
		records = append(records, &dns.AAAA{Hdr: head(dns.TypeAAAA), AAAA: a.AsSlice()})
	}
	return records
}
