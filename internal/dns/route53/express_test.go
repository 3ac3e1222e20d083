package route53

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	route53test "github.com/hanse-dev/hanse/test/route53"
)

func pureZone(healthChecks bool) *Zone {
	return &Zone{domain: domain, owner: "hub", healthChecks: healthChecks, checks: newChecks()}
}

// find is the most specific set for p, as Route 53 looks for it.
func find(sets []provider.Set, p geo.Place) *provider.Set {
	for n, at := range []geo.Place{{Subdivision: p.Subdivision}, {Country: p.Country}, {Continent: p.Continent}, {}} {
		if at == (geo.Place{}) && n < 3 {
			continue // not known
		}
		if i := slices.IndexFunc(sets, func(s provider.Set) bool { return s.Routing.Place == at }); i >= 0 {
			return &sets[i]
		}
	}
	return nil
}

// TestGeographyIsExact: whatever the rules, everybody whose country is known gets
// from the sets what steer.Choose says; also where Route 53 counts a country to
// another continent than we do. No set could be left out.
func TestGeographyIsExact(t *testing.T) {
	countries := slices.DeleteFunc(geo.Countries(), func(p geo.Place) bool { return listed(unknown, p.Country) })
	rapid.Check(t, func(t *rapid.T) {
		h := tutorial()
		h.Policy = rapid.SampledFrom([]steer.Policy{steer.Geography, steer.Latency}).Draw(t, "policy")
		h.Default = rapid.SampledFrom([][]string{nil, {"aws"}, {"google", "aws"}}).Draw(t, "default")
		h.Rules = drawRules(t, countries)
		for i := range h.Clusters {
			h.Clusters[i].Up = rapid.Bool().Draw(t, "up")
		}
		e := pureZone(false).Express([]steer.Host{h})
		if len(e.Refused) > 0 {
			t.Fatal(e.Refused)
		}
		for _, p := range countries {
			places := []geo.Place{p}
			for _, other := range strings.Fields(between(p.Country)) {
				places = append(places, geo.Place{Continent: other, Country: p.Country})
			}
			if p.Country == "US" {
				places = append(places, geo.Place{Continent: "NA", Country: "US", Subdivision: "US-NY"}, geo.Place{Continent: "NA", Country: "US", Subdivision: "US-CA"})
			}
			for _, there := range places {
				true := there
				true.Continent = p.Continent
				want := written(&h, true)
				if s := find(e.Sets, there); s == nil && want != "" || s != nil && strings.Join(s.Values, " ") != want {
					t.Fatalf("%v: %v, want %q", there, s, want)
				}
			}
		}
		if n := len(e.Sets); n > 1+7+len(h.Rules)+100 {
			t.Fatalf("%d sets for %d rules", n, len(h.Rules))
		}
	})
}

// written is what a set says for those that Choose chooses.
func written(h *steer.Host, p geo.Place) string {
	choices := steer.Choose(h, p)
	if len(choices) == 0 {
		return ""
	}
	e := &expression{host: h}
	v4, _ := provider.Addresses(e.all(choices[0].Clusters))
	return strings.Join(v4, " ")
}

func drawRules(t *rapid.T, countries []geo.Place) []steer.Rule {
	var rules []steer.Rule
	add := func(p geo.Place) {
		clusters := rapid.SampledFrom([][]string{{"aws"}, {"azure", "aws"}, {"google"}}).Draw(t, "clusters")
		rules = append(rules, steer.Rule{From: p, Clusters: clusters})
	}
	add(geo.Place{Continent: "SA"})
	for _, c := range []string{"EU", "AS", "NA", "AF"} {
		if rapid.Bool().Draw(t, c) {
			add(geo.Place{Continent: c})
		}
	}
	switch rapid.IntRange(0, 2).Draw(t, "countries") {
	case 1:
		for _, c := range []string{"US", "RU", "TR", "SG", "AF", "NA"} {
			add(geo.Place{Country: c})
		}
	case 2:
		for _, p := range countries {
			add(geo.Place{Country: p.Country})
		}
	}
	if rapid.Bool().Draw(t, "state") {
		add(geo.Place{Subdivision: "US-NY"})
	}
	if rapid.Bool().Draw(t, "everywhere") {
		add(geo.Place{})
	}
	return rules
}

// TestGeographyIsSmall: rules for all countries of a continent alike are one set.
func TestGeographyIsSmall(t *testing.T) {
	h := tutorial()
	h.Rules = nil
	for _, p := range geo.Countries() {
		c := map[string]string{"EU": "azure", "AS": "google", "OC": "google"}[p.Continent]
		if p.Country == "FR" || c == "" {
			c = "aws"
		}
		h.Rules = append(h.Rules, steer.Rule{From: geo.Place{Country: p.Country}, Clusters: []string{c}})
	}
	e := pureZone(false).Express([]steer.Host{h})
	var ids []string
	for _, s := range e.Sets {
		if id := strings.TrimPrefix(s.ID, "hub/"); between(id) == "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if got := strings.Join(ids, " "); got != "* FR continent-AS continent-EU continent-OC" {
		t.Errorf("sets %s", got)
	}
}

// TestExpress has what Route 53 can express, how, and what not.
func TestExpress(t *testing.T) {
	a, b := cluster("a", "52.1.1.1", "2600::1"), cluster("b", "52.1.1.2")
	a.Weight, b.Weight = 20, 30
	private := cluster("p", "10.0.0.1")
	lb := steer.Cluster{Name: "lb", Up: true, Hostname: "LB.example.net."}
	resolved := steer.Cluster{Name: "lb", Up: true, Hostname: "lb.example.net.", Addresses: cluster("", "52.1.1.3").Addresses, Weight: 1 << 20}
	down := b
	down.Up = false
	check := &steer.Check{Protocol: "HTTPS", Port: 443, Host: "www", Interval: 2, Down: 20, Text: "ok"}
	eu := []steer.Rule{{From: geo.Place{Continent: "EU"}, Clusters: []string{"lb"}}}
	for name, c := range map[string]struct {
		host steer.Host
		want string
	}{
		"all":               {steer.Host{Policy: steer.All, Clusters: []steer.Cluster{a, b}}, "A 52.1.1.1,52.1.1.2; AAAA 2600::1"},
		"all, probed":       {steer.Host{Policy: steer.All, Clusters: []steer.Cluster{a, b}, Check: check}, "A 52.1.1.1 [multi] hub/52.1.1.1 checked; A 52.1.1.2 [multi] hub/52.1.1.2 checked; AAAA 2600::1"},
		"weighted":          {steer.Host{Policy: steer.Weighted, Clusters: []steer.Cluster{a, b}}, "A 52.1.1.1 [weighted 2] hub/a; A 52.1.1.2 [weighted 3] hub/b; AAAA 2600::1 [weighted 2] hub/a"},
		"fine weights":      {steer.Host{Policy: steer.Weighted, Clusters: []steer.Cluster{{Name: "x", Up: true, Weight: 1, Addresses: a.Addresses}, resolved}}, "refused: the ratio of its weights"},
		"failover":          {steer.Host{Policy: steer.Failover, Order: []string{"b", "a"}, Clusters: []steer.Cluster{a, down}, Check: check}, "A 52.1.1.1 [failover primary] hub/primary checked; A 52.1.1.2 [failover secondary] hub/secondary checked; AAAA 2600::1 [failover primary] hub/primary"},
		"failover unprobed": {steer.Host{Policy: steer.Failover, Order: []string{"b", "a"}, Clusters: []steer.Cluster{a, b}}, "A 52.1.1.2; note: Route 53 does not probe it"},
		"private":           {steer.Host{Policy: steer.Failover, Order: []string{"p", "b"}, Clusters: []steer.Cluster{private, b}, Check: check}, "A 10.0.0.1 [failover primary] hub/primary; A 52.1.1.2 [failover secondary] hub/secondary checked; note: 10.0.0.1 is not public"},
		"hostname":          {steer.Host{Policy: steer.Failover, Order: []string{"lb"}, Clusters: []steer.Cluster{lb}}, "CNAME lb.example.net."},
		"apex":              {steer.Host{Name: domain, Policy: steer.Geography, Default: []string{"lb"}, Clusters: []steer.Cluster{lb}}, "refused: it is the zone itself"},
		"mixed":             {steer.Host{Policy: steer.Geography, Rules: eu, Default: []string{"b"}, Clusters: []steer.Cluster{resolved, b}}, "A 52.1.1.2 [geo *] hub/*; A 52.1.1.3 [geo continent EU] hub/continent-EU; A 52.1.1.2 [geo AM] hub/AM"},
		"hostnames":         {steer.Host{Policy: steer.All, Clusters: []steer.Cluster{lb, {Name: "x", Up: true, Hostname: "x."}}}, "refused: load balancers known by name"},
		"not resolved":      {steer.Host{Policy: steer.All, Clusters: []steer.Cluster{lb, b}}, "A 52.1.1.2; note: lb is left out until LB.example.net resolves"},
		"outside the US":    {steer.Host{Policy: steer.Geography, Rules: []steer.Rule{{From: geo.Place{Subdivision: "CA-ON"}, Clusters: []string{"a"}}}, Clusters: []steer.Cluster{a}}, "refused: it has a rule for CA-ON"},
		"no rules":          {steer.Host{Policy: steer.Geography, Clusters: []steer.Cluster{b}}, "A 52.1.1.2"},
		"nothing is up":     {steer.Host{Policy: steer.Geography, Rules: eu, WhenAllDown: steer.AnswerNothing, Clusters: []steer.Cluster{down}}, ""},
		"long":              {steer.Host{Name: strings.Repeat(strings.Repeat("x", 59)+".", 4) + "x.", Policy: steer.All, Clusters: []steer.Cluster{a}}, "refused: the name is too long"},
	} {
		if c.host.Name == "" {
			c.host.Name = "www." + domain
		}
		if got := render(pureZone(true).Express([]steer.Host{c.host})); !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
	if e := pureZone(true).Express([]steer.Host{{Name: "www." + domain, Policy: steer.Failover, Order: []string{"a", "b"}, Clusters: []steer.Cluster{a, b}, Check: check}}); e.Sets[0].Health !=
		`{"Type":"HTTPS","Address":"52.1.1.1","Port":443,"Host":"www","Path":"/","Text":"ok","Interval":10,"Down":10}` {
		t.Errorf("health %s", e.Sets[0].Health)
	}
}

// render is what was expressed, in lines sorted by type and identifier.
func render(e provider.Expressed) string {
	var got []string
	for _, s := range e.Sets {
		text := s.Type + " " + strings.Join(s.Values, ",")
		if s.ID != "" {
			text += fmt.Sprintf(" [%s] %s", s.Routing, s.ID)
		}
		if s.Health != "" {
			text += " checked"
		}
		got = append(got, text)
	}
	for _, r := range e.Refused {
		got = append(got, "refused: "+r)
	}
	for _, n := range e.Notes {
		got = append(got, "note: "+n)
	}
	return strings.Join(got, "; ")
}

// TestSharedRules: hosts that share rules share nothing else.
func TestSharedRules(t *testing.T) {
	h := tutorial()
	down, other := h, h
	down.Name, other.Name = "down."+domain, "other."+domain
	down.Clusters, other.Clusters = slices.Clone(h.Clusters), slices.Clone(h.Clusters)
	down.Clusters[1].Up = false
	other.Clusters[1].Addresses = cluster("", "20.9.9.9").Addresses
	hosts := []steer.Host{h, down, other}
	var alone []provider.Set
	for _, one := range hosts {
		alone = append(alone, pureZone(true).Express([]steer.Host{one}).Sets...)
	}
	if together := pureZone(true).Express(hosts).Sets; fmt.Sprint(together) != fmt.Sprint(alone) {
		t.Errorf("together %v\nalone %v", together, alone)
	}
}

// BenchmarkExpress: hosts with rules for all countries.
func BenchmarkExpress(b *testing.B) {
	h := tutorial()
	for i, p := range geo.Countries() {
		h.Rules = append(h.Rules, steer.Rule{From: geo.Place{Country: p.Country}, Clusters: []string{[]string{"aws", "azure", "google"}[i%3]}})
	}
	hosts := slices.Repeat([]steer.Host{h}, 100)
	for b.Loop() {
		if n := len(pureZone(true).Express(hosts).Sets); n < 10000 {
			b.Fatal(n)
		}
	}
}

// TestCountriesExist: the API takes a set for each country that we know.
func TestCountriesExist(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	h := tutorial()
	h.Check = nil
	for i, p := range geo.Countries() {
		h.Rules = append(h.Rules, steer.Rule{From: geo.Place{Country: p.Country}, Clusters: []string{[]string{"aws", "azure", "google"}[i%3]}})
	}
	f.sync(h)
}

func FuzzNormal(f *testing.F) {
	f.Add(`\052.Example.org.`)
	f.Add(`\05`)
	f.Add(`a\400b\134`)
	f.Fuzz(func(t *testing.T, name string) {
		if n := normal(name); !strings.HasSuffix(n, ".") {
			t.Errorf("%q becomes %q", name, n)
		}
	})
}
