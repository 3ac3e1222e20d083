package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// parse reads a zone's records.
func parse(t testing.TB, text string) []dns.RR {
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

func example(t testing.TB, records string, hosts ...steer.Host) Zone {
	return Zone{
		Name: "Example.org.", SOA: *parse(t, "@ 3600 SOA ns1 admin 7 3600 600 604800 60")[0].(*dns.SOA),
		NS: parse(t, "@ NS ns1"), Records: parse(t, records), Hosts: hosts,
	}
}

func cluster(name string, weight uint32, addresses ...string) steer.Cluster {
	c := steer.Cluster{Name: name, Up: true, Weight: weight}
	for _, a := range addresses {
		c.Addresses = append(c.Addresses, netip.MustParseAddr(a))
	}
	return c
}

func TestWeights(t *testing.T) {
	h := steer.Host{Name: "www.example.org.", TTL: 30, Policy: steer.Weighted, Clusters: []steer.Cluster{
		cluster("one", 1, "192.0.2.1"), cluster("three", 3, "192.0.2.3"), cluster("none", 0, "192.0.2.9"),
	}}
	s := Build(nil, nil, []Zone{example(t, "", h)})
	counts := map[string]int{}
	const draws = 4000
	for i := range uint64(draws) {
		r, a := ask(t, s, "www.example.org.", dns.TypeA, nobodys, i<<32*(1<<32/draws))
		counts[r.Answer[0].(*dns.A).A.String()]++
		if a.Scope != 0 {
			t.Fatal("drawn by weight, and yet for a place")
		}
	}
	if len(counts) != 2 || max(counts["192.0.2.1"], draws/4)-min(counts["192.0.2.1"], draws/4) > 2 {
		t.Errorf("%v, want a quarter of %d", counts, draws)
	}
}

func TestRotation(t *testing.T) {
	h := steer.Host{Name: "www.example.org.", Policy: steer.All, Clusters: []steer.Cluster{
		cluster("a", 0, "192.0.2.1", "192.0.2.2"), cluster("b", 0, "192.0.2.2", "192.0.2.3"),
	}}
	s := Build(nil, nil, []Zone{example(t, "", h)})
	var first []string
	for i := range uint64(3) {
		r, _ := ask(t, s, "www.example.org.", dns.TypeA, nobodys, i)
		if len(r.Answer) != 3 {
			t.Fatal(r)
		}
		first = append(first, r.Answer[0].(*dns.A).A.String())
	}
	if slices.Sort(first); !slices.Equal(first, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
		t.Errorf("first come %v", first)
	}
}

func TestAdditional(t *testing.T) {
	s := Build(nil, nil, []Zone{example(t, `
ns1 A 127.0.0.1
ns1 AAAA ::1
mail MX 10 ns1
sub NS ns.sub
sub NS elsewhere.net.
ns.sub A 192.0.2.53
ns.sub A 192.0.2.54
`)})
	for _, c := range []struct {
		name  string
		rtype uint16
		want  string
	}{
		{"example.org.", dns.TypeNS, "ns1.example.org.\t300\tin\ta\t127.0.0.1 ns1.example.org.\t300\tin\taaaa\t::1"},
		{"mail.example.org.", dns.TypeMX, "ns1.example.org.\t300\tin\ta\t127.0.0.1 ns1.example.org.\t300\tin\taaaa\t::1"},
		{"a.b.sub.example.org.", dns.TypeMX, "ns.sub.example.org.\t300\tin\ta\t192.0.2.53 ns.sub.example.org.\t300\tin\ta\t192.0.2.54"},
	} {
		r, _ := ask(t, s, c.name, c.rtype, nobodys, 0)
		if got := strings.Join(lines(r.Extra), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// What does not fit is left out if it may be; if not, there is nothing but the sign of it.
func TestLimit(t *testing.T) {
	s := Build(nil, nil, []Zone{example(t, "ns1 A 127.0.0.1\nsub NS ns.sub\nns.sub A 192.0.2.53\n")})
	for _, c := range []struct {
		name        string
		needs, more int // bytes for the answer, and for the addresses besides
		truncated   bool
	}{
		{"example.org.", 12 + 17 + 18, 20, false},
		{"sub.example.org.", 12 + 21 + 21, 23, true}, // RFC 9471: glue is part of the answer
	} {
		wire, _ := wireName(c.name)
		message := append(make([]byte, 12, 512), wire+"\x00\x02\x00\x01"...)
		for limit := len(message); limit < 100; limit++ {
			var a Answer
			out := s.Append(message, &Query{Name: []byte(wire), Type: dns.TypeNS, Limit: limit}, &a)
			fits := limit >= c.needs+c.more || !c.truncated && limit >= c.needs
			if len(out) > limit || a.Truncated == fits || a.Truncated && len(out) != len(message) {
				t.Fatalf("%s within %d: %d bytes, %+v", c.name, limit, len(out), a)
			}
		}
	}
}

// One table, and one set of answers, for 10,000 hosts alike; a rebuild takes them over.
func TestSharing(t *testing.T) {
	db := database(t)
	hosts := func(address string) []steer.Host {
		var all []steer.Host
		for i := range 10_000 {
			all = append(all, steer.Host{
				Name: fmt.Sprintf("h%d.example.org.", i), TTL: 30, Clusters: []steer.Cluster{cluster("a", 0, address)},
				Rules: []steer.Rule{{From: geo.Place{Continent: "EU"}, Clusters: []string{"a"}}},
			})
		}
		return all
	}
	first := Build(nil, db, []Zone{example(t, "", hosts("192.0.2.1")...)})
	second := Build(first, db, []Zone{example(t, "", hosts("192.0.2.2")...)})
	if n := len(second.memo.steered); n != 1 {
		t.Errorf("%d answers kept, want one", n)
	}
	one := func(m map[string]*table) *table {
		for _, v := range m {
			return v
		}
		return nil
	}
	if len(second.memo.tables) != 1 || one(first.memo.tables) != one(second.memo.tables) {
		t.Error("the table was made again")
	}
	if second.memo.previous != nil {
		t.Error("all snapshots are kept for ever")
	}
}

func TestRecords(t *testing.T) {
	s := Build(nil, nil, []Zone{example(t, "www A 192.0.2.9\nwww TXT kept\nother.net. A 192.0.2.9\nTXT TXT x\n",
		steer.Host{Name: "www.example.org.", TTL: 30, Policy: steer.All, Clusters: []steer.Cluster{cluster("a", 0, "192.0.2.1", "2001:db8::1")}},
		steer.Host{Name: "lb.example.org.", TTL: 30, Policy: steer.All, Clusters: []steer.Cluster{{Name: "a", Up: true, Hostname: "lb.cloud.net."}}},
	)})
	want := []string{
		"example.org.\t3600\tIN\tSOA\tns1.example.org. admin.example.org. 7 3600 600 604800 60",
		"example.org.\t300\tIN\tNS\tns1.example.org.",
		"www.example.org.\t300\tIN\tTXT\t\"kept\"",
		"txt.example.org.\t300\tIN\tTXT\t\"x\"",
		"www.example.org.\t30\tIN\tA\t192.0.2.1",
		"www.example.org.\t30\tIN\tAAAA\t2001:db8::1",
		"lb.example.org.\t30\tIN\tCNAME\tlb.cloud.net.",
	}
	var got []string
	for _, rr := range s.Records("EXAMPLE.org") {
		got = append(got, rr.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q,\nwant %q", got, want)
	}
	if s.Records("example.net.") != nil {
		t.Error("records of a zone that there is not")
	}
	if z, ok := s.Find("a.b.WWW.example.org"); !ok || z != "example.org." {
		t.Errorf("found %q", z)
	}
	if _, ok := s.Find("example.net."); ok {
		t.Error("found in no zone")
	}
}

// A CNAME chain through names that are compressed, and ones that are not.
func TestChain(t *testing.T) {
	other := Zone{Name: "sub.example.org.", SOA: *parse(t, "@ 3600 SOA ns1 admin 7 3600 600 604800 60")[0].(*dns.SOA),
		Records: parse(t, "a.sub CNAME b\nc.sub CNAME sub\nsub TXT end\n")}
	s := Build(nil, nil, []Zone{example(t, "start CNAME a.sub\nb CNAME c.sub\nself CNAME self\n"), other})
	r, _ := ask(t, s, "start.example.org.", dns.TypeTXT, nobodys, 0)
	var owners []string
	for _, rr := range r.Answer {
		owners = append(owners, rr.Header().Name)
	}
	if want := "start.example.org. a.sub.example.org. b.example.org. c.sub.example.org. sub.example.org."; strings.Join(owners, " ") != want {
		t.Errorf("%v, want %s", owners, want)
	}
	if r, _ := ask(t, s, "self.example.org.", dns.TypeA, nobodys, 0); len(r.Answer) != 1 {
		t.Error(r)
	}
}

func manyHosts(n, generation int) []steer.Host {
	rules := []steer.Rule{{From: geo.Place{Continent: "EU"}, Clusters: []string{"a"}}, {Clusters: []string{"b"}}}
	var hosts []steer.Host
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, byte(generation), byte(i >> 8), byte(i)})
		b := netip.AddrFrom4([4]byte{11, byte(generation), byte(i >> 8), byte(i)})
		hosts = append(hosts, steer.Host{Name: fmt.Sprintf("h%d.example.org.", i), TTL: 30, Rules: rules, Clusters: []steer.Cluster{
			{Name: "a", Up: true, Addresses: []netip.Addr{a}}, {Name: "b", Up: true, Addresses: []netip.Addr{b}},
		}})
	}
	return hosts
}

// BenchmarkBuild is a snapshot of 10,000 routes: all of them changed, a hundredth, none.
func BenchmarkBuild(b *testing.B) {
	db := database(b)
	old := Build(nil, db, []Zone{example(b, "", manyHosts(10_000, 0)...)})
	for name, changed := range map[string]int{"all": 10_000, "hundredth": 100, "none": 0} {
		hosts := append(manyHosts(changed, 1), manyHosts(10_000, 0)[changed:]...)
		z := []Zone{example(b, "", hosts...)}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Build(old, db, z)
			}
		})
	}
}

// What BenchmarkBuild takes depends on the machine; how much is made for a changed host does not.
func TestBuildMakesLittle(t *testing.T) {
	db := database(t)
	const hosts = 2000
	old := Build(nil, db, []Zone{example(t, "", manyHosts(hosts, 0)...)})
	for name, c := range map[string]struct{ generation, most int }{"changed": {1, 16}, "as before": {0, 3}} {
		z := []Zone{example(t, "", manyHosts(hosts, c.generation)...)}
		if n := testing.AllocsPerRun(3, func() { Build(old, db, z) }) / hosts; n > float64(c.most) {
			t.Errorf("%.1f allocations for a host that is %s, want at most %d", n, name, c.most)
		}
	}
}

// A delegation hides those below it.
func TestNestedDelegations(t *testing.T) {
	s := Build(nil, nil, []Zone{example(t, "sub NS ns.net.\nlower.sub NS other.net.\n")})
	if r, _ := ask(t, s, "x.lower.sub.example.org.", dns.TypeA, nobodys, 0); len(r.Ns) != 1 || r.Ns[0].Header().Name != "sub.example.org." {
		t.Error(r)
	}
}

// Where a zone of ours begins, the zone above answers for DS, also at the end of a chain.
func TestChainToDS(t *testing.T) {
	child := Zone{Name: "sub.example.org.", SOA: *parse(t, "@ 3600 SOA ns1 admin 7 3600 600 604800 60")[0].(*dns.SOA), Records: parse(t, "a.sub CNAME sub\n")}
	s := Build(nil, nil, []Zone{example(t, ""), child})
	if r, _ := ask(t, s, "a.sub.example.org.", dns.TypeDS, nobodys, 0); len(r.Ns) != 1 || r.Ns[0].Header().Name != "example.org." {
		t.Error(r)
	}
}

// Hosts that differ in anything do not share their answers.
func TestNotSharing(t *testing.T) {
	host := func(name string, change func(*steer.Host)) steer.Host {
		h := steer.Host{Name: name + ".example.org.", TTL: 30, Policy: steer.All, Clusters: []steer.Cluster{cluster("a", 0, "192.0.2.1")}}
		change(&h)
		return h
	}
	s := Build(nil, nil, []Zone{example(t, "",
		host("plain", func(*steer.Host) {}),
		host("ttl", func(h *steer.Host) { h.TTL = 31 }),
		host("named", func(h *steer.Host) { h.Clusters[0].Hostname = "lb.net." }),
		host("other", func(h *steer.Host) { h.Clusters[0].Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.2")} }),
	)})
	for name, want := range map[string]string{"plain": "30\tIN\tA\t192.0.2.1", "ttl": "31\tIN\tA\t192.0.2.1", "named": "30\tIN\tCNAME\tlb.net.", "other": "30\tIN\tA\t192.0.2.2"} {
		if r, _ := ask(t, s, name+".example.org.", dns.TypeA, nobodys, 0); r.Answer[0].String() != name+".example.org.\t"+want {
			t.Errorf("%v, want %s", r.Answer, want)
		}
	}
}
