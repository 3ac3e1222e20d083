package rfc2136

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/test/dnspeers"
)

const (
	domain = "devfest.example."
	file   = `$ORIGIN devfest.example.
$TTL 300
@ SOA ns hostmaster 7 3600 600 86400 60
@ NS ns
@ MX 10 mail
ns A 127.0.0.1
mail A 192.0.2.25
legacy A 192.0.2.99
sub NS ns.sub
ns.sub A 192.0.2.53
`
)

// primary is a name server that takes updates, and our zone there.
type primary struct {
	t      *testing.T
	server *dnspeers.Server
	zone   *Zone
}

func key() *dnspeers.Key {
	return &dnspeers.Key{Name: "hanse.", Algorithm: dns.HmacSHA256, Secret: "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgLi4="}
}

// onPrimaries runs a test on each kind of server.
func onPrimaries(t *testing.T, c dnspeers.Config, test func(t *testing.T, p *primary)) {
	for name, start := range map[string]func(testing.TB, dnspeers.Config) *dnspeers.Server{"BIND": dnspeers.BIND, "Knot": dnspeers.Knot} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := c
			c.Zone, c.File, c.Key = domain, file, key()
			p := &primary{t: t, server: start(t, c)}
			p.zone = p.newZone(&Key{Name: "hanse", Secret: key().Secret})
			test(t, p)
		})
	}
}

func (p *primary) newZone(k *Key) *Zone {
	p.t.Helper()
	z, err := New(Config{Clock: clock.RealClock{}, Domain: "devfest.example", Server: p.server.Addr, Key: k, Timeout: 5 * time.Second})
	if err != nil {
		p.t.Fatal(err)
	}
	return z
}

func options() provider.Options { return provider.Options{Domain: domain, Owner: "hub"} }

func (p *primary) sync(hosts ...steer.Host) provider.Report {
	p.t.Helper()
	r, err := provider.Sync(p.t.Context(), p.zone, hosts, options())
	if err != nil || len(r.Errors)+len(r.Conflicts)+len(r.Refused) > 0 {
		p.t.Fatalf("%v; errors %v, conflicts %v, refused %v", err, r.Errors, r.Conflicts, r.Refused)
	}
	return r
}

// ask the server itself.
func (p *primary) ask(name string, typ uint16) string {
	p.t.Helper()
	r, err := dns.Exchange(new(dns.Msg).SetQuestion(name, typ), p.server.Addr)
	if err != nil {
		p.t.Fatal(err)
	}
	var values []string
	for _, rr := range r.Answer {
		values = append(values, value(rr))
	}
	return strings.Join(values, " ")
}

func cluster(name string, addresses ...string) steer.Cluster {
	c := steer.Cluster{Name: name, Up: true}
	for _, a := range addresses {
		c.Addresses = append(c.Addresses, netip.MustParseAddr(a))
	}
	return c
}

func hosts(n int, address string) []steer.Host {
	var all []steer.Host
	for i := range n {
		all = append(all, steer.Host{Name: fmt.Sprintf("h%d.%s", i, domain), TTL: 30, Owner: "shop/web", Policy: steer.All, Clusters: []steer.Cluster{cluster("one", address)}})
	}
	return all
}

func failover() steer.Host {
	return steer.Host{Name: "*.www." + domain, TTL: 30, Owner: "shop/web", Policy: steer.Failover, Order: []string{"a", "b"},
		Clusters: []steer.Cluster{cluster("a", "192.0.2.1", "2001:db8::1"), {Name: "b", Up: true, Hostname: "LB.example.net."}}}
}

// TestLife of a route on a name server: created, failed over, put right, deleted;
// with what others have there left alone.
func TestLife(t *testing.T) {
	onPrimaries(t, dnspeers.Config{Updates: true, Transfers: true}, func(t *testing.T, p *primary) {
		before, err := p.zone.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h := failover()
		r := p.sync(h)
		if len(r.Zone.NameServers) != 1 || r.Zone.NameServers[0] != "ns.devfest.example" {
			t.Errorf("name servers %v", r.Zone.NameServers)
		}
		if a, b := p.ask("x.www."+domain, dns.TypeA), p.ask("x.www."+domain, dns.TypeAAAA); a != "192.0.2.1" || b != "2001:db8::1" {
			t.Errorf("A %s, AAAA %s", a, b)
		}
		if r := p.sync(h); len(r.Changed) > 0 {
			t.Errorf("a second pass changed %v", r.Changed)
		}
		h.Clusters[0].Up = false // a CNAME in place of addresses
		p.sync(h)
		if a := p.ask("x.www."+domain, dns.TypeCNAME); a != "lb.example.net." {
			t.Errorf("CNAME %s", a)
		}
		h.Clusters[0].Up = true
		p.sync(h)
		p.byHand("*.www."+domain+" 30 IN A 6.6.6.6", true) // drift: one more, and one less
		p.byHand("*.www."+domain+" 30 IN AAAA 2001:db8::1", false)
		if r := p.sync(h); len(r.Changed) != 2 || p.ask("x.www."+domain, dns.TypeA) != "192.0.2.1" || p.ask("x.www."+domain, dns.TypeAAAA) != "2001:db8::1" {
			t.Errorf("drift: changed %v", r.Changed)
		}
		p.sync()
		after, err := p.zone.Read(t.Context())
		if err != nil || len(after) != len(before) {
			t.Errorf("%v; %d sets before, %d after", err, len(before), len(after))
		}
	})
}

// byHand is somebody else's update.
func (p *primary) byHand(record string, insert bool) {
	p.t.Helper()
	rr, err := dns.NewRR(record)
	if err != nil {
		p.t.Fatal(err)
	}
	m := new(dns.Msg).SetUpdate(domain)
	if insert {
		m.Insert([]dns.RR{rr})
	} else {
		m.Remove([]dns.RR{rr})
	}
	if r, err := p.zone.exchange(p.t.Context(), m); err != nil || r.Rcode != dns.RcodeSuccess {
		p.t.Fatal(err, r)
	}
}

// TestForeign: what somebody else has is a conflict of that host alone, also if it
// came since we read.
func TestForeign(t *testing.T) {
	onPrimaries(t, dnspeers.Config{Updates: true, Transfers: true}, func(t *testing.T, p *primary) {
		all := hosts(40, "192.0.2.1")
		known := p.sync(all...).Known
		p.byHand("h40."+domain+" 300 IN A 9.9.9.9", true)
		p.byHand("h7."+domain+" 30 IN A 6.6.6.6", true)
		legacy, below := failover(), failover()
		legacy.Name, below.Name = "legacy."+domain, "www.sub."+domain
		o := options()
		o.Known = known
		r, err := provider.Sync(t.Context(), p.zone, append(hosts(41, "192.0.2.2"), legacy, below), o)
		if err != nil || len(r.Errors) > 0 || len(r.Conflicts) != 3 {
			t.Errorf("%v; errors %v, conflicts %v", err, r.Errors, r.Conflicts)
		}
		if got := p.ask("legacy."+domain, dns.TypeA) + p.ask("h40."+domain, dns.TypeA) + p.ask("h39."+domain, dns.TypeA) + p.ask("h7."+domain, dns.TypeA); got != "192.0.2.99"+"9.9.9.9"+"192.0.2.2"+"192.0.2.2" {
			t.Errorf("answers %s", got)
		}
	})
}

// TestMany records need several updates, and a transfer of several messages.
func TestMany(t *testing.T) {
	onPrimaries(t, dnspeers.Config{Updates: true, Transfers: true}, func(t *testing.T, p *primary) {
		p.sync(hosts(800, "192.0.2.1")...)
		sets, err := p.zone.Read(t.Context())
		if err != nil || len(sets) < 1600 {
			t.Errorf("%d sets, %v", len(sets), err)
		}
		if r := p.sync(hosts(800, "192.0.2.1")...); len(r.Changed) > 0 {
			t.Errorf("a second pass changed %d", len(r.Changed))
		}
		r := p.sync()
		if r.Held != 800 || p.ask("h7."+domain, dns.TypeA) != "192.0.2.1" {
			t.Errorf("%d deletions held", r.Held)
		}
	})
}

// TestBadRecord does not hold up others.
func TestBadRecord(t *testing.T) {
	onPrimaries(t, dnspeers.Config{Updates: true, Transfers: true}, func(t *testing.T, p *primary) {
		var changes []provider.Change
		for i := range 101 {
			s := provider.Set{Name: fmt.Sprintf("h%d.%s", i, domain), Type: "A", TTL: 30, Values: []string{"192.0.2.1"}}
			switch i {
			case 7:
				s.Name = "elsewhere.example."
			case 8:
				s.Values[0] = "no address"
			case 9:
				s.Name = "legacy." + domain
			}
			step := provider.Step{New: &s}
			if i == 10 { // not what is there any more
				s.Name = "mail." + domain
				step.Old = &provider.Set{Name: s.Name, Type: "A", TTL: 300, Values: []string{"192.0.2.26"}}
			}
			changes = append(changes, provider.Change{Name: s.Name, Steps: []provider.Step{step}})
		}
		for i, err := range p.zone.Apply(t.Context(), changes) {
			if bad := i >= 7 && i <= 10; (err != nil) != bad {
				t.Errorf("%d: %v", i, err)
			}
		}
		if got := p.ask("legacy."+domain, dns.TypeA); got != "192.0.2.99" {
			t.Errorf("legacy is now %s", got)
		}
		if got := p.ask("mail."+domain, dns.TypeA); got != "192.0.2.25" {
			t.Errorf("mail is now %s", got)
		}
	})
}

// TestRefused says what to do, and changes nothing.
func TestRefused(t *testing.T) {
	onPrimaries(t, dnspeers.Config{Updates: true}, func(t *testing.T, p *primary) {
		if _, err := provider.Sync(t.Context(), p.zone, nil, options()); err == nil || !regexp.MustCompile("refused a transfer|BADKEY.*acl").MatchString(err.Error()) {
			t.Errorf("transfers refused: %v", err)
		}
	})
	onPrimaries(t, dnspeers.Config{Transfers: true}, func(t *testing.T, p *primary) {
		r, err := provider.Sync(t.Context(), p.zone, hosts(2, "192.0.2.1"), options())
		if err != nil || len(r.Errors) != 2 || !regexp.MustCompile("refused an update|BADKEY.*acl").MatchString(r.Errors["h0."+domain].Error()) {
			t.Errorf("updates refused: %v, %v", err, r.Errors)
		}
	})
	onPrimaries(t, dnspeers.Config{Updates: true, Transfers: true}, func(t *testing.T, p *primary) {
		for want, k := range map[string]*Key{
			"key other.":      {Name: "other", Secret: key().Secret},
			"key hanse.":      {Name: "hanse", Secret: "b3RoZXI="},
			"refused a trans": nil,
		} {
			p.zone = p.newZone(k)
			if _, err := provider.Sync(t.Context(), p.zone, nil, options()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v", k, err)
			}
		}
		p.zone = p.newZone(&Key{Name: "hanse", Secret: key().Secret})
		p.zone.domain = "other.example."
		if _, err := provider.Sync(t.Context(), p.zone, nil, options()); err == nil || !strings.Contains(err.Error(), "does not serve other.example") {
			t.Errorf("another zone: %v", err)
		}
		p.server.Stop()
		if _, err := provider.Sync(t.Context(), p.zone, nil, options()); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
			t.Errorf("stopped: %v", err)
		}
	})
}

// TestExpress has what everybody is answered alike, and what is not.
func TestExpress(t *testing.T) {
	eu, na := geo.Place{Continent: "EU"}, geo.Place{Country: "US"}
	a, b := cluster("a", "192.0.2.1", "2001:db8::1"), cluster("b", "192.0.2.2")
	a.Weight, b.Weight = 1, 1
	down := a
	down.Up = false
	lb := steer.Cluster{Name: "lb", Up: true, Hostname: "lb.example.net."}
	resolved := steer.Cluster{Name: "lb", Up: true, Hostname: "lb.example.net.", Addresses: cluster("", "192.0.2.3").Addresses}
	rules := []steer.Rule{{From: eu, Clusters: []string{"a"}}, {From: na, Clusters: []string{"b"}}}
	for name, c := range map[string]struct {
		host steer.Host
		want string
	}{
		"all":                  {steer.Host{Policy: steer.All, Clusters: []steer.Cluster{a, b}}, "A 192.0.2.1,192.0.2.2; AAAA 2001:db8::1"},
		"failover":             {steer.Host{Policy: steer.Failover, Order: []string{"a", "b"}, Clusters: []steer.Cluster{down, b}}, "A 192.0.2.2"},
		"hostname":             {steer.Host{Policy: steer.Failover, Order: []string{"lb"}, Clusters: []steer.Cluster{lb, a}}, "CNAME lb.example.net."},
		"apex":                 {steer.Host{Name: domain, Policy: steer.Failover, Order: []string{"lb"}, Clusters: []steer.Cluster{lb, a}}, "refused: it is the zone itself"},
		"hostname and address": {steer.Host{Policy: steer.All, Clusters: []steer.Cluster{resolved, b}}, "A 192.0.2.2,192.0.2.3; note: addresses of lb.example.net"},
		"hostnames":            {steer.Host{Policy: steer.All, Clusters: []steer.Cluster{lb, {Name: "x", Up: true, Hostname: "x."}}}, "refused: load balancers known by name"},
		"one cluster for all":  {steer.Host{Policy: steer.Geography, Default: []string{"a"}, Rules: []steer.Rule{{From: eu, Clusters: []string{"a"}}}, Clusters: []steer.Cluster{a}}, "A 192.0.2.1; AAAA 2001:db8::1"},
		"geography":            {steer.Host{Policy: steer.Geography, Default: []string{"a"}, Rules: rules, Clusters: []steer.Cluster{a, b}}, "refused: its answers depend on where a client is"},
		"geography, one down":  {steer.Host{Policy: steer.Latency, Default: []string{"a"}, Rules: rules, Clusters: []steer.Cluster{down, b}}, "refused: its answers depend on where a client is"},
		"weighted":             {steer.Host{Policy: steer.Weighted, Clusters: []steer.Cluster{a, b}}, "refused: its answers depend on weight"},
		"one weight":           {steer.Host{Policy: steer.Weighted, Clusters: []steer.Cluster{a}}, "A 192.0.2.1; AAAA 2001:db8::1"},
		"nothing is up":        {steer.Host{Policy: steer.All, WhenAllDown: steer.AnswerNothing, Clusters: []steer.Cluster{down}}, ""},
		"long":                 {steer.Host{Name: strings.Repeat(strings.Repeat("x", 59)+".", 4) + "x.", Policy: steer.All, Clusters: []steer.Cluster{a}}, "refused: the name is too long"},
	} {
		if c.host.Name == "" {
			c.host.Name = "www." + domain
		}
		z, err := New(Config{Clock: clock.RealClock{}, Domain: domain, Server: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		e := z.Express([]steer.Host{c.host})
		var got []string
		for _, s := range e.Sets {
			got = append(got, s.Type+" "+strings.Join(s.Values, ","))
		}
		for _, r := range e.Refused {
			got = append(got, "refused: "+r)
		}
		for _, n := range e.Notes {
			got = append(got, "note: "+n)
		}
		if text := strings.Join(got, "; "); !strings.HasPrefix(text, c.want) || (c.want == "") != (text == "") {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
	}
}

func TestNew(t *testing.T) {
	for server, want := range map[string]string{"ns.example": "ns.example:53", "192.0.2.1:54": "192.0.2.1:54", "2001:db8::1": "[2001:db8::1]:53", "[2001:db8::1]:54": "[2001:db8::1]:54"} {
		if z, err := New(Config{Clock: clock.RealClock{}, Domain: domain, Server: server}); err != nil || z.server != want {
			t.Errorf("%s: %v, %v", server, z, err)
		}
	}
	if _, err := New(Config{Server: ":53"}); err == nil {
		t.Error("a server without a host")
	}
	if _, err := New(Config{Server: "x", Key: &Key{Name: "k", Secret: "not base64"}}); err == nil || strings.Contains(err.Error(), "not base64 ") {
		t.Errorf("secret: %v", err)
	}
}
