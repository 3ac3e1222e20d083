package transfer

import (
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/test/dnspeers"
)

func TestNotifyUntilAcknowledged(t *testing.T) {
	for name, key := range map[string]*Key{"without key": nil, "with key": testKey()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := New(clock.RealClock{})
			s := &secondary{rcode: dns.RcodeServerFailure}
			addr := s.serve(t, tr.TSIG())
			run(t, tr)
			mustUpdate(t, tr, 6) // in either order
			mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{addr}, Key: key})
			dnspeers.Wait(t, "an error", func() bool { return status(t, tr).Secondaries[0].Error != "" })
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

// A secondary that is silent is told ever more slowly, and in the end no more; a
// newer version begins again, nothing else does.
func TestNotifyRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type sent struct {
			after  time.Duration
			serial uint32
		}
		var mu sync.Mutex
		var got []sent
		begin, fails := time.Now(), true
		tr := New(clock.RealClock{})
		tr.send = func(_ context.Context, _ target, soa *dns.SOA, _ *Key) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, sent{time.Since(begin), soa.Serial})
			if fails {
				return errors.New("silence")
			}
			return nil
		}
		fail := func(is bool) { mu.Lock(); fails = is; mu.Unlock() }
		expect := func(what string, pass time.Duration, serial uint32, seconds ...time.Duration) {
			t.Helper()
			<-time.After(pass) // of a clock that does not wait
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			var want []sent
			for _, s := range seconds {
				want = append(want, sent{s * time.Second, serial})
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: sent %v, want %v", what, got, want)
			}
			begin, got = time.Now(), nil
		}
		zones := []Zone{{Name: zoneName, Secondaries: []netip.AddrPort{loopback}}}
		run(t, tr)
		mustSet(t, tr, zones...)
		mustUpdate(t, tr, 1)
		expect("silence", time.Hour, 1, 0, 1, 3, 7, 15, 31, 63)
		mustUpdate(t, tr, 2)
		expect("a new version", 4*time.Second, 2, 0, 1, 3)
		for serial := range uint32(5) {
			mustUpdate(t, tr, 3+serial)
		}
		expect("several at once", 2*time.Second, 7, 0, 1)
		for range 3 { // none of which is news to it
			mustSet(t, tr, zones...)
			mustUpdate(t, tr, 7)
			synctest.Wait()
		}
		expect("nothing new", 2*time.Second, 7, 1)
		fail(false)
		expect("an acknowledgement", time.Hour, 7, 3)
		if !acknowledged(tr, 7) {
			t.Errorf("%+v", status(t, tr))
		}
		mustSet(t, tr, zones...)
		expect("the same zones again", time.Hour, 7)
		if !acknowledged(tr, 7) {
			t.Errorf("forgotten by SetZones: %+v", status(t, tr))
		}
		fail(true)
		mustUpdate(t, tr, 8)
		expect("silence", 2*time.Second, 8, 0, 1)
		mustSet(t, tr, Zone{Name: zoneName})
		expect("taken away", time.Hour, 8)
	})
}

// Only the holder of the key acknowledges.
func TestUnsignedAcknowledgementDoesNotCount(t *testing.T) {
	tr := New(clock.RealClock{})
	s := &secondary{leaveUnsigned: true}
	addr := s.serve(t, tr.TSIG())
	run(t, tr)
	mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{addr}, Key: testKey()})
	mustUpdate(t, tr, 1)
	dnspeers.Wait(t, "an error", func() bool { return status(t, tr).Secondaries[0].Error != "" })
	if got := status(t, tr).Secondaries[0]; !got.At.IsZero() || !strings.Contains(got.Error, "not signed") {
		t.Errorf("%+v", got)
	}
}

func TestSecondaryIsTakenAway(t *testing.T) {
	tr := New(clock.RealClock{})
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
	tr := New(clock.RealClock{})
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
	other := &dns.TSIG{Hdr: dns.RR_Header{Name: dns.CanonicalName(good.Name)}, Algorithm: dns.HmacSHA512}
	if _, err := tr.TSIG().Generate(nil, other); tsigError(err) != dns.RcodeBadKey {
		t.Errorf("a key used with another algorithm: %v", err)
	}
	if tr.keys.knows(&twin) || !tr.keys.knows(good) {
		t.Error("which of two keys of one name is in force is not what the error says")
	}
}

// secondary is a server that counts NOTIFYs.
type secondary struct {
	mu            sync.Mutex
	rcode         int
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
	m := new(dns.Msg).SetRcode(r, s.rcode)
	if t := r.IsTsig(); t != nil && w.TsigStatus() == nil && !s.leaveUnsigned {
		m.SetTsig(t.Hdr.Name, t.Algorithm, fudge, time.Now().Unix())
	}
	_ = w.WriteMsg(m) // a client that is gone is not this test's concern
}

func (s *secondary) answer(rcode int) { s.mu.Lock(); s.rcode = rcode; s.mu.Unlock() }

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
