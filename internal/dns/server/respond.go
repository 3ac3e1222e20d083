package server

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/internal/dns/cookie"
	"github.com/hanse-dev/hanse/internal/dns/ratelimit"
	"github.com/hanse-dev/hanse/internal/dns/zone"
)

// responder makes responses, one at a time and without allocating.
type responder struct {
	*Server
	counters *counters
	request  request
	query    zone.Query
	answer   zone.Answer
	random   uint64
	worker   uint32 // for tallies
}

func newResponder(s *Server, c *counters) *responder {
	return &responder{Server: s, counters: c, random: rand.Uint64() | 1, worker: s.workers.Add(1)}
}

// verdict says what there is to do with a message.
type verdict uint8

const (
	drop     verdict = iota
	send             // the response
	transfer         // hand the message to Config.Transfers
)

// Bits of the header's third byte: QR, AA, TC, RD. CD is in the fourth.
const (
	flagResponse      = 0x80
	flagAuthoritative = 0x04
	flagTruncated     = 0x02
	flagRecursion     = 0x01
	flagUnchecked     = 0x10
	maskOpcode        = 0x78
)

// respond writes the response to a message into out, which has room for limit
// bytes. The limit is for TCP the largest message, for UDP what the server is ready
// to send; the client may want less.
func (r *responder) respond(m, out []byte, from netip.Addr, now time.Time, tcp bool) ([]byte, verdict) {
	if len(m) < headerSize || m[2]&flagResponse != 0 {
		r.counters.dropped.Add(1)
		return nil, drop
	}
	q := &r.request
	if m[2]&maskOpcode != 0 {
		q.end, q.edns, q.cookie = headerSize, false, nil
		return r.fail(m, out, from, now, tcp, dns.RcodeNotImplemented)
	}
	if !q.parse(m) {
		return r.fail(m, out, from, now, tcp, dns.RcodeFormatError)
	}
	if q.signed || q.rtype == dns.TypeAXFR || q.rtype == dns.TypeIXFR {
		if q.end > headerSize && q.class == dns.ClassINET && (tcp || q.rtype != dns.TypeAXFR) && r.config.Transfers != nil {
			return nil, r.handOver(from, now, tcp)
		}
		return r.fail(m, out, from, now, tcp, dns.RcodeRefused)
	}
	rcode, ok := r.precondition()
	if !ok {
		return r.fail(m, out, from, now, tcp, rcode)
	}
	return r.look(m, out, from, now, tcp)
}

// handOver limits the rate of what goes to Config.Transfers, too, and is not worth a
// truncated answer.
func (r *responder) handOver(from netip.Addr, now time.Time, tcp bool) verdict {
	r.answer = zone.Answer{Class: uint64(dns.TypeIXFR)}
	if !tcp && (!r.allow(from, now) || r.answer.Truncated) {
		r.counters.dropped.Add(1)
		return drop
	}
	return transfer
}

// precondition is what a query has to be for the zones to be asked.
func (r *responder) precondition() (rcode int, ok bool) {
	q := &r.request
	switch {
	case q.version != 0:
		return dns.RcodeBadVers, false
	case q.end == headerSize: // it is after a cookie only
		return dns.RcodeSuccess, false
	case q.class != dns.ClassINET:
		return dns.RcodeRefused, false
	}
	switch q.rtype {
	case dns.TypeMAILA, dns.TypeMAILB:
		return dns.RcodeNotImplemented, false
	case dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY, dns.TypeNone:
		return dns.RcodeFormatError, false
	}
	return dns.RcodeSuccess, true
}

// look asks the zones.
func (r *responder) look(m, out []byte, from netip.Addr, now time.Time, tcp bool) ([]byte, verdict) {
	q := &r.request
	snapshot := r.snapshot.Load()
	if snapshot == nil {
		return r.fail(m, out, from, now, tcp, dns.RcodeServerFailure)
	}
	limit := maximumMessage
	if !tcp {
		limit = min(q.size, maximumUDP)
	}
	r.query.Name = q.name[:q.named]
	r.query.Type = q.rtype
	r.query.Client = from
	if q.network.IsValid() {
		r.query.Client = q.network
	}
	r.query.Random = r.next()
	r.query.Limit = limit - r.optSize()
	out = snapshot.Append(append(out[:0], m[:q.end]...), &r.query, &r.answer)
	return r.finish(m, out, from, now, tcp, int(r.answer.Rcode))
}

// fail responds without records.
func (r *responder) fail(m, out []byte, from netip.Addr, now time.Time, tcp bool, rcode int) ([]byte, verdict) {
	r.answer = zone.Answer{Class: uint64(rcode)}
	return r.finish(m, append(out[:0], m[:r.request.end]...), from, now, tcp, rcode)
}

// finish limits the rate, and writes the header and the OPT record.
func (r *responder) finish(m, out []byte, from netip.Addr, now time.Time, tcp bool, rcode int) ([]byte, verdict) {
	q, a := &r.request, &r.answer
	if !tcp && !r.allow(from, now) {
		r.counters.dropped.Add(1)
		return nil, drop
	}
	if a.Truncated {
		out = out[:q.end]
		r.counters.truncated.Add(1)
	}
	out[2] = flagResponse | m[2]&(maskOpcode|flagRecursion)
	if a.Authoritative {
		out[2] |= flagAuthoritative
	}
	if a.Truncated {
		out[2] |= flagTruncated
	}
	out[3] = m[3]&flagUnchecked | byte(rcode&0xF)
	out[4], out[5] = 0, 0
	if q.end > headerSize {
		out[5] = 1
	}
	additional := a.Additional
	if q.edns {
		additional++
		out = r.appendOPT(out, rcode, from, now)
	}
	binary.BigEndian.PutUint16(out[6:], a.Answers)
	binary.BigEndian.PutUint16(out[8:], a.Authority)
	binary.BigEndian.PutUint16(out[10:], additional)
	r.counters.count(rcode, tcp)
	if a.Tally == nil {
		a.Tally = &r.outside
	}
	a.Tally.Add(r.worker, rcode)
	return out, send
}

// allow asks the rate limiter, unless the client has shown that its address is its
// own. A limited answer may become a truncated one, for which a client comes back
// by TCP.
func (r *responder) allow(from netip.Addr, now time.Time) bool {
	if r.config.Limiter == nil {
		return true
	}
	if len(r.request.cookie) > cookie.ClientLen && r.config.Cookies != nil && r.config.Cookies.Valid(r.request.cookie, from, now) {
		return true
	}
	switch r.config.Limiter.Check(from, r.answer.Class, now) {
	case ratelimit.Send:
		return true
	case ratelimit.Truncate:
		r.answer = zone.Answer{Authoritative: r.answer.Authoritative, Truncated: true, Tally: r.answer.Tally}
		return true
	}
	return false
}

// next is a pseudo-random number (xorshift64*).
func (r *responder) next() uint64 {
	r.random ^= r.random >> 12
	r.random ^= r.random << 25
	r.random ^= r.random >> 27
	return r.random * 0x2545F4914F6CDD1D
}

const optHeader = 11

// optSize is how long the OPT record will be.
func (r *responder) optSize() int {
	q := &r.request
	if !q.edns {
		return 0
	}
	n := optHeader
	if q.subnet != nil {
		n += 4 + len(q.subnet)
	}
	if q.cookie != nil && r.config.Cookies != nil {
		n += 4 + cookie.ClientLen + cookie.ServerLen
	}
	return n
}

// appendOPT appends the OPT record (RFC 6891, section 6.1).
func (r *responder) appendOPT(out []byte, rcode int, from netip.Addr, now time.Time) []byte {
	q := &r.request
	do := byte(0)
	if q.do {
		do = 0x80
	}
	out = append(out, 0, 0, byte(dns.TypeOPT), maximumUDP>>8, maximumUDP&0xFF, byte(rcode>>4), 0, do, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(r.optSize()-optHeader))
	if q.subnet != nil {
		out = append(out, 0, optionSubnet, 0, byte(len(q.subnet)))
		out = append(out, q.subnet...)
		out[len(out)-len(q.subnet)+3] = r.scope()
	}
	if q.cookie != nil && r.config.Cookies != nil {
		out = append(out, 0, optionCookie, 0, cookie.ClientLen+cookie.ServerLen)
		out = append(out, q.cookie[:cookie.ClientLen]...)
		out = r.config.Cookies.Append(out, [cookie.ClientLen]byte(q.cookie), from, now)
	}
	return out
}

// scope is how many bits of the client's network the answer is for (RFC 7871,
// section 7.2.1). More than a /24 or /56 is only for those who gave more: others
// are not told what they did not tell.
func (r *responder) scope() byte {
	q := &r.request
	if !q.network.IsValid() {
		return 0
	}
	finest := uint8(24)
	if q.subnet[1] == 2 {
		finest = 56
		if q.network.Is4() && r.answer.Scope > 0 { // an IPv4-mapped address
			r.answer.Scope += 96
		}
	}
	return min(r.answer.Scope, max(finest, q.subnet[2]))
}
