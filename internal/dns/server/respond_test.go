package server

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/cookie"
	"github.com/hanse-dev/hanse/internal/dns/ratelimit"
	"github.com/hanse-dev/hanse/internal/dns/zone"
)

// client is an address that the tests' queries come from, in a documentation network.
var client = netip.MustParseAddr("192.0.2.77") //nolint:gochecknoglobals // a constant but for its type

func newTestResponder(t testing.TB, c Config) *responder {
	t.Helper()
	c.Clock = clock.RealClock{}
	s := New(c)
	s.Swap(zone.Build(nil, database(t), []zone.Zone{exampleZone(t)}))
	return newResponder(s, s.newCounters())
}

// respondTo gives the response to a packed message; nil if there is none.
func respondTo(t testing.TB, r *responder, m []byte) *dns.Msg {
	t.Helper()
	out, what := r.respond(m, make([]byte, 0, outSize), client, time.Now(), false)
	if what != send {
		return nil
	}
	response := new(dns.Msg)
	if err := response.Unpack(out); err != nil {
		t.Fatalf("the response to %x is malformed: %v: %x", m, err, out)
	}
	return response
}

func query(t testing.TB, name string, rtype uint16, change ...func(*dns.Msg)) []byte {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, rtype)
	for _, c := range change {
		c(q)
	}
	m, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func edns(m *dns.Msg) { m.SetEdns0(4096, true) }

// Headers of all kinds.
func TestHeaders(t *testing.T) {
	r := newTestResponder(t, full())
	plain := query(t, "WwW.Example.ORG.", dns.TypeA)
	change := func(at int, to byte) []byte { m := slices.Clone(plain); m[at] = to; return m }
	class := func(name string, class uint16) []byte {
		return query(t, name, dns.TypeTXT, func(m *dns.Msg) { m.Question[0].Qclass = class })
	}
	twoSignatures := query(t, "www.example.org.", dns.TypeA, func(m *dns.Msg) {
		for range 2 {
			m.Extra = append(m.Extra, &dns.TSIG{
				Hdr: dns.RR_Header{Name: "key.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: dns.HmacSHA256, OrigId: m.Id,
			})
		}
	})
	end := len(plain)
	for name, c := range map[string]struct {
		m     []byte
		rcode int // -1: no response
	}{
		"query":                 {plain, dns.RcodeSuccess},
		"response":              {change(2, 0x80), -1},
		"nothing":               {nil, -1},
		"half a header":         {plain[:11], -1},
		"header only":           {plain[:12], dns.RcodeFormatError},
		"cut off":               {plain[:end-1], dns.RcodeFormatError},
		"garbage behind":        {append(slices.Clone(plain), 0), dns.RcodeFormatError},
		"two questions":         {change(5, 2), dns.RcodeFormatError},
		"no question":           {change(5, 0), dns.RcodeFormatError},
		"with an answer":        {change(7, 1), dns.RcodeFormatError},
		"missing additional":    {change(11, 1), dns.RcodeFormatError},
		"pointer in question":   {change(12, 0xC0), dns.RcodeFormatError},
		"label too long":        {change(12, 64), dns.RcodeFormatError},
		"two signatures":        {twoSignatures, dns.RcodeFormatError},
		"IQUERY":                {change(2, 1<<3), dns.RcodeNotImplemented},
		"STATUS":                {change(2, 2<<3), dns.RcodeNotImplemented},
		"NOTIFY":                {change(2, 4<<3), dns.RcodeNotImplemented},
		"UPDATE":                {change(2, 5<<3), dns.RcodeNotImplemented},
		"version.bind":          {class("version.bind.", dns.ClassCHAOS), dns.RcodeRefused},
		"hostname.bind":         {class("hostname.bind.", dns.ClassCHAOS), dns.RcodeRefused},
		"id.server":             {class("id.server.", dns.ClassCHAOS), dns.RcodeRefused},
		"class ANY":             {class("www.example.org.", dns.ClassANY), dns.RcodeRefused},
		"elsewhere":             {query(t, "example.net.", dns.TypeA), dns.RcodeRefused},
		"the zone above":        {query(t, "org.", dns.TypeA), dns.RcodeRefused},
		"the root":              {query(t, ".", dns.TypeNS), dns.RcodeRefused},
		"AXFR":                  {query(t, "example.org.", dns.TypeAXFR), dns.RcodeRefused},
		"MAILB":                 {query(t, "example.org.", dns.TypeMAILB), dns.RcodeNotImplemented},
		"OPT as type":           {query(t, "example.org.", dns.TypeOPT), dns.RcodeFormatError},
		"longest name":          {query(t, strings.Repeat("a.", 121)+"example.org.", dns.TypeA), dns.RcodeNameError},
		"below a name":          {query(t, "x.www.example.org.", dns.TypeA), dns.RcodeNameError},
		"an empty non-terminal": {query(t, "b.c.example.org.", dns.TypeA), dns.RcodeSuccess},
	} {
		response := respondTo(t, r, c.m)
		switch {
		case (response == nil) != (c.rcode < 0):
			t.Errorf("%s: %v", name, response)
		case response == nil:
		case response.Rcode != c.rcode || !response.Response || response.RecursionAvailable || response.Opcode != int(c.m[2]>>3&15) ||
			response.RecursionDesired != (c.m[2]&1 != 0) || response.Id != uint16(c.m[0])<<8|uint16(c.m[1]):
			t.Errorf("%s: %v", name, response)
		}
	}
	if response := respondTo(t, r, plain); response.Question[0].Name != "WwW.Example.ORG." || response.Answer[0].Header().Name != "WwW.Example.ORG." {
		t.Errorf("the case is not kept: %v", response)
	}
}

// option is an EDNS option as it is on the wire.
func option(code uint16, hexData string) func(*dns.Msg) {
	data, err := hex.DecodeString(strings.ReplaceAll(hexData, " ", ""))
	if err != nil {
		panic(err)
	}
	return func(m *dns.Msg) {
		if m.IsEdns0() == nil {
			m.SetEdns0(1232, false)
		}
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: code, Data: data})
	}
}

func TestSubnets(t *testing.T) {
	r := newTestResponder(t, full())
	for name, c := range map[string]struct {
		data  string
		rcode int
		want  string // the address that is answered
	}{
		"Europe":                 {"0001 18 00 b91100", 0, "192.0.2.1"},
		"Asia":                   {"0001 18 00 010010", 0, "203.0.113.1"},
		"Europe, IPv6":           {"0002 30 00 2a0114f80000", 0, "192.0.2.1"},
		"mapped":                 {"0002 78 00 00000000000000000000ffffb91100", 0, "192.0.2.1"},
		"nowhere":                {"0001 18 00 0a0000", 0, "198.51.100"},
		"not to be located":      {"0001 00 00", 0, "198.51.100"},
		"not located, no family": {"0000 00 00", 0, "198.51.100"},
		"too short":              {"0001 18", dns.RcodeFormatError, ""},
		"too few octets":         {"0001 18 00 b911", dns.RcodeFormatError, ""},
		"too many octets":        {"0001 18 00 b9110000", dns.RcodeFormatError, ""},
		"bits behind":            {"0001 14 00 b91108", dns.RcodeFormatError, ""},
		"a scope":                {"0001 18 18 b91100", dns.RcodeFormatError, ""},
		"too many bits":          {"0001 21 00 b911000000", dns.RcodeFormatError, ""},
		"unknown family":         {"0003 18 00 b91100", dns.RcodeFormatError, ""},
	} {
		response := respondTo(t, r, query(t, "www.example.org.", dns.TypeA, option(8, c.data)))
		if response.Rcode != c.rcode {
			t.Errorf("%s: %v", name, response)
			continue
		}
		if c.rcode != 0 {
			continue
		}
		got := response.Answer[0].(*dns.A).A.String()
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		sent := strings.ReplaceAll(c.data, " ", "")
		o, err := (&dns.Msg{Extra: []dns.RR{response.IsEdns0()}}).Pack()
		if err != nil {
			t.Fatal(err)
		}
		echoed := hex.EncodeToString(o[12+11+4:])
		if echoed[:6] != sent[:6] || echoed[8:] != sent[8:] {
			t.Errorf("%s: %s was sent, %s came back", name, sent, echoed)
		}
		if located := strings.Contains(name, "Europe") || name == "Asia" || name == "mapped"; located != (echoed[6:8] != "00") && name != "nowhere" {
			t.Errorf("%s: scope %s", name, echoed[6:8])
		}
	}
}

// A scope is for what depends on the place only, and no finer than what the client gave away.
func TestScope(t *testing.T) {
	r := newTestResponder(t, full())
	for _, name := range []string{"weighted.example.org.", "all.example.org.", "text.example.org.", "nothing.example.org."} {
		response := respondTo(t, r, query(t, name, dns.TypeA, option(8, "0001 18 00 b91100")))
		if s := response.IsEdns0().Option[0].(*dns.EDNS0_SUBNET).SourceScope; s != 0 {
			t.Errorf("%s: scope %d", name, s)
		}
	}
	db := database(t)
	fine := 0
	for i := range uint32(1 << 16) {
		x := i * 65521
		a := [4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)}
		_, length := db.Lookup(netip.AddrFrom4(a))
		if length <= 24 {
			continue
		}
		fine++
		for _, bits := range []uint8{24, 32} {
			p, err := netip.AddrFrom4(a).Prefix(int(bits))
			if err != nil {
				t.Fatal(err)
			}
			response := respondTo(t, r, query(t, "www.example.org.", dns.TypeA, subnet(p.String())))
			if s := response.IsEdns0().Option[0].(*dns.EDNS0_SUBNET).SourceScope; s > bits || bits == 32 && int(s) != length {
				t.Errorf("%s in a /%d: scope %d", p, length, s)
			}
		}
	}
	if fine == 0 {
		t.Error("no network smaller than a /24 was found")
	}
}

func TestEDNS(t *testing.T) {
	r := newTestResponder(t, full())
	o := respondTo(t, r, query(t, "text.example.org.", dns.TypeTXT, edns)).IsEdns0()
	if o == nil || o.UDPSize() != maximumUDP || !o.Do() || o.Version() != 0 || len(o.Option) != 0 {
		t.Error(o)
	}
	if respondTo(t, r, query(t, "text.example.org.", dns.TypeTXT)).IsEdns0() != nil {
		t.Error("an OPT record for a client that sent none")
	}
	bad := respondTo(t, r, query(t, "text.example.org.", dns.TypeTXT, edns, func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }))
	if bad.Rcode != dns.RcodeBadVers || len(bad.Answer) != 0 || bad.IsEdns0().Version() != 0 {
		t.Error(bad)
	}
	unknown := respondTo(t, r, query(t, "text.example.org.", dns.TypeTXT, option(65001, "0102")))
	if unknown.Rcode != 0 || len(unknown.IsEdns0().Option) != 0 {
		t.Error(unknown)
	}
	two := respondTo(t, r, query(t, "text.example.org.", dns.TypeTXT, edns, func(m *dns.Msg) { m.Extra = append(m.Extra, dns.Copy(m.Extra[0])) }))
	if two.Rcode != dns.RcodeFormatError {
		t.Error(two)
	}
	any := respondTo(t, r, query(t, "www.example.org.", dns.TypeANY))
	if len(any.Answer) != 1 || any.Answer[0].(*dns.HINFO).Cpu != "RFC8482" {
		t.Error(any)
	}
}

func TestCookies(t *testing.T) {
	c := full()
	c.Limiter = ratelimit.New(ratelimit.Config{PerSecond: 1, Slip: 2})
	r := newTestResponder(t, c)
	const mine = "0102030405060708"
	first := respondTo(t, r, query(t, "text.example.org.", dns.TypeTXT, option(10, mine)))
	got := first.IsEdns0().Option[0].(*dns.EDNS0_COOKIE).Cookie
	if len(got) != 2*(cookie.ClientLen+cookie.ServerLen) || got[:16] != mine {
		t.Fatal(first)
	}
	for i := range 100 {
		if response := respondTo(t, r, query(t, "text.example.org.", dns.TypeTXT, option(10, got))); response == nil || response.Truncated {
			t.Fatalf("a client with a cookie was limited at answer %d", i)
		}
	}
	limited := 0
	for range 100 {
		wrong := got[:46] + "00"
		if response := respondTo(t, r, query(t, "text.example.org.", dns.TypeTXT, option(10, wrong))); response == nil || response.Truncated {
			limited++
		}
	}
	if limited < 90 {
		t.Errorf("%d of 100 with a wrong cookie were limited", limited)
	}
	for _, malformed := range []string{"", "01020304050607", mine + "00", mine + strings.Repeat("00", 33)} {
		if response := respondTo(t, r, query(t, "large.example.org.", dns.TypeA, option(10, malformed))); response != nil && response.Rcode != dns.RcodeFormatError && !response.Truncated {
			t.Errorf("%s: %v", malformed, response)
		}
	}
	// Only the cookie is asked for (RFC 7873, section 5.4).
	only := respondTo(t, newTestResponder(t, full()), query(t, ".", dns.TypeA, option(10, mine), func(m *dns.Msg) { m.Question = nil }))
	if only.Rcode != 0 || len(only.IsEdns0().Option) != 1 {
		t.Error(only)
	}
}

func TestRateLimit(t *testing.T) {
	c := full()
	c.Limiter = ratelimit.New(ratelimit.Config{PerSecond: 5, Slip: 2})
	r := newTestResponder(t, c)
	var sent, slipped, dropped int
	for range 100 {
		switch response := respondTo(t, r, query(t, "nothing.example.org.", dns.TypeA)); {
		case response == nil:
			dropped++
		case response.Truncated:
			slipped++
			if len(response.Ns) != 0 {
				t.Error(response)
			}
		default:
			sent++
		}
	}
	if sent < 5 || sent > 10 || slipped < 40 || dropped < 40 {
		t.Errorf("%d sent, %d truncated, %d dropped", sent, slipped, dropped)
	}
	if response := respondTo(t, r, query(t, "text.example.org.", dns.TypeTXT)); response == nil || response.Truncated {
		t.Error("one kind of answer takes the rate of another")
	}
}

func TestNoSnapshot(t *testing.T) {
	s := New(full())
	if response := respondTo(t, newResponder(s, s.newCounters()), query(t, "www.example.org.", dns.TypeA)); response.Rcode != dns.RcodeServerFailure {
		t.Error(response)
	}
}

// No query that has an answer allocates.
func TestAllocations(t *testing.T) {
	r := newTestResponder(t, full())
	out, now := make([]byte, 0, outSize), time.Now()
	for name, m := range map[string][]byte{
		"plain":      query(t, "www.example.org.", dns.TypeA),
		"ECS":        query(t, "www.example.org.", dns.TypeAAAA, subnet("185.17.0.0/24")),
		"ECS, IPv6":  query(t, "www.example.org.", dns.TypeAAAA, subnet("2a01:4f8::/48")),
		"cookie":     query(t, "www.example.org.", dns.TypeA, option(10, "0102030405060708")),
		"wildcard":   query(t, "a.b.apps.example.org.", dns.TypeA),
		"weighted":   query(t, "weighted.example.org.", dns.TypeA),
		"chain":      query(t, "chain.example.org.", dns.TypeA),
		"delegation": query(t, "x.sub.example.org.", dns.TypeA),
		"NXDOMAIN":   query(t, "x.y.z.example.org.", dns.TypeA, edns),
		"NODATA":     query(t, "text.example.org.", dns.TypeA),
		"truncated":  query(t, "large.example.org.", dns.TypeTXT),
		"refused":    query(t, "example.net.", dns.TypeA),
		"malformed":  query(t, "www.example.org.", dns.TypeA)[:20],
		"any":        query(t, "www.example.org.", dns.TypeANY),
	} {
		if n := testing.AllocsPerRun(100, func() { r.respond(m, out, client, now, false) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkRespond(b *testing.B) {
	r := newTestResponder(b, full())
	out, now := make([]byte, 0, outSize), time.Now()
	for name, m := range map[string][]byte{
		"plain":    query(b, "www.example.org.", dns.TypeA),
		"ECS":      query(b, "www.example.org.", dns.TypeA, subnet("185.17.0.0/24")),
		"NXDOMAIN": query(b, "x.example.org.", dns.TypeA),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.respond(m, out, client, now, false)
			}
		})
	}
}

// FuzzQuery has it that there is a response that others can read, or none.
func FuzzQuery(f *testing.F) {
	f.Add(query(f, "www.example.org.", dns.TypeA))
	f.Add(query(f, "a.apps.example.org.", dns.TypeAAAA, subnet("185.17.0.0/24"), option(10, "0102030405060708")))
	f.Add(query(f, "chain.example.org.", dns.TypeA, edns))
	f.Add(query(f, "x.sub.example.org.", dns.TypeANY, option(12, "000000")))
	f.Add(query(f, "example.org.", dns.TypeIXFR, func(m *dns.Msg) {
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: 1}}}
	}))
	f.Add(query(f, "example.org.", dns.TypeSOA, func(m *dns.Msg) { m.SetTsig("key.", dns.HmacSHA256, 300, 1) }))
	r := newTestResponder(f, full())
	f.Fuzz(func(t *testing.T, m []byte) {
		for _, tcp := range []bool{false, true} {
			out, what := r.respond(m, make([]byte, 0, outSize), client, time.Now(), tcp)
			if what != send {
				continue
			}
			response := new(dns.Msg)
			if err := response.Unpack(out); err != nil {
				t.Fatalf("%v: %x", err, out)
			}
			if limit := maximumUDP; !tcp && (len(out) > limit || response.IsEdns0() == nil && len(out) > minimumUDP) {
				t.Fatalf("%d bytes by UDP", len(out))
			}
			if !response.Response || response.Id != uint16(m[0])<<8|uint16(m[1]) {
				t.Fatal(response)
			}
			q := new(dns.Msg)
			if q.Unpack(m) == nil && len(q.Question) == 1 && len(response.Question) == 1 && q.Question[0] != response.Question[0] {
				t.Fatalf("%v was asked, %v answered", q.Question, response.Question)
			}
		}
	})
}

// What the client takes counts, within limits.
func TestSizes(t *testing.T) {
	z := exampleZone(t)
	for i := range 10 { // 700 bytes or so
		z.Records = append(z.Records, records(t, "medium TXT \""+strings.Repeat(string(rune('a'+i)), 55)+"\"")...)
	}
	s := New(full())
	s.Swap(zone.Build(nil, database(t), []zone.Zone{z}))
	r := newResponder(s, s.newCounters())
	for size, fits := range map[uint16]bool{0: false, 1: false, 600: false, 1000: true, 4096: true} {
		m := query(t, "medium.example.org.", dns.TypeTXT, func(m *dns.Msg) {
			if size > 0 {
				m.SetEdns0(size, false)
			}
		})
		if response := respondTo(t, r, m); response.Truncated == fits || fits != (len(response.Answer) == 10) {
			t.Errorf("%d bytes: %v", size, response)
		}
	}
}
