package zone

import (
	"hash/fnv"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// node is a name that exists: because there is something, or because there is
// something below (an empty non-terminal, RFC 8020).
type node struct {
	name  string // as wireName
	zone  *domain
	up    *node // the name without its first label; nil at an apex
	sets  []*set
	host  *steered
	owner *steer.Host // whose host it is
	wild  *node       // *.name
	cut   *node       // the delegation that this is at or below
	above *node       // at an apex: what the zone above has here
	class uint64
}

// set finds the RRset of a type, nil if there is none.
func (n *node) set(rtype uint16) *set {
	for _, s := range n.sets {
		if s.rtype == rtype {
			return s
		}
	}
	return nil
}

// builder is a Snapshot that is not finished.
type builder struct {
	*Snapshot
	before map[string]*domain // of the previous snapshot
	slab   []node
}

func newBuilder(previous *Snapshot, db *geo.DB, zones []Zone) *builder {
	size := 0
	for i := range zones {
		size += 2 + len(zones[i].Hosts) + len(zones[i].Records)
	}
	s := &Snapshot{db: db, domains: make(map[string]*domain, len(zones)), nodes: make(map[string]*node, size)}
	if previous != nil {
		s.memo = previous.memo
	}
	s.memo = newMemo(s.memo, db)
	b := &builder{Snapshot: s, slab: make([]node, 0, size)}
	if previous != nil {
		b.before = previous.domains
	}
	return b
}

func (b *builder) newNode(name string, d *domain, up *node) *node {
	if len(b.slab) == cap(b.slab) {
		b.slab = make([]node, 0, 256)
	}
	b.slab = append(b.slab, node{name: name, zone: d, up: up, class: class(name)})
	return &b.slab[len(b.slab)-1]
}

// class is what answers about a name have in common, for limiting their rate.
func class(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum64()
}

// addDomain puts a zone and its apex into the tree. Of two zones with one name the
// first wins.
func (b *builder) addDomain(z *Zone) {
	name, ok := wireName(z.Name)
	if !ok || b.domains[name] != nil {
		return
	}
	d := &domain{name: name, source: z, class: class(name), tally: &Tally{}}
	if before := b.before[name]; before != nil {
		d.tally = before.tally
	}
	soa := z.SOA
	soa.Hdr.Rrtype = dns.TypeSOA
	d.apex = b.newNode(name, d, nil)
	d.apex.sets = appendSet(d.apex.sets, newSet([]dns.RR{&soa}, name))
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	d.soa = newSet([]dns.RR{&soa}, name)
	if d.soa == nil { // names in it that are none
		return
	}
	b.domains[name] = d
	b.nodes[name] = d.apex
	b.depth = max(b.depth, labels(name))
}

func appendSet(sets []*set, s *set) []*set {
	if s == nil {
		return sets
	}
	return append(sets, s)
}

// addAbove finds the zone that a zone is in. The names between them exist, whether
// or not the zone above knows of a delegation: otherwise resolvers would take its
// denial for one of the whole zone below (RFC 8020).
func (b *builder) addAbove(d *domain) {
	name, ok := parent(d.name)
	if !ok {
		return
	}
	if d.above = b.domainOf(name); d.above == nil {
		return
	}
	d.apex.above = b.newNode(d.name, d.above, b.node(name, d.above))
}

// domainOf is the deepest zone that a name is in.
func (b *builder) domainOf(name string) *domain {
	for ok := true; ok; name, ok = parent(name) {
		if d := b.domains[name]; d != nil {
			return d
		}
	}
	return nil
}

// node finds a name that is in d and in no zone below, or adds it and the names
// that it is below.
func (b *builder) node(name string, d *domain) *node {
	if n := b.nodes[name]; n != nil {
		return n
	}
	above, _ := parent(name)
	up := b.node(above, d)
	n := b.newNode(name, d, up)
	b.nodes[name] = n
	b.depth = max(b.depth, labels(name))
	if name[:2] == wildcard {
		up.wild = n
	}
	return n
}

// place is the node where a zone's record belongs; nil if it is not in the zone, or
// in one below that is ours. The delegation of that belongs to the zone above.
func (b *builder) place(d *domain, name string, rtype uint16) *node {
	if !within(name, d.name) {
		return nil
	}
	switch at := b.domainOf(name); {
	case at == d:
		return b.node(name, d)
	case at.name == name && at.above == d && (rtype == dns.TypeNS || rtype == dns.TypeDS):
		return at.apex.above
	}
	return nil
}

// static is a zone's records but for the SOA and those that cannot be served.
func (s *Snapshot) static(d *domain) []dns.RR {
	var records []dns.RR
	for _, list := range [][]dns.RR{d.source.NS, d.source.Records} {
		for _, rr := range list {
			name, ok := wireName(rr.Header().Name)
			if ok && within(name, d.name) && s.serves(d, name, rr.Header().Rrtype) {
				records = append(records, rr)
			}
		}
	}
	return records
}

func (s *Snapshot) serves(d *domain, name string, rtype uint16) bool {
	if rtype == dns.TypeSOA || rtype == dns.TypeCNAME && name == d.name {
		return false
	}
	n := s.nodes[name]
	if n != nil && n.above != nil && n.zone.above == d {
		n = n.above
	}
	return n != nil && n.zone == d && n.set(rtype) != nil
}

func (b *builder) addRecords(d *domain) {
	type key struct {
		at    *node
		rtype uint16
	}
	groups := map[key][]dns.RR{}
	for _, list := range [][]dns.RR{d.source.NS, d.source.Records} {
		for _, rr := range list {
			rtype := rr.Header().Rrtype
			name, ok := wireName(rr.Header().Name)
			if !ok || rtype == dns.TypeSOA || rtype == dns.TypeCNAME && name == d.name {
				continue
			}
			if n := b.place(d, name, rtype); n != nil {
				groups[key{n, rtype}] = append(groups[key{n, rtype}], rr)
			}
		}
	}
	for k, records := range groups {
		k.at.sets = appendSet(k.at.sets, newSet(records, d.name))
		d.cuts = d.cuts || k.rtype == dns.TypeNS && k.at != d.apex
	}
}

func (b *builder) addHosts(d *domain) {
	for i := range d.source.Hosts {
		h := &d.source.Hosts[i]
		name, ok := wireName(h.Name)
		if !ok {
			continue
		}
		n := b.place(d, name, dns.TypeA)
		if n == nil || n.host != nil {
			continue
		}
		n.dropAddresses()
		n.owner = h
		n.host = b.memo.compile(h, len(n.sets) == 0)
	}
}

// dropAddresses makes way for a Host: static addresses would contradict it, and a
// CNAME cannot stand beside it.
func (n *node) dropAddresses() {
	kept := n.sets[:0]
	for _, s := range n.sets {
		switch s.rtype {
		case dns.TypeA, dns.TypeAAAA, dns.TypeCNAME:
		default:
			kept = append(kept, s)
		}
	}
	n.sets = kept
}

// link finds delegations and glue, once all names are there.
func (b *builder) link() {
	for _, n := range b.nodes {
		n.link(b.Snapshot)
		if n.above != nil {
			n.above.link(b.Snapshot)
		}
	}
}

func (n *node) link(s *Snapshot) {
	if n.zone.cuts {
		for at := n; at != nil && at != n.zone.apex; at = at.up {
			if at.set(dns.TypeNS) != nil && at.name[:2] != wildcard {
				n.cut = at // the highest counts
			}
		}
	}
	for _, set := range n.sets {
		skip := 0 // what comes before the name in the data
		switch set.rtype {
		case dns.TypeNS:
		case dns.TypeMX:
			skip = 2
		case dns.TypeSRV:
			skip = 6
		default:
			continue
		}
		for i := range set.starts {
			target := s.nodes[set.nameAt(int(set.starts[i])+rdata+skip, n.zone.name)]
			if target != nil && target.zone == n.zone && target.host == nil {
				set.glue = append(set.glue, target)
			}
		}
	}
}

// nameAt reads a name in the data, with the zone's name where the pointer is.
func (s *set) nameAt(i int, zone string) string {
	var name []byte
	for s.wire[i] < pointer>>8 {
		length := int(s.wire[i])
		name = append(name, s.wire[i:i+1+length]...)
		if i += 1 + length; length == 0 {
			lower(name)
			return string(name)
		}
	}
	lower(name)
	return string(name) + zone
}
