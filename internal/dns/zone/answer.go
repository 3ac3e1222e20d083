package zone

import (
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"
)

// Query is a question, and who asks.
type Query struct {
	// Name in wire format and in lower case, without compression.
	Name []byte
	Type uint16
	// Client is who wants to know: an address, or the first of a network.
	Client netip.Addr
	// Random number for what is drawn: of weighted clusters the upper half, of the
	// order of addresses the lower.
	Random uint64
	// Limit is how many bytes the message may have.
	Limit int
}

// Answer says what Append has appended.
type Answer struct {
	Rcode         uint8
	Authoritative bool
	// Truncated: it did not fit, nothing has been appended.
	Truncated bool
	// Answers, Authority and Additional are the numbers of records.
	Answers, Authority, Additional uint16
	// Scope is how many bits of Client the answer depends on; 0: none.
	Scope uint8
	// Tally counts the responses about the zone that the name is in; nil: it is in none.
	Tally *Tally
	// Class is the same for answers that are the same, or deny the same.
	Class uint64
}

// maxHops is how many CNAMEs are followed, at most.
const maxHops = 12

// Append appends the sections that answer a question to a message of which header
// and question are there, the question's name in full at its place. It does not
// allocate if the message's capacity is Limit. A name outside the zones is REFUSED.
func (s *Snapshot) Append(message []byte, q *Query, a *Answer) []byte {
	*a = Answer{}
	w := writer{Snapshot: s, m: message, q: q, a: a}
	if !w.answer() {
		*a = Answer{Authoritative: a.Authoritative, Truncated: true, Class: a.Class, Tally: a.Tally}
		return message
	}
	return w.m
}

// writer is an answer that is being written.
type writer struct {
	*Snapshot
	m []byte
	q *Query
	a *Answer
	// followed are the CNAMEs until now.
	followed [maxHops]*set
	hops     int
}

// spot is a name in the message: a pointer to it, and one to the name of its zone.
type spot struct{ owner, apex int }

// answer follows CNAMEs as long as they lead to names of ours. It is false if the
// message is full.
func (w *writer) answer() bool {
	name, at := w.q.Name, spot{owner: question}
	var last *domain
	for {
		n, exact := w.find(name)
		if n == nil {
			if w.hops == 0 {
				w.a.Rcode = dns.RcodeRefused
			}
			return true
		}
		if exact && n.above != nil && w.q.Type == dns.TypeDS {
			n = n.above // RFC 4035, section 3.1.4.1
		}
		if n.zone != last {
			at.apex = at.owner + len(name) - len(n.zone.name)
			last = n.zone
		}
		if w.hops == 0 {
			w.a.Authoritative, w.a.Tally = true, n.zone.tally
		}
		alias, ok := w.at(n, exact, name, at)
		if !ok || alias == nil {
			return ok
		}
		// The CNAME is the last record: its target is where the rest is about.
		at.owner = len(w.m) - len(alias.wire) + rdata
		name = alias.target
	}
}

// at appends what a name is answered. The alias is what is to be followed, if any.
func (w *writer) at(n *node, exact bool, name []byte, at spot) (alias *set, ok bool) {
	if c := n.cut; c != nil && (w.q.Type != dns.TypeDS || !exact || n != c) {
		w.class(c)
		return nil, w.refer(c, spot{at.owner + len(name) - len(c.name), at.apex})
	}
	if !exact {
		if n.wild == nil {
			w.a.Rcode = dns.RcodeNameError
			if w.hops == 0 {
				w.a.Class = mix(n.zone.class, dns.RcodeNameError)
			}
			return nil, w.deny(n, at)
		}
		n = n.wild
	}
	w.class(n)
	return w.node(n, at)
}

func (w *writer) class(n *node) {
	if w.hops == 0 {
		w.a.Class = mix(n.class, uint64(w.q.Type)<<8)
	}
}

// find returns the node of a name, or else that of the closest encloser (RFC 4592,
// section 3.3.1).
func (w *writer) find(name []byte) (n *node, exact bool) {
	if n := w.nodes[string(name)]; n != nil {
		return n, true
	}
	count := 0
	for i := 0; name[i] != 0; i += 1 + int(name[i]) {
		count++
	}
	for ; len(name) > 1; count-- {
		name = name[1+int(name[0]):]
		if count-1 > w.depth {
			continue
		}
		if n := w.nodes[string(name)]; n != nil {
			return n, false
		}
	}
	return nil, false
}

// node appends what is at a node, an exact one or a wildcard.
func (w *writer) node(n *node, at spot) (alias *set, ok bool) {
	rtype := w.q.Type
	if rtype == dns.TypeANY {
		return nil, w.any(n, at)
	}
	if s := n.set(rtype); s != nil {
		return nil, w.positive(s, at)
	}
	if n.host != nil && (n.host.alias || rtype == dns.TypeA || rtype == dns.TypeAAAA) {
		return w.steer(n, at)
	}
	if s := n.set(dns.TypeCNAME); s != nil {
		return w.follow(s, at)
	}
	return nil, w.deny(n, at)
}

// steer appends what a Host answers this client.
func (w *writer) steer(n *node, at spot) (alias *set, ok bool) {
	v := w.choose(n.host)
	if v == nil {
		return nil, w.deny(n, at)
	}
	if v.cname != nil {
		if w.q.Type == dns.TypeCNAME {
			return nil, w.positive(v.cname, at)
		}
		return w.follow(v.cname, at)
	}
	s := v.a
	if w.q.Type == dns.TypeAAAA {
		s = v.aaaa
	}
	if s == nil || s.rtype != w.q.Type {
		return nil, w.deny(n, at)
	}
	return nil, w.positive(s, at)
}

func (w *writer) choose(h *steered) *variant {
	o, scope := h.locate(w.db, w.q.Client)
	w.a.Scope = max(w.a.Scope, uint8(scope))
	return o.draw(uint32(w.q.Random >> 32))
}

// follow appends a CNAME. Its target is to be looked up, unless that is a circle.
func (w *writer) follow(s *set, at spot) (alias *set, ok bool) {
	for _, f := range w.followed[:w.hops] {
		if f == s {
			return nil, true
		}
	}
	if !w.put(s, at) {
		return nil, false
	}
	w.a.Answers++
	w.followed[w.hops] = s
	if w.hops++; w.hops == maxHops {
		return nil, true
	}
	return s, true
}

// any answers with one record that says why there are no more (RFC 8482, section
// 4.2), or with the CNAME that is there (section 4.3).
func (w *writer) any(n *node, at spot) bool {
	if s := n.set(dns.TypeCNAME); s != nil {
		return w.positive(s, at)
	}
	if n.host != nil && n.host.alias {
		if v := w.choose(n.host); v != nil && v.cname != nil {
			return w.positive(v.cname, at)
		}
	}
	if n.host == nil && len(n.sets) == 0 {
		return w.deny(n, at)
	}
	if len(w.m)+len(minimal) > w.q.Limit {
		return false
	}
	w.m = append(w.m, minimal...)
	w.a.Answers++
	return true
}

// minimal is the record HINFO "RFC8482" "" with an hour's TTL.
const minimal = "\xC0\x0C\x00\x0D\x00\x01\x00\x00\x0E\x10\x00\x09\x07RFC8482\x00"

// positive appends what was asked for, and addresses that will be asked for next,
// as far as they fit.
func (w *writer) positive(s *set, at spot) bool {
	if !w.put(s, at) {
		return false
	}
	w.a.Answers += uint16(len(s.starts))
	for _, n := range s.glue {
		if n.cut == nil && !w.glue(n, at.apex) {
			break
		}
	}
	return true
}

// deny appends the SOA: no such name, or no such type (RFC 2308, sections 2.1, 2.2).
func (w *writer) deny(n *node, at spot) bool {
	if !w.put(n.zone.soa, spot{at.apex, at.apex}) {
		return false
	}
	w.a.Authority++
	return true
}

// refer appends a delegation with its glue, all of it (RFC 9471).
func (w *writer) refer(cut *node, at spot) bool {
	if w.hops == 0 {
		w.a.Authoritative = false
	}
	s := cut.set(dns.TypeNS)
	if !w.put(s, at) {
		return false
	}
	w.a.Authority += uint16(len(s.starts))
	for _, n := range s.glue {
		if !w.glue(n, at.apex) && n.cut == cut {
			return false
		}
	}
	return true
}

// put appends a set whose owner is elsewhere in the message.
func (w *writer) put(s *set, at spot) bool {
	base := len(w.m)
	if base+len(s.wire) > w.q.Limit {
		return false
	}
	if s.rotates() {
		first := s.starts[uint32(w.q.Random)%uint32(len(s.starts))]
		w.m = append(w.m, s.wire[first:]...)
		w.m = append(w.m, s.wire[:first]...)
	} else {
		w.m = append(w.m, s.wire...)
	}
	if at.owner != question {
		for _, i := range s.starts {
			binary.BigEndian.PutUint16(w.m[base+int(i):], pointer|uint16(at.owner))
		}
	}
	for _, i := range s.apex {
		binary.BigEndian.PutUint16(w.m[base+int(i):], pointer|uint16(at.apex))
	}
	return true
}

// glue appends the addresses of a node, all or none.
func (w *writer) glue(n *node, apex int) bool {
	before, count := len(w.m), w.a.Additional
	for _, s := range n.sets {
		if s.rtype != dns.TypeA && s.rtype != dns.TypeAAAA {
			continue
		}
		label := n.name[:len(n.name)-len(n.zone.name)]
		if len(w.m)+len(label)+len(s.wire) > w.q.Limit {
			w.m, w.a.Additional = w.m[:before], count
			return false
		}
		// The first record begins with the name, the others point to it.
		base := len(w.m)
		w.m = append(w.m, label...)
		w.m = append(w.m, s.wire...)
		binary.BigEndian.PutUint16(w.m[base+len(label):], pointer|uint16(apex))
		for _, i := range s.starts[1:] {
			binary.BigEndian.PutUint16(w.m[base+len(label)+int(i):], pointer|uint16(base))
		}
		w.a.Additional += uint16(len(s.starts))
	}
	return true
}
