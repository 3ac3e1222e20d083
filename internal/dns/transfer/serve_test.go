package transfer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"
	"pgregory.net/rapid"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:1")

func testKey() *Key {
	return &Key{Name: "Transfer.Key", Algorithm: "hmac-sha256", Secret: base64.StdEncoding.EncodeToString([]byte("a secret of the tests"))}
}

// What a client has in the end is the zone, whatever it had before and however
// many messages it takes.
func TestTransfers(t *testing.T) {
	for name, key := range map[string]*Key{"by address": nil, "by key": testKey()} {
		t.Run(name, func(t *testing.T) {
			tr := New(clock.RealClock{})
			mustSet(t, tr, Zone{Name: "Example", Secondaries: []netip.AddrPort{loopback}, Key: key})
			addr := serve(t, tr)
			large := records(3000, 1)
			versions := map[uint32][]dns.RR{11: large, 12: append(slices.Clone(large[2:]), a("new", 1)), 13: large[1:]}
			for _, serial := range []uint32{11, 12, 13} {
				mustUpdate(t, tr, serial, versions[serial]...)
			}
			want := texts(versions[13])
			for serial, most := range map[uint32]int{11: 5, 12: 6, 13: 1, 14: 1, 5: 3001} {
				answer, _, err := pull(addr, ixfr(serial), key)
				if err != nil {
					t.Fatal(err)
				}
				if len(answer) > most {
					t.Errorf("IXFR from %d has %d records", serial, len(answer))
				}
				if serial == 14 { // a client from the future keeps what it has
					continue
				}
				if got, err := apply(serial, texts(versions[serial]), answer); err != nil || !slices.Equal(got, want) {
					t.Errorf("IXFR from %d: %d records, want %d; %v", serial, len(got), len(want), err)
				}
			}
			answer, messages, err := pull(addr, axfr(), key)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := apply(0, nil, answer); err != nil || !slices.Equal(got, want) {
				t.Errorf("AXFR: %d records, want %d; %v", len(got), len(want), err)
			}
			if messages < 3 {
				t.Errorf("3,000 records came in %d messages", messages)
			}
		})
	}
}

// A transfer is of one version, also when the next one comes in its middle.
func TestUpdateDuringTransfer(t *testing.T) {
	tr := New(clock.RealClock{})
	mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{loopback}})
	mustUpdate(t, tr, 1, records(2000, 1)...)
	w := &writer{remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	w.written = func() { mustUpdate(t, tr, 2+uint32(len(w.messages)), a("other", 1)) }
	tr.ServeDNS(w, axfr())
	var answer []dns.RR
	for _, m := range w.messages {
		answer = append(answer, m.Answer...)
	}
	if got, err := apply(0, nil, answer); err != nil || len(got) != 2000 || len(w.messages) < 2 {
		t.Errorf("%d records in %d messages, %v", len(got), len(w.messages), err)
	}
}

func TestMessagesAreOfAGoodSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := New(clock.RealClock{})
		if err := tr.SetZones([]Zone{{Name: zoneName, Secondaries: []netip.AddrPort{loopback}}}); err != nil {
			t.Fatal(err)
		}
		records := []dns.RR{soa(1)}
		for i := range rapid.IntRange(0, 300).Draw(t, "records") {
			n := rapid.SampledFrom([]int{1, 10, 200, 20_000 / 256}).Draw(t, "strings")
			txt := &dns.TXT{Hdr: header(fmt.Sprint("t", i), dns.TypeTXT)}
			for range n {
				txt.Txt = append(txt.Txt, "a text of some length")
			}
			records = append(records, txt)
		}
		if err := tr.Update(zoneName, records); err != nil {
			t.Fatal(err)
		}
		w := &writer{remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
		tr.ServeDNS(w, axfr())
		total := 0
		for i, m := range w.messages {
			wire, err := m.Pack()
			if err != nil || len(wire) > maxMessage && len(m.Answer) > 1 {
				t.Fatalf("message %d has %d bytes, %v", i, len(wire), err)
			}
			if (len(m.Question) == 1) != (i == 0) || !m.Authoritative {
				t.Fatalf("message %d: %v", i, m)
			}
			total += len(m.Answer)
		}
		if total != len(records)+1 {
			t.Fatalf("%d records sent of %d", total, len(records))
		}
	})
}

// By UDP comes what fits what the client can take, signature included, and never
// more than 1,232 bytes; else the SOA alone.
func TestUDP(t *testing.T) {
	tr := New(clock.RealClock{})
	mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{loopback}}, Zone{Name: "key.", Key: testKey()})
	const n = 100
	for i := range n {
		mustUpdate(t, tr, uint32(i), records(1+i, 1)...)
	}
	ask := func(serial uint32, size uint16, signed bool) (records int) {
		m := ixfr(serial)
		limit := 512
		if size > 0 {
			m.SetEdns0(size, false)
			limit = min(max(int(size), limit), 1232)
		}
		if signed {
			m.SetTsig("transfer.key.", dns.HmacSHA256, 300, 1)
			m.IsTsig().MAC, m.IsTsig().MACSize = strings.Repeat("00", 32), 32
		}
		w := &writer{remote: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}}
		tr.ServeDNS(w, m)
		got := w.messages[0]
		if s := got.IsTsig(); s != nil {
			s.MAC, s.MACSize = strings.Repeat("00", 32), 32
		}
		wire, err := got.Pack()
		if err != nil || len(wire) > limit || len(w.messages) > 1 || got.Truncated || (got.IsEdns0() != nil) != (size > 0) {
			t.Fatalf("serial %d, size %d: %d bytes in %d messages, %v, %v", serial, size, len(wire), len(w.messages), err, got)
		}
		return len(got.Answer)
	}
	for _, size := range []uint16{0, 100, 700, 1232, 4096} {
		for _, signed := range []bool{false, true} {
			fit := 0
			for changes := range n - 1 {
				switch got := ask(uint32(n-1-changes), size, signed); {
				case got == changes+4 && changes > 0:
					fit++
				case got != 1:
					t.Fatalf("%d changes in %d records", changes, got)
				}
			}
			if fit < 5 || size > 1000 && fit < 35 {
				t.Errorf("size %d, signed %v: up to %d changes fit", size, signed, fit)
			}
		}
	}
	w := &writer{remote: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	if tr.ServeDNS(w, axfr()); w.messages[0].Rcode != dns.RcodeFormatError {
		t.Errorf("AXFR by UDP: %v", w.messages[0])
	}
}

// Differences that are longer than the zone are not sent.
func TestIXFRIsTheShorterWay(t *testing.T) {
	tr := New(clock.RealClock{})
	mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{loopback}})
	mustUpdate(t, tr, 1, records(10, 1)...)
	mustUpdate(t, tr, 2, records(10, 2)...)
	w := &writer{remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	tr.ServeDNS(w, ixfr(1))
	if n := len(w.messages[0].Answer); n != 12 {
		t.Errorf("%d records, want the zone of 10 and its SOA twice", n)
	}
}

func TestWhoMayHaveAZone(t *testing.T) {
	tr := New(clock.RealClock{})
	badKey := &Key{Name: "bad.", Algorithm: "hmac-md5", Secret: "c2VjcmV0"}
	err := tr.SetZones([]Zone{
		{Name: "open.", Secondaries: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:53"), netip.MustParseAddrPort("[2001:db8::7]:53"), netip.MustParseAddrPort("[::ffff:192.0.2.9]:53")}},
		{Name: "keyed.", Secondaries: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:53")}, Key: testKey()},
		{Name: "other.", Key: &Key{Name: "other.", Algorithm: "hmac-sha512", Secret: "b3RoZXI="}},
		{Name: "bad.", Secondaries: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:53")}, Key: badKey},
		{Name: "empty.", Secondaries: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:53")}},
	})
	if err == nil {
		t.Error("an algorithm that is not known is accepted")
	}
	for _, zone := range []string{"open.", "keyed.", "other.", "bad.", "unnamed."} {
		s := soa(1)
		s.Hdr.Name = zone
		if err := tr.Update(zone, []dns.RR{s}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		zone, client, key string
		kind              uint16 // 0: AXFR
		status            error
		rcode             int
		tsig              int // -1: none
	}{
		{zone: "open.", client: "192.0.2.7", tsig: -1},
		{zone: "OPEN.", client: "::ffff:192.0.2.7", tsig: -1},
		{zone: "open.", client: "2001:db8::7", tsig: -1},
		{zone: "open.", client: "192.0.2.9", tsig: -1},
		{zone: "open.", client: "192.0.2.8", rcode: dns.RcodeRefused, tsig: -1},
		{zone: "open.", client: "192.0.2.7", key: "other."},
		{zone: "keyed.", client: "192.0.2.7", rcode: dns.RcodeRefused, tsig: -1},
		{zone: "keyed.", client: "198.51.100.1", key: "transfer.KEY."},
		{zone: "keyed.", client: "192.0.2.7", key: "other.", rcode: dns.RcodeRefused},
		{zone: "keyed.", client: "192.0.2.7", key: "transfer.key.", status: dns.ErrSig, rcode: dns.RcodeNotAuth, tsig: dns.RcodeBadSig},
		{zone: "keyed.", client: "192.0.2.7", key: "no.", status: dns.ErrSecret, rcode: dns.RcodeNotAuth, tsig: dns.RcodeBadKey},
		{zone: "keyed.", client: "192.0.2.7", key: "transfer.key.", status: dns.ErrTime, rcode: dns.RcodeNotAuth, tsig: dns.RcodeBadTime},
		{zone: "open.", client: "192.0.2.7", key: "no.", status: dns.ErrSecret, rcode: dns.RcodeNotAuth, tsig: dns.RcodeBadKey},
		{zone: "open.", client: "192.0.2.7", key: "no.", status: errors.New("malformed"), rcode: dns.RcodeFormatError, tsig: -1},
		{zone: "bad.", client: "192.0.2.7", rcode: dns.RcodeRefused, tsig: -1},
		{zone: "bad.", client: "192.0.2.7", key: "bad.", rcode: dns.RcodeRefused}, // were the server not to have verified it
		{zone: "empty.", client: "192.0.2.7", rcode: dns.RcodeServerFailure, tsig: -1},
		{zone: "unnamed.", client: "192.0.2.7", rcode: dns.RcodeRefused, tsig: -1},
		{zone: "nowhere.", client: "192.0.2.7", rcode: dns.RcodeNotAuth, tsig: -1},
		{zone: "keyed.", kind: dns.TypeSOA, client: "192.0.2.7", key: "no.", status: dns.ErrSecret, rcode: dns.RcodeNotAuth, tsig: dns.RcodeBadKey},
		{zone: "keyed.", kind: dns.TypeSOA, client: "192.0.2.7", key: "transfer.key.", rcode: dns.RcodeFormatError}, // the server's to answer
	} {
		m := new(dns.Msg).SetAxfr(c.zone)
		if c.kind != 0 {
			m.Question[0].Qtype = c.kind
		}
		if c.key != "" {
			m.SetTsig(c.key, dns.HmacSHA256, 300, 1_000_000)
		}
		w := &writer{remote: &net.TCPAddr{IP: net.ParseIP(c.client)}, status: c.status}
		tr.ServeDNS(w, m)
		got := w.messages[0]
		tsig := -1
		if s := got.IsTsig(); s != nil {
			tsig = int(s.Error)
		}
		if got.Rcode != c.rcode || tsig != c.tsig || (len(got.Answer) > 0) != (c.rcode == 0) {
			t.Errorf("%+v: got %v", c, got)
		}
		if c.tsig == dns.RcodeBadKey || c.tsig == dns.RcodeBadSig {
			if s := got.IsTsig(); s.MACSize != 0 || s.TimeSigned < uint64(time.Now().Unix()-100) {
				t.Errorf("not without a signature, or time: %v", got)
			}
		}
		if c.tsig == dns.RcodeBadTime {
			if s := got.IsTsig(); s.TimeSigned != 1_000_000 || s.OtherLen != 6 || s.OtherData < fmt.Sprintf("%012x", time.Now().Unix()-100) {
				t.Errorf("BADTIME: %v", got)
			}
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	signed := func(keys ...string) *dns.Msg {
		m := axfr()
		for _, k := range keys {
			m.SetTsig(k, dns.HmacSHA256, 300, 0)
		}
		return m
	}
	unsignedEnd := signed("a.")
	unsignedEnd.SetEdns0(1232, false)
	otherSOA := ixfr(1)
	otherSOA.Ns[0].Header().Name = "other."
	chaos := axfr()
	chaos.Question[0].Qclass = dns.ClassCHAOS
	two := axfr()
	two.Question = append(two.Question, two.Question[0])
	noSOA := ixfr(1)
	noSOA.Ns = nil
	noneAtAll := new(dns.Msg)
	for name, m := range map[string]*dns.Msg{
		"two signatures": signed("a.", "b."), "a signature that is not the last": unsignedEnd,
		"IXFR from another zone's SOA": otherSOA, "IXFR without SOA": noSOA,
		"class CH": chaos, "two questions": two, "no question": noneAtAll,
		"another type": new(dns.Msg).SetQuestion(zoneName, dns.TypeA),
	} {
		tr := New(clock.RealClock{})
		mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{loopback}})
		mustUpdate(t, tr, 1)
		w := &writer{remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
		tr.ServeDNS(w, m)
		if len(w.messages) != 1 || w.messages[0].Rcode != dns.RcodeFormatError {
			t.Errorf("%s: %v", name, w.messages)
		}
	}
}

// Whatever parses is answered, once at least, with what can be packed, without a
// panic; and of two zones the one that the client may have, if any, is given.
func FuzzServeDNS(f *testing.F) {
	const open = "open.example."
	openIXFR := new(dns.Msg).SetIxfr(open, 0, "ns.", "admin.")
	for _, m := range []*dns.Msg{axfr(), ixfr(1), new(dns.Msg).SetAxfr(open), openIXFR, new(dns.Msg).SetQuestion(zoneName, dns.TypeA)} {
		for range 2 {
			wire, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(wire, true)
			f.Add(wire, false)
			m.SetEdns0(1232, false)
			m.SetTsig("transfer.key.", dns.HmacSHA256, 300, 1)
		}
	}
	tr := New(clock.RealClock{})
	mustSet(f, tr, Zone{Name: zoneName, Key: testKey()}, Zone{Name: open, Secondaries: []netip.AddrPort{loopback}})
	for serial := range uint32(3) {
		mustUpdate(f, tr, serial, a("www", byte(serial)))
		apex := soa(serial)
		apex.Hdr.Name = open
		if err := tr.Update(open, append([]dns.RR{apex, a("w.open", 1)}, records(int(serial), 1)...)); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte, udp bool) {
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		w := &writer{remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
		if udp {
			w.remote = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
		}
		if m.IsTsig() != nil {
			w.status = dns.TsigVerifyWithProvider(wire, tr.TSIG(), "", false)
		}
		tr.ServeDNS(w, m)
		if len(w.messages) == 0 {
			t.Fatal("no answer")
		}
		for _, answer := range w.messages {
			if _, err := answer.Pack(); err != nil {
				t.Fatalf("%v: %v", err, answer)
			}
			if len(answer.Answer) > 0 && dns.CanonicalName(answer.Answer[0].Header().Name) != open {
				t.Fatal("it was given the zone that it may not have")
			}
		}
	})
}

// writer collects what is written.
type writer struct {
	dns.ResponseWriter
	remote   net.Addr
	status   error
	written  func()
	messages []*dns.Msg
}

func (w *writer) RemoteAddr() net.Addr { return w.remote }
func (w *writer) Write(wire []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(wire); err != nil {
		return 0, err
	}
	return len(wire), w.WriteMsg(m)
}
func (w *writer) TsigStatus() error   { return w.status }
func (w *writer) TsigTimersOnly(bool) {}
func (w *writer) WriteMsg(m *dns.Msg) error {
	w.messages = append(w.messages, m)
	if w.written != nil {
		w.written()
	}
	return nil
}

// serve serves transfers, and SOA queries from their current version, on loopback
// until the end of the test. It returns the address.
func serve(t testing.TB, tr *Transfers) string {
	t.Helper()
	return serveOn(t, "127.0.0.1:0", tr.TSIG(), handler(tr))
}

func handler(tr *Transfers) dns.HandlerFunc {
	return func(w dns.ResponseWriter, r *dns.Msg) {
		if q := r.Question[0].Qtype; q == dns.TypeAXFR || q == dns.TypeIXFR || w.TsigStatus() != nil {
			tr.ServeDNS(w, r)
			return
		}
		m := new(dns.Msg).SetReply(r)
		m.Authoritative = true
		if s, ok := tr.Status(r.Question[0].Name); ok {
			m.Answer = []dns.RR{soa(s.Serial)}
		}
		if t := r.IsTsig(); t != nil && w.TsigStatus() == nil {
			m.SetTsig(t.Hdr.Name, t.Algorithm, fudge, time.Now().Unix())
		}
		_ = w.WriteMsg(m) // a client that is gone is not this test's concern
	}
}

func serveOn(t testing.TB, addr string, keys dns.TsigProvider, h dns.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for _, s := range []*dns.Server{{Listener: l}, {PacketConn: p}} {
		s.TsigProvider, s.Handler = keys, h
		s.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		running.Go(func() { _ = s.ActivateAndServe() })
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return l.Addr().String()
}

// pull transfers a zone, and returns the records and the number of messages.
func pull(addr string, m *dns.Msg, key *Key) ([]dns.RR, int, error) {
	tr := &dns.Transfer{}
	if key != nil {
		name := dns.CanonicalName(key.Name)
		m.SetTsig(name, dns.CanonicalName(key.Algorithm), 300, time.Now().Unix())
		tr.TsigSecret = map[string]string{name: key.Secret}
	}
	envelopes, err := tr.In(m, addr)
	if err != nil {
		return nil, 0, err
	}
	var records []dns.RR
	n := 0
	for e := range envelopes {
		records, err = append(records, e.RR...), errors.Join(err, e.Error)
		n++
	}
	return records, n, err
}

// records are n hosts, all with one address.
func records(n int, last byte) []dns.RR {
	records := make([]dns.RR, n)
	for i := range records {
		records[i] = a(fmt.Sprintf("host-%d", i), last)
	}
	return records
}

func axfr() *dns.Msg { return new(dns.Msg).SetAxfr(zoneName) }

func ixfr(serial uint32) *dns.Msg {
	return new(dns.Msg).SetIxfr(zoneName, serial, "ns."+zoneName, "admin."+zoneName)
}

func mustSet(t testing.TB, tr *Transfers, zones ...Zone) {
	t.Helper()
	if err := tr.SetZones(zones); err != nil {
		t.Fatal(err)
	}
}

func mustUpdate(t testing.TB, tr *Transfers, serial uint32, records ...dns.RR) {
	t.Helper()
	if err := tr.Update(zoneName, append([]dns.RR{soa(serial)}, records...)); err != nil {
		t.Fatal(err)
	}
}
