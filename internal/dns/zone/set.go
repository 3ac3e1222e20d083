package zone

import (
	"encoding/binary"
	"slices"

	"github.com/miekg/dns"
)

// set is an RRset, ready to be copied into a message. The records do not say
// whose they are: their owner is a pointer to where the message has the name,
// which is set as they are copied, so that names of hosts, wildcards and the ends
// of CNAME chains are all the same, and hosts may share their sets.
type set struct {
	rtype uint16
	// wire is the records. Owners point to the question.
	wire []byte
	// starts is where each record begins in wire.
	starts []uint16
	// apex is where wire has pointers to the zone's name, to be set in a message.
	apex []uint16
	// target of a CNAME, as wireName. It is at rdata in wire.
	target []byte
	// glue is nodes of the same zone whose addresses spare the client a query: the
	// targets of NS, MX and SRV.
	glue []*node
}

const (
	header = 10 // type, class, TTL, length: what comes between a record's owner and its data
	rdata  = 2 + header
	// question is where a message has the name that was asked for.
	question = 12
	pointer  = 0xC000
)

// newSet compiles records of one type. They get the smallest TTL among them (RFC
// 2181, section 5.2), and what cannot be packed, or is there twice, is left out, as
// is a second CNAME.
// Names in their data that are in the zone are compressed, for types that RFC
// 3597, section 4, lets be.
func newSet(records []dns.RR, zone string) *set {
	s := &set{rtype: records[0].Header().Rrtype}
	ttl := records[0].Header().Ttl
	for _, rr := range records {
		ttl = min(ttl, rr.Header().Ttl)
	}
	var seen []string
	for _, rr := range records {
		data, ok := packData(rr)
		if !ok || slices.Contains(seen, data) || len(s.wire)+len(data) > 0xF000 {
			continue
		}
		seen = append(seen, data)
		s.add(data, ttl, zone)
		if s.rtype == dns.TypeCNAME {
			break
		}
	}
	if len(s.starts) == 0 {
		return nil
	}
	return s
}

// packData is the data of a record, without compression.
func packData(rr dns.RR) (string, bool) {
	plain := dns.Copy(rr)
	plain.Header().Name = "."
	buffer := make([]byte, dns.Len(plain)+16)
	n, err := dns.PackRR(plain, buffer, 0, nil, false)
	if err != nil || n < 1+header {
		return "", false
	}
	return string(buffer[1+header : n]), true
}

func (s *set) add(data string, ttl uint32, zone string) {
	start := len(s.wire)
	s.starts = append(s.starts, uint16(start))
	s.wire = appendHeader(s.wire, s.rtype, ttl)
	switch s.rtype {
	case dns.TypeCNAME:
		s.target = []byte(data)
		lower(s.target)
		if string(s.target) == zone {
			zone = "" // so that the target has all its labels, for what follows it
		}
		s.name(data, zone)
	case dns.TypeNS, dns.TypePTR:
		s.name(data, zone)
	case dns.TypeMX:
		s.wire = append(s.wire, data[:2]...)
		s.name(data[2:], zone)
	case dns.TypeSOA:
		server := data[:nameLength(data)]
		contact := data[len(server) : len(server)+nameLength(data[len(server):])]
		s.name(server, zone)
		s.name(contact, zone)
		s.wire = append(s.wire, data[len(server)+len(contact):]...)
	default:
		s.wire = append(s.wire, data...)
	}
	binary.BigEndian.PutUint16(s.wire[start+rdata-2:], uint16(len(s.wire)-start-rdata))
}

func appendHeader(b []byte, rtype uint16, ttl uint32) []byte {
	b = binary.BigEndian.AppendUint16(b, pointer|question)
	b = binary.BigEndian.AppendUint16(b, rtype)
	b = binary.BigEndian.AppendUint16(b, dns.ClassINET)
	b = binary.BigEndian.AppendUint32(b, ttl)
	return append(b, 0, 0)
}

// name appends a name in wire format, of which the zone's part becomes a pointer.
func (s *set) name(name, zone string) {
	low := []byte(name)
	lower(low)
	if len(zone) <= 1 || !within(string(low), zone) {
		s.wire = append(s.wire, name...)
		return
	}
	s.wire = append(s.wire, name[:len(name)-len(zone)]...)
	s.apex = append(s.apex, uint16(len(s.wire)))
	s.wire = binary.BigEndian.AppendUint16(s.wire, pointer)
}

// nameLength is the length of the uncompressed name that b begins with.
func nameLength(b string) int {
	n := 0
	for b[n] != 0 {
		n += 1 + int(b[n])
	}
	return n + 1
}

// rotates says whether the order of the records changes from answer to answer.
func (s *set) rotates() bool {
	return len(s.starts) > 1 && (s.rtype == dns.TypeA || s.rtype == dns.TypeAAAA)
}
