package server

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/cookie"
	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/ratelimit"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/dns/zone"
)

// records parses a zone's records, a line each.
func records(t testing.TB, text string) []dns.RR {
	t.Helper()
	var all []dns.RR
	p := dns.NewZoneParser(strings.NewReader(text), "example.org.", "")
	p.SetDefaultTTL(300)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		all = append(all, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func soa(t testing.TB) dns.SOA {
	return *records(t, "@ 3600 SOA ns1 hostmaster 7 3600 600 604800 60")[0].(*dns.SOA)
}

// clusters are one in each of three continents.
func clusters() []steer.Cluster {
	return []steer.Cluster{
		{Name: "america", Up: true, Weight: 1, Addresses: addresses("198.51.100.1", "198.51.100.2", "2001:db8:a::1")},
		{Name: "europe", Up: true, Weight: 2, Addresses: addresses("192.0.2.1", "2001:db8:e::1")},
		{Name: "asia", Up: true, Weight: 1, Addresses: addresses("203.0.113.1")},
	}
}

func addresses(all ...string) []netip.Addr {
	var parsed []netip.Addr
	for _, a := range all {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	return parsed
}

func continents() []steer.Rule {
	return []steer.Rule{
		{From: geo.Place{Continent: "NA"}, Clusters: []string{"america"}},
		{From: geo.Place{Continent: "EU"}, Clusters: []string{"europe", "america"}},
		{From: geo.Place{Continent: "AS"}, Clusters: []string{"asia"}},
		{Clusters: []string{"america"}},
	}
}

// exampleZone has one of everything.
func exampleZone(t testing.TB) zone.Zone {
	return zone.Zone{
		Name: "example.org.", SOA: soa(t),
		NS: records(t, "@ NS ns1\n@ NS ns.example.net."),
		Records: records(t, `
ns1 A 127.0.0.1
ns1 AAAA ::1
text TXT "Hello, World"
mail MX 10 ns1
a.b.c A 192.0.2.9
chain CNAME www
sub NS ns.sub
ns.sub A 192.0.2.53
*.wild TXT "wild"
`+large()),
		Hosts: []steer.Host{
			{Name: "www.example.org.", TTL: 30, Rules: continents(), Clusters: clusters()},
			{Name: "*.apps.example.org.", TTL: 30, Rules: continents(), Clusters: clusters()},
			{Name: "weighted.example.org.", TTL: 30, Policy: steer.Weighted, Clusters: clusters()},
			{Name: "all.example.org.", TTL: 30, Policy: steer.All, Clusters: clusters()},
		},
	}
}

// large is an RRset that does not fit into a UDP message.
func large() string {
	var b strings.Builder
	for i := range 40 {
		b.WriteString("large TXT \"" + strings.Repeat(string(rune('a'+i%26)), 60+i) + "\"\n")
	}
	return b.String()
}

// database is the embedded one.
func database(t testing.TB) *geo.DB {
	t.Helper()
	db, err := geo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// start serves the zones on loopback until the test ends.
func start(t testing.TB, c Config, zones ...zone.Zone) (*Server, string) {
	t.Helper()
	if c.Listen == nil {
		c.Listen = []string{"127.0.0.1:0"}
	}
	c.Clock = clock.RealClock{}
	s := New(c)
	s.Swap(zone.Build(nil, database(t), zones))
	at, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, at[0]
}

// full is a Config with everything that the hub has.
func full() Config {
	return Config{Clock: clock.RealClock{}, Cookies: cookie.New([16]byte{1}), Limiter: ratelimit.New(ratelimit.Config{PerSecond: 1 << 20, Slip: 2})}
}

// ask asks over the network ("udp" or "tcp").
func ask(t testing.TB, at, network, name string, rtype uint16, change ...func(*dns.Msg)) *dns.Msg {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, rtype)
	for _, c := range change {
		c(q)
	}
	client := &dns.Client{Net: network}
	r, _, err := client.Exchange(q, at)
	if err != nil {
		t.Fatalf("%s %s by %s: %v", name, dns.TypeToString[rtype], network, err)
	}
	return r
}

// subnet adds an ECS option.
func subnet(prefix string) func(*dns.Msg) {
	p := netip.MustParsePrefix(prefix)
	family := uint16(1)
	if p.Addr().Is6() {
		family = 2
	}
	return func(m *dns.Msg) {
		m.SetEdns0(1232, false)
		opt := m.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice(),
		})
	}
}

func TestServe(t *testing.T) {
	s, at := start(t, full(), exampleZone(t))
	for _, network := range []string{"udp", "tcp"} {
		r := ask(t, at, network, "www.example.org.", dns.TypeA, subnet("185.17.0.0/24"))
		if len(r.Answer) != 1 || !r.Authoritative || r.Answer[0].(*dns.A).A.String() != "192.0.2.1" {
			t.Fatal(r)
		}
		scope := r.IsEdns0().Option[0].(*dns.EDNS0_SUBNET).SourceScope
		if scope == 0 || scope > 24 {
			t.Errorf("scope %d", scope)
		}
		if r := ask(t, at, network, "nothing.example.org.", dns.TypeA); r.Rcode != dns.RcodeNameError || len(r.Ns) != 1 {
			t.Error(r)
		}
		if r := ask(t, at, network, "chain.example.org.", dns.TypeA, subnet("8.8.8.0/24")); len(r.Answer) != 3 {
			t.Error(r)
		}
	}
	if n := s.Stats().TCP; n != 3 {
		t.Errorf("%d by TCP", n)
	}
}

func TestTruncated(t *testing.T) {
	_, at := start(t, full(), exampleZone(t))
	if r := ask(t, at, "udp", "large.example.org.", dns.TypeTXT); !r.Truncated || len(r.Answer) != 0 {
		t.Error(r)
	}
	if r := ask(t, at, "tcp", "large.example.org.", dns.TypeTXT); r.Truncated || len(r.Answer) != 40 {
		t.Error(r)
	}
}
