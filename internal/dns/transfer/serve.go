package transfer

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// A pointer to a name reaches no further into a message: what is longer
	// compresses badly (RFC 1035, section 4.1.4).
	maxMessage = 16 << 10
	fudge      = 300 // seconds; RFC 8945, section 10

	// What fits a UDP message without being cut into fragments on its way.
	maxUDP = 1232
)

// ServeDNS answers a request for AXFR or IXFR, and says what is wrong with the
// signature of any other message that the server has found not to be valid. It
// blocks until all is written: the server must set a deadline for that. The server
// must have verified the request with TSIG.
func (t *Transfers) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	a := &answer{w: w, request: r, clock: t.clock}
	err := t.serve(a)
	log := klog.Background().V(2)
	if !log.Enabled() {
		return
	}
	if len(r.Question) == 1 {
		q := r.Question[0]
		log = log.WithValues("zone", q.Name, "type", dns.Type(q.Qtype).String())
	}
	log.Info("Zone transfer", "client", w.RemoteAddr(), "records", a.records, "rcode", dns.RcodeToString[a.rcode], "err", err)
}

func (t *Transfers) serve(a *answer) error {
	if tsigElsewhere(a.request) {
		return a.refuse(dns.RcodeFormatError)
	}
	if a.request.IsTsig() != nil {
		switch code := tsigError(a.w.TsigStatus()); code {
		case dns.RcodeSuccess:
			a.signed = true
		case dns.RcodeFormatError:
			return a.refuse(dns.RcodeFormatError)
		default:
			return a.refuseKey(code)
		}
	}
	serial, ok := parse(a.request)
	if !ok {
		return a.refuse(dns.RcodeFormatError)
	}
	q := a.request.Question[0]
	t.mu.RLock()
	z, ok := t.zones[dns.CanonicalName(q.Name)]
	var allowed bool
	var versions *history
	if ok {
		allowed, versions = t.allows(z, a), z.versions
	}
	t.mu.RUnlock()

	switch {
	case !ok:
		return a.refuse(dns.RcodeNotAuth)
	case !allowed:
		return a.refuse(dns.RcodeRefused)
	case versions == nil:
		return a.refuse(dns.RcodeServerFailure)
	case q.Qtype == dns.TypeIXFR:
		return a.ixfr(versions, serial)
	case a.udp():
		return a.refuse(dns.RcodeFormatError) // RFC 5936, section 4.2
	}
	return a.send(versions.all())
}

// tsigElsewhere says whether a message has a signature that is not at its end. Who
// verified it would have overlooked it, or verified it in place of the one at the
// end (RFC 8945, section 5.1).
func tsigElsewhere(r *dns.Msg) bool {
	for i, rr := range r.Extra {
		if rr.Header().Rrtype == dns.TypeTSIG && i < len(r.Extra)-1 {
			return true
		}
	}
	return false
}

// parse checks that a request is one for a transfer, and returns the serial that
// IXFR is from.
func parse(r *dns.Msg) (serial uint32, ok bool) {
	if len(r.Question) != 1 || r.Question[0].Qclass != dns.ClassINET {
		return 0, false
	}
	switch q := r.Question[0]; q.Qtype {
	case dns.TypeAXFR:
		return 0, true
	case dns.TypeIXFR:
		if len(r.Ns) != 1 || dns.CanonicalName(r.Ns[0].Header().Name) != dns.CanonicalName(q.Name) {
			return 0, false
		}
		if soa, ok := r.Ns[0].(*dns.SOA); ok {
			return soa.Serial, true
		}
	}
	return 0, false
}

// allows says whether a client may have a zone. The caller holds t.mu.
func (t *Transfers) allows(z *zone, a *answer) bool {
	if z.Key != nil {
		return a.signed && dns.CanonicalName(a.request.IsTsig().Hdr.Name) == dns.CanonicalName(z.Key.Name) && t.keys.knows(z.Key)
	}
	client, err := netip.ParseAddrPort(a.w.RemoteAddr().String())
	if err != nil {
		return false
	}
	return slices.ContainsFunc(z.Secondaries, func(s netip.AddrPort) bool {
		return s.Addr().Unmap() == client.Addr().Unmap()
	})
}

// answer is the answer to one request.
type answer struct {
	w       dns.ResponseWriter
	request *dns.Msg
	signed  bool // the request is, with a key that is known
	clock   clock.PassiveClock

	rcode, records int // what was sent, for the log
}

func (a *answer) udp() bool {
	_, ok := a.w.RemoteAddr().(*net.UDPAddr)
	return ok
}

// ixfr sends what has changed since a serial; the whole zone if that is not known
// or would be shorter (RFC 1995, section 4).
func (a *answer) ixfr(h *history, serial uint32) error {
	current := []dns.RR{h.soa}
	if serial == h.soa.Serial || Newer(serial, h.soa.Serial) {
		return a.send(current)
	}
	var records []dns.RR
	if d, ok := h.since(serial); ok && len(d.removed)+len(d.added) < len(h.records) {
		records = h.difference(d)
	} else {
		records = h.all()
	}
	if a.udp() && !a.fitsUDP(records) {
		records = current // the client comes again, by TCP
	}
	return a.send(records)
}

// all is the zone as AXFR sends it.
func (h *history) all() []dns.RR {
	return slices.Concat([]dns.RR{h.soa}, h.records.sorted(), []dns.RR{h.soa})
}

// difference is a delta that leads to the current version, as IXFR sends it.
func (h *history) difference(d delta) []dns.RR {
	return slices.Concat(
		[]dns.RR{h.soa, d.from}, d.removed.sorted(),
		[]dns.RR{h.soa}, d.added.sorted(), []dns.RR{h.soa})
}

func (a *answer) fitsUDP(records []dns.RR) bool {
	size := dns.MinMsgSize
	if opt := a.request.IsEdns0(); opt != nil {
		size = min(max(int(opt.UDPSize()), size), maxUDP)
	}
	if a.signed {
		size -= dns.Len(a.request.IsTsig()) // ours is as long
	}
	if len(records) > size/12 { // no record is shorter
		return false
	}
	return a.message(records, true).Len() <= size
}

// send sends records in as many messages as it takes.
func (a *answer) send(records []dns.RR) error {
	a.records = len(records)
	for first := true; len(records) > 0; first = false {
		n := fitting(records)
		if err := a.write(a.message(records[:n], first)); err != nil {
			return fmt.Errorf("transfer broken off with %d of %d records to go: %w", len(records), a.records, err)
		}
		records = records[n:]
	}
	return nil
}

// fitting is how many of the records make a message; at least one.
func fitting(records []dns.RR) int {
	size := 0
	for i, rr := range records {
		if size += dns.Len(rr); size > maxMessage && i > 0 {
			return i
		}
	}
	return len(records)
}

// message is one message of the answer. The first repeats the question (RFC 5936,
// section 2.2.1) and whether EDNS is understood.
func (a *answer) message(records []dns.RR, first bool) *dns.Msg {
	m := new(dns.Msg).SetReply(a.request)
	m.Authoritative, m.Compress, m.Answer = true, true, records
	if !first {
		m.Question = nil
	} else if a.request.IsEdns0() != nil {
		m.SetEdns0(maxUDP, false)
	}
	return m
}

// write writes a message, signed if the request was. All but the first are signed
// with timers only (RFC 8945, section 5.3.1).
func (a *answer) write(m *dns.Msg) error {
	if a.signed {
		t := a.request.IsTsig()
		m.SetTsig(t.Hdr.Name, t.Algorithm, fudge, a.clock.Now().Unix())
	}
	err := a.w.WriteMsg(m)
	a.w.TsigTimersOnly(true)
	return err
}

func (a *answer) refuse(rcode int) error {
	a.rcode = rcode
	m := new(dns.Msg).SetRcode(a.request, rcode)
	if a.request.IsEdns0() != nil {
		m.SetEdns0(maxUDP, false)
	}
	return a.write(m)
}

// refuseKey tells what is wrong with a request's signature: NOTAUTH, with the
// error in the TSIG record (RFC 8945, section 5.2). That is signed only if the
// clocks are all that differs, and then has the client's time and, besides, ours.
func (a *answer) refuseKey(code int) error {
	a.rcode = code
	m := new(dns.Msg).SetRcode(a.request, dns.RcodeNotAuth)
	t, now := a.request.IsTsig(), a.clock.Now().Unix()
	if code == dns.RcodeBadTime {
		m.SetTsig(t.Hdr.Name, t.Algorithm, fudge, int64(t.TimeSigned))
		signature := m.IsTsig()
		signature.Error, signature.OtherLen, signature.OtherData = uint16(code), 6, fmt.Sprintf("%012x", now)
		return a.w.WriteMsg(m)
	}
	m.SetTsig(t.Hdr.Name, t.Algorithm, fudge, now)
	m.IsTsig().Error = uint16(code)
	// WriteMsg would leave out the time, and BIND would take it for the error.
	wire, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = a.w.Write(wire)
	return err
}
