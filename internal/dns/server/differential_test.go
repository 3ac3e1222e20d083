package server

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/dns/zone"
	"github.com/hanse-dev/hanse/test/dnspeers"
)

// queries are 100,000 where there is time.
func queries() int {
	if os.Getenv("CI") == "true" {
		return 100_000
	}
	return 10_000
}

// The same zone in Knot and in BIND gives the same answers to many queries.
func TestDifferential(t *testing.T) {
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	z, names := randomZone(t, random)
	file := masterFile(zone.Build(nil, nil, []zone.Zone{z}).Records(z.Name))
	_, at := start(t, full(), z)
	// As a secondary, BIND does not mind names that it would not have in a file of its own.
	knot := dnspeers.Knot(t, dnspeers.Config{Zone: "example.org", File: file, Transfers: true})
	servers := map[string]*dnspeers.Server{"Knot": knot, "BIND": dnspeers.BIND(t, dnspeers.Config{Zone: "example.org", Primary: knot.Addr})}
	for name, s := range servers {
		dnspeers.Wait(t, name+" serves the zone", func() bool { _, ok := s.Serial(); return ok })
	}
	var all sync.WaitGroup
	for range 4 {
		seed := random.Uint64()
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 2))
			ours, peers := newPeer(t, at), map[string]*peer{}
			for name, s := range servers {
				peers[name] = newPeer(t, s.Addr)
			}
			for range queries() / 4 {
				q := randomQuery(r, names)
				got := ours.ask(t, q)
				for name, p := range peers {
					if t.Failed() {
						return
					}
					want := p.ask(t, q)
					if name == "Knot" {
						checkAdditional(t, q, got, want)
					}
					if len(got.Answer) > 0 && len(want.Answer) > 0 && (aliasesTurn(got.Answer) || aliasesTurn(want.Answer)) {
						continue // each gives up at another point: BIND with SERVFAIL, Knot with an alias twice
					}
					if outline(got, q, name) != outline(want, q, name) {
						t.Errorf("ours\n%s\n%s\n%s", outline(got, q, name), name, outline(want, q, name))
					}
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.Logf("zone\n%s", file)
	}
}

func masterFile(records []dns.RR) string {
	var b strings.Builder
	for _, rr := range records {
		fmt.Fprintln(&b, rr)
	}
	return b.String()
}

// randomZone has one of everything many times, and is one that others load: nothing beside a CNAME, no NS at a wildcard.
func randomZone(t *testing.T, r *rand.Rand) (zone.Zone, []string) {
	z := exampleZone(t)
	// What is drawn by weight is another each time.
	z.Hosts = slices.DeleteFunc(z.Hosts, func(h steer.Host) bool { return h.Policy == steer.Weighted })
	taken := map[string]bool{}
	var names []string
	for _, rr := range z.Records {
		taken[rr.Header().Name] = true
		names = append(names, rr.Header().Name)
	}
	for _, h := range z.Hosts {
		taken[h.Name] = true
		names = append(names, h.Name)
	}
	z.Records = append(z.Records, records(t, "turn.example.org. CNAME about.example.org.\nabout.example.org. CNAME turn.example.org.\n*.turn.example.org. CNAME a.turn.example.org.")...)
	names = append(names, "turn.example.org.", "about.example.org.", "*.turn.example.org.", "b.turn.example.org.")
	for range 400 {
		name := randomName(r)
		if taken[name] {
			continue
		}
		taken[name] = true
		names = append(names, name)
		target := randomName(r)
		switch kind := r.IntN(12); {
		case kind < 2:
			z.Hosts = append(z.Hosts, steer.Host{Name: name, TTL: 20, Rules: continents(), Clusters: clusters()})
		case kind < 3:
			z.Hosts = append(z.Hosts, steer.Host{Name: name, TTL: 20, Policy: steer.All, Clusters: []steer.Cluster{{Name: "lb", Up: true, Hostname: target}}})
		case kind < 5:
			z.Records = append(z.Records, records(t, name+" CNAME "+target)...)
		case kind < 6 && !strings.Contains(name, "*"):
			z.Records = append(z.Records, records(t, name+" NS ns."+name+"\nns."+name+" A 192.0.2.7\n"+name+" NS elsewhere.net.")...)
			taken["ns."+name] = true
		case kind < 7 && !strings.Contains(name, "*"):
			z.Records = append(z.Records, records(t, name+" NS ns1.example.org.\n"+name+" DS 1 8 2 "+strings.Repeat("0A", 32))...)
		default:
			z.Records = append(z.Records, records(t, fmt.Sprintf("%[1]s A 192.0.2.%[2]d\n%[1]s TXT \"some text\" \"more\"\n%[1]s 60 MX 10 %[3]s\n%[1]s MX 20 mail.elsewhere.net.\n%[1]s SRV 1 2 443 %[3]s",
				name, r.IntN(250), target))...)
		}
	}
	return z, names
}

func randomName(r *rand.Rand) string {
	labels := []string{"a", "b", "c", "long-label", "*", "x", "y"}
	name := "example.org."
	for range 1 + r.IntN(4) {
		name = labels[r.IntN(len(labels))] + "." + name
	}
	return name
}

func randomQuery(r *rand.Rand, names []string) *dns.Msg {
	name := names[r.IntN(len(names))]
	switch r.IntN(8) {
	case 0:
		name = randomName(r)
	case 1:
		name = "new." + name
	case 2:
		name = "a.b.c.d.e.f." + name
	case 3:
		if _, above, _ := strings.Cut(name, "."); dns.IsSubDomain("example.org.", above) {
			name = above
		}
	case 4:
		name = "*." + name
	}
	mixed := []byte(name)
	for i := range mixed {
		if r.IntN(2) == 0 {
			mixed[i] = strings.ToUpper(string(mixed[i]))[0]
		}
	}
	types := []uint16{dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeSRV, dns.TypeNS, dns.TypeCNAME, dns.TypeSOA, dns.TypeDS, dns.TypePTR, dns.TypeCAA, 65280}
	q := new(dns.Msg)
	q.SetQuestion(string(mixed), types[r.IntN(len(types))])
	q.RecursionDesired = false
	q.SetEdns0(1232, false)
	return q
}

// text is records in an order of their own.
func text(records []dns.RR) []string {
	var all []string
	for _, rr := range records {
		if rr.Header().Rrtype != dns.TypeOPT {
			all = append(all, strings.ToLower(rr.String()))
		}
	}
	slices.Sort(all)
	return all
}

// checkAdditional has it that nothing is additional that Knot does not have, and that no glue is missing. Knot adds
// what is optional in other cases, too.
func checkAdditional(t *testing.T, q, ours, knot *dns.Msg) {
	mine, theirs := text(ours.Extra), text(knot.Extra)
	referral := len(ours.Answer) == 0 && !ours.Authoritative
	for _, line := range mine {
		if !slices.Contains(theirs, line) {
			t.Errorf("%v: %s is additional, but not in Knot", q.Question, line)
		}
	}
	if referral && len(mine) != len(theirs) {
		t.Errorf("%v: %q is the glue, %q in Knot", q.Question, mine, theirs)
	}
}

// aliasesTurn says whether the aliases in an answer lead back to one of them.
func aliasesTurn(answer []dns.RR) bool {
	seen := map[string]bool{}
	for _, rr := range answer {
		seen[strings.ToLower(rr.Header().Name)] = true
		if alias, ok := rr.(*dns.CNAME); ok && seen[strings.ToLower(alias.Target)] {
			return true
		}
	}
	return false
}

// outline is what has to be the same. BIND may add an authority that is not needed.
func outline(m *dns.Msg, q *dns.Msg, server string) string {
	authority := text(m.Ns)
	if server == "BIND" && len(m.Answer) > 0 && m.Rcode == dns.RcodeSuccess {
		authority = nil
	}
	if server == "BIND" && q.Question[0].Qtype == dns.TypeSOA {
		authority = nil // its TTL would be 0: zero-no-soa-ttl
	}
	return fmt.Sprintf("%s %s: %s aa=%v tc=%v ra=%v\n answer %q\n authority %q", q.Question[0].Name, dns.TypeToString[q.Question[0].Qtype],
		dns.RcodeToString[m.Rcode], m.Authoritative, m.Truncated, m.RecursionAvailable, text(m.Answer), authority)
}

// peer asks one server, one query after the other.
type peer struct{ conn *dns.Conn }

func newPeer(t *testing.T, at string) *peer {
	conn, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &peer{&dns.Conn{Conn: conn, UDPSize: 4096}}
}

func (p *peer) ask(t *testing.T, q *dns.Msg) *dns.Msg {
	for range 5 {
		if err := p.conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
			t.Error(err)
		}
		q.Id++
		if err := p.conn.WriteMsg(q); err != nil {
			t.Error(err)
		}
		for {
			m, err := p.conn.ReadMsg()
			if err != nil {
				break
			}
			if m.Id == q.Id {
				return m
			}
		}
	}
	t.Errorf("no answer to %v from %v", q.Question, p.conn.RemoteAddr())
	return new(dns.Msg)
}

// Every network gets what its place is to get.
func TestNetworks(t *testing.T) {
	db := database(t)
	place := func(a netip.Addr) geo.Place { l, _ := db.Lookup(a); return db.Places()[l] }
	r := newTestResponder(t, full())
	random := rand.New(rand.NewPCG(3, 4))
	want := map[string]string{"NA": "198.51.100.", "EU": "192.0.2.1", "AS": "203.0.113.1"}
	for range 20_000 {
		a := netip.AddrFrom4([4]byte{byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), 0})
		p, err := a.Prefix(24)
		if err != nil {
			t.Fatal(err)
		}
		m := respondTo(t, r, query(t, "www.example.org.", dns.TypeA, subnet(p.String())))
		expected, ok := want[place(a).Continent]
		if !ok {
			expected = want["NA"]
		}
		if got := m.Answer[0].(*dns.A).A.String(); !strings.HasPrefix(got, expected) {
			t.Fatalf("%s in %v: %s", p, place(a), got)
		}
	}
}
