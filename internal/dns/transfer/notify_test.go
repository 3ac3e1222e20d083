package transfer

import (
	"context"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/test/dnspeers"
)

func TestNotifyUntilAcknowledged(t *testing.T) {
	for name, key := range map[string]*Key{"without key": nil, "with key": testKey()} {
		t.Run(name, func(t *testing.T) {
			tr := New(Config{Retry: 5 * time.Millisecond})
			s := &secondary{rcode: dns.RcodeServerFailure}
			addr := s.serve(t, tr.TSIG())
			run(t, tr)
			mustUpdate(t, tr, 6) // in either order
			mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{addr}, Key: key})
			dnspeers.Wait(t, "three NOTIFYs", func() bool { return len(s.serials()) >= 3 })
			if got := status(t, tr).Secondaries[0]; !got.At.IsZero() || !strings.Contains(got.Error, "SERVFAIL") {
				t.Errorf("status while it does not acknowledge: %+v", got)
			}
			s.answer(dns.RcodeSuccess)
			dnspeers.Wait(t, "acknowledgement", func() bool { return acknowledged(tr, 6) })
			if got := status(t, tr); got.Secondaries[0].Error != "" || got.Secondaries[0].Address != addr || got.Serial != 6 {
				t.Errorf("status afterwards: %+v", got)
			}
			n := len(s.serials())
			mustUpdate(t, tr, 7, a("www", 1))
			dnspeers.Wait(t, "acknowledgement of the next version", func() bool { return acknowledged(tr, 7) })
			if got := s.serials()[n:]; !slices.Equal(got, []uint32{7}) {
				t.Errorf("after an acknowledged version, NOTIFYs of %v, want one of 7", got)
			}
			if s.unsigned() != (key == nil) {
				t.Errorf("NOTIFYs are signed: %v", key == nil)
			}
		})
	}
}

// While a secondary is silent, versions come and go; it hears of the last, after
// the first retries alone, and not again once it was told often enough.
func TestNotifyGivesUpAndBeginsAnew(t *testing.T) {
	tr := New(Config{Retry: time.Millisecond})
	s := &secondary{silent: true}
	addr := s.serve(t, tr.TSIG())
	run(t, tr)
	mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{addr}})
	mustUpdate(t, tr, 1)
	dnspeers.Wait(t, "all retries", func() bool { return len(s.serials()) == 1+retries })
	for serial := range uint32(5) {
		mustUpdate(t, tr, 2+serial)
	}
	dnspeers.Wait(t, "all retries of the last version", func() bool {
		got := s.serials()
		return len(got) > retries && !slices.ContainsFunc(got[len(got)-1-retries:], func(n uint32) bool { return n != 6 })
	})
	// Changes elsewhere are no reason to repeat.
	n := len(s.serials())
	other := soa(1)
	other.Hdr.Name = "other."
	for serial := range uint32(10) {
		other := *other
		other.Serial = serial + 1
		if err := tr.Update("other.", []dns.RR{&other}); err != nil {
			t.Fatal(err)
		}
	}
	s.speak()
	mustUpdate(t, tr, 9)
	dnspeers.Wait(t, "acknowledgement", func() bool { return acknowledged(tr, 9) })
	if got := s.serials()[n:]; !slices.Equal(got, []uint32{9}) {
		t.Errorf("NOTIFYs of %v, want one of 9", got)
	}
}

// Only the holder of the key acknowledges.
func TestUnsignedAcknowledgementDoesNotCount(t *testing.T) {
	tr := New(Config{Retry: time.Millisecond})
	s := &secondary{leaveUnsigned: true}
	addr := s.serve(t, tr.TSIG())
	run(t, tr)
	mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{addr}, Key: testKey()})
	mustUpdate(t, tr, 1)
	dnspeers.Wait(t, "a second NOTIFY", func() bool { return len(s.serials()) > 1 })
	if got := status(t, tr).Secondaries[0]; !got.At.IsZero() || !strings.Contains(got.Error, "not signed") {
		t.Errorf("%+v", got)
	}
}

func TestSecondaryIsTakenAway(t *testing.T) {
	tr := New(Config{Retry: time.Millisecond})
	gone, stays := &secondary{}, &secondary{}
	goneAddr, staysAddr := gone.serve(t, nil), stays.serve(t, nil)
	run(t, tr)
	mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{goneAddr, staysAddr}})
	mustUpdate(t, tr, 1)
	dnspeers.Wait(t, "both know", func() bool { return acknowledged(tr, 1) })
	mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{staysAddr}})
	mustUpdate(t, tr, 2)
	dnspeers.Wait(t, "the other knows", func() bool { return acknowledged(tr, 2) })
	if got := gone.serials(); !slices.Equal(got, []uint32{1}) {
		t.Errorf("the one taken away was told of %v", got)
	}
	mustSet(t, tr)
	if _, ok := tr.Status(zoneName); ok {
		t.Error("a zone taken away has a status")
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	const secret = "not base64, and not to be shown"
	tr := New(Config{})
	good := testKey()
	twin := *good
	twin.Secret = base64.StdEncoding.EncodeToString([]byte("another"))
	err := tr.SetZones([]Zone{
		{Name: "a.", Key: good}, {Name: "b.", Key: &twin},
		{Name: "c.", Key: &Key{Name: "c", Algorithm: "hmac-sha256", Secret: secret}},
		{Name: "d.", Key: &Key{Name: "d", Algorithm: "rot13", Secret: good.Secret}},
		{Name: "e.", Key: &Key{Name: "e", Algorithm: "hmac-sha256", Secret: ""}},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, zone := range []string{"b.", "c.", "d.", "e."} {
		if !strings.Contains(err.Error(), "zone "+zone+" cannot") {
			t.Errorf("zone %s is not named", zone)
		}
	}
	if strings.Contains(err.Error(), "zone a.") || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
	if tr.keys.knows(&twin) || !tr.keys.knows(good) {
		t.Error("which of two keys of one name is in force is not what the error says")
	}
}

// secondary is a server that counts NOTIFYs.
type secondary struct {
	mu            sync.Mutex
	rcode         int
	silent        bool
	leaveUnsigned bool
	got           []*dns.Msg
}

func (s *secondary) serve(t *testing.T, keys dns.TsigProvider) netip.AddrPort {
	t.Helper()
	return netip.MustParseAddrPort(serveOn(t, "127.0.0.1:0", keys, dns.HandlerFunc(s.ServeDNS)))
}

func (s *secondary) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, r)
	if s.silent {
		return
	}
	m := new(dns.Msg).SetRcode(r, s.rcode)
	if t := r.IsTsig(); t != nil && w.TsigStatus() == nil && !s.leaveUnsigned {
		m.SetTsig(t.Hdr.Name, t.Algorithm, fudge, time.Now().Unix())
	}
	_ = w.WriteMsg(m) // a client that is gone is not this test's concern
}

func (s *secondary) answer(rcode int) { s.mu.Lock(); s.rcode = rcode; s.mu.Unlock() }
func (s *secondary) speak()           { s.mu.Lock(); s.silent = false; s.mu.Unlock() }

// serials is those of the NOTIFYs for zoneName.
func (s *secondary) serials() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var serials []uint32
	for _, m := range s.got {
		if m.Opcode == dns.OpcodeNotify && m.Question[0] == (dns.Question{Name: zoneName, Qtype: dns.TypeSOA, Qclass: dns.ClassINET}) {
			serials = append(serials, m.Answer[0].(*dns.SOA).Serial)
		}
	}
	return serials
}

func (s *secondary) unsigned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.got, func(m *dns.Msg) bool { return m.IsTsig() == nil })
}

// run runs it until the end of the test, and waits for that.
func run(t *testing.T, tr *Transfers) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { tr.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

func status(t *testing.T, tr *Transfers) Status {
	t.Helper()
	s, ok := tr.Status(zoneName)
	if !ok {
		t.Fatal("no status")
	}
	return s
}

// acknowledged says whether all secondaries have acknowledged a serial.
func acknowledged(tr *Transfers, serial uint32) bool {
	s, ok := tr.Status(zoneName)
	return ok && !slices.ContainsFunc(s.Secondaries, func(s Secondary) bool { return s.Acknowledged != serial || s.At.IsZero() })
}
