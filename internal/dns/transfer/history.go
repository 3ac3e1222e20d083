package transfer

import (
	"maps"
	"slices"

	"github.com/miekg/dns"
)

const (
	maxVersions = 64
	maxBytes    = 1 << 20 // of changed records, in all versions of a zone
)

// Newer says whether serial a comes after b (RFC 1982, section 3.2). Of two that
// are half the circle apart neither does.
func Newer(a, b uint32) bool { return int32(a-b) > 0 }

// history is a version of a zone and how it came from those before. It never
// changes; the nil history is that of a zone without a version.
type history struct {
	soa     *dns.SOA
	records recordSet // without the SOA
	deltas  []delta   // the oldest first; the last leads to soa
}

// delta is what one version changed.
type delta struct {
	from           *dns.SOA
	removed, added recordSet
}

// recordSet is records by their canonical form, so that it has each once.
type recordSet map[string]dns.RR

// next is the history with one more version; the same history if that says
// nothing new.
func (h *history) next(records []dns.RR) (*history, error) {
	if len(records) == 0 {
		return nil, errNotSOA
	}
	soa, ok := records[0].(*dns.SOA)
	if !ok {
		return nil, errNotSOA
	}
	set, err := newRecordSet(records[1:])
	if err != nil {
		return nil, err
	}
	after := &history{soa: soa, records: set}
	if h == nil {
		return after, nil
	}
	d := delta{from: h.soa, removed: h.records.without(set), added: set.without(h.records)}
	if len(d.removed)+len(d.added) == 0 && dns.IsDuplicate(soa, h.soa) && soa.Hdr.Ttl == h.soa.Hdr.Ttl {
		return h, nil
	}
	after.deltas = lastDeltas(append(slices.Clip(h.deltas), d), soa.Serial)
	return after, nil
}

// lastDeltas is as many of the last deltas as are kept: none that do not begin at
// an older serial, be it that the serial has not risen, or that so many have come
// since that old cannot be told from new.
func lastDeltas(deltas []delta, serial uint32) []delta {
	first, bytes := len(deltas), 0
	for first > 0 && len(deltas)-first < maxVersions && Newer(serial, deltas[first-1].from.Serial) {
		bytes += deltas[first-1].size()
		if bytes > maxBytes {
			break
		}
		first--
	}
	return deltas[first:]
}

// since is the difference from the version with a serial, what came and went in
// between left out; false if it is not known.
func (h *history) since(serial uint32) (delta, bool) {
	first := slices.IndexFunc(h.deltas, func(d delta) bool { return d.from.Serial == serial })
	if first < 0 {
		return delta{}, false
	}
	sum := delta{from: h.deltas[first].from, removed: recordSet{}, added: recordSet{}}
	for _, d := range h.deltas[first:] {
		for key, rr := range d.removed {
			sum.added.moveOr(key, rr, sum.removed)
		}
		for key, rr := range d.added {
			sum.removed.moveOr(key, rr, sum.added)
		}
	}
	return sum, true
}

// moveOr takes a record out of the set, which undoes an earlier change; if it is
// not in there, the record is added to the other one.
func (s recordSet) moveOr(key string, rr dns.RR, other recordSet) {
	if _, ok := s[key]; ok {
		delete(s, key)
	} else {
		other[key] = rr
	}
}

func (d delta) size() int {
	n := 0
	for key := range d.removed {
		n += len(key)
	}
	for key := range d.added {
		n += len(key)
	}
	return n
}

// newRecordSet leaves out SOAs: a zone has one, which is kept apart.
func newRecordSet(records []dns.RR) (recordSet, error) {
	s := make(recordSet, len(records))
	var buffer []byte
	for _, rr := range records {
		if rr.Header().Rrtype == dns.TypeSOA {
			continue
		}
		// A message is the one way to pack a record that does not write to it.
		wire, err := (&dns.Msg{Answer: []dns.RR{rr}}).PackBuffer(buffer)
		if err != nil {
			return nil, err
		}
		buffer = wire[:cap(wire)]
		const header = 12
		key := wire[header:]
		lowerName(key)
		s[string(key)] = rr
	}
	return s, nil
}

// lowerName puts the name that an uncompressed record begins with into lower
// case. The lengths of labels are below 'A'.
func lowerName(record []byte) {
	for i := 0; i < len(record) && record[i] != 0; i++ {
		if c := record[i]; 'A' <= c && c <= 'Z' {
			record[i] = c + 'a' - 'A'
		}
	}
}

// without is the records of s that are not in other.
func (s recordSet) without(other recordSet) recordSet {
	rest := recordSet{}
	for key, rr := range s {
		if _, ok := other[key]; !ok {
			rest[key] = rr
		}
	}
	return rest
}

// sorted is the records in the order of their canonical form, so that names stand
// together and compress well, and two servers send the same.
func (s recordSet) sorted() []dns.RR {
	records := make([]dns.RR, 0, len(s))
	for _, key := range slices.Sorted(maps.Keys(s)) {
		records = append(records, s[key])
	}
	return records
}
