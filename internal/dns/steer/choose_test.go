package steer_test

import (
	"math"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// cluster is up unless its name begins with a dash.
func cluster(name string, weight uint32) steer.Cluster {
	up := name[0] != '-'
	if !up {
		name = name[1:]
	}
	return steer.Cluster{Name: name, Up: up, Weight: weight, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
}

func clusters(names ...string) []steer.Cluster {
	all := make([]steer.Cluster, len(names))
	for i, name := range names {
		all[i] = cluster(name, 0)
	}
	return all
}

func tutorial() []steer.Rule {
	return []steer.Rule{
		{From: geo.Place{Continent: "EU"}, Clusters: []string{"azure", "aws", "google"}},
		{From: geo.Place{Continent: "NA"}, Clusters: []string{"aws", "azure", "google"}},
		{From: geo.Place{Continent: "AS"}, Clusters: []string{"google", "azure", "aws"}},
	}
}

func TestChoose(t *testing.T) {
	france := geo.Place{Continent: "EU", Country: "FR"}
	newYork := geo.Place{Continent: "NA", Country: "US", Subdivision: "US-NY"}
	precise := []steer.Rule{
		{From: geo.Place{Subdivision: "US-NY"}, Clusters: []string{"google"}},
		{From: geo.Place{Continent: "NA"}, Clusters: []string{"azure"}},
		{From: geo.Place{Country: "US"}, Clusters: []string{"aws"}},
		{Clusters: []string{"azure"}},
	}
	for _, test := range []struct {
		name  string
		host  steer.Host
		place geo.Place
		want  []string
		why   string
	}{
		{"rule", steer.Host{Rules: tutorial(), Clusters: clusters("aws", "azure", "google")}, france, []string{"azure"}, "preferred for EU"},
		{"second of the rule", steer.Host{Rules: tutorial(), Clusters: clusters("aws", "-azure", "google")}, france, []string{"aws"},
			"preferred for EU of those that are up (1 before it is not)"},
		{"third of the rule", steer.Host{Rules: tutorial(), Clusters: clusters("-aws", "-azure", "google")}, france, []string{"google"},
			"preferred for EU of those that are up (2 before it are not)"},
		{"most specific", steer.Host{Rules: precise, Clusters: clusters("aws", "azure", "google")}, newYork, []string{"google"}, "preferred for US-NY"},
		{"country before continent", steer.Host{Rules: precise, Clusters: clusters("aws", "azure", "google")}, geo.Place{Continent: "NA", Country: "US"}, []string{"aws"}, "preferred for US"},
		{"rule for all", steer.Host{Rules: precise, Clusters: clusters("aws", "azure", "google")}, france, []string{"azure"}, "preferred for everywhere"},
		{"default", steer.Host{Rules: tutorial(), Default: []string{"aws"}, Clusters: clusters("aws", "azure", "google")}, geo.Place{}, []string{"aws"}, "no rule fits: the default"},
		{"default when the rule is down", steer.Host{Rules: precise[2:3], Default: []string{"google"}, Clusters: clusters("-aws", "azure", "google")}, newYork, []string{"google"},
			"no cluster of the rule is up: the default"},
		{"nothing fits", steer.Host{Rules: tutorial(), Clusters: clusters("aws", "azure", "-google")}, geo.Place{}, []string{"aws", "azure"}, "no rule and no default: all clusters that are up"},
		{"failover", steer.Host{Policy: steer.Failover, Order: []string{"google", "aws"}, Clusters: clusters("aws", "azure", "-google")}, france, []string{"aws"},
			"first in order of those that are up (1 before it is not)"},
		{"failover, none of the order", steer.Host{Policy: steer.Failover, Order: []string{"google"}, Clusters: clusters("aws", "azure", "-google")}, france, []string{"aws", "azure"}, "all clusters that are up"},
		{"all", steer.Host{Policy: steer.All, Clusters: clusters("aws", "-azure", "google")}, france, []string{"aws", "google"}, "all clusters that are up"},
		{"latency", steer.Host{Policy: steer.Latency, Rules: tutorial(), Clusters: clusters("aws", "azure", "google")}, france, []string{"azure"}, "least latency from EU"},
		{"all down", steer.Host{Rules: tutorial(), Clusters: clusters("-aws", "-azure")}, france, []string{"aws", "azure"}, "no cluster is up: all of them anyway"},
		{"all down, default", steer.Host{WhenAllDown: steer.AnswerDefault, Default: []string{"azure"}, Clusters: clusters("-aws", "-azure")}, france, []string{"azure"}, "no cluster is up: the default anyway"},
		{"all down, nothing", steer.Host{WhenAllDown: steer.AnswerNothing, Clusters: clusters("-aws", "-azure")}, france, nil, "no cluster is up: nothing"},
		{"no addresses", steer.Host{Clusters: []steer.Cluster{{Name: "aws", Up: true}}}, france, nil, "no cluster is up: all of them anyway"},
		{"a hostname is an address", steer.Host{Clusters: []steer.Cluster{{Name: "aws", Up: true, Hostname: "lb.example."}}}, france, []string{"aws"}, "no rule and no default: all clusters that are up"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range steer.Choose(&test.host, test.place) {
				if c.Weight != 1 {
					t.Errorf("weight %d", c.Weight)
				}
				for _, i := range c.Clusters {
					got = append(got, test.host.Clusters[i].Name)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if why := steer.Why(&test.host, test.place); why != test.why {
				t.Errorf("why: got %q, want %q", why, test.why)
			}
		})
	}
}

func TestWeighted(t *testing.T) {
	h := steer.Host{Policy: steer.Weighted, Clusters: []steer.Cluster{cluster("aws", 3), cluster("azure", 1), cluster("-google", 5), cluster("own", 0)}}
	got := steer.Choose(&h, geo.Place{})
	if len(got) != 2 || got[0].Weight != 3 || got[1].Weight != 1 || got[1].Clusters[0] != 1 {
		t.Errorf("got %v", got)
	}
	shares := steer.Shares(&h, []geo.Place{{}, {Country: "FR"}}, []float64{0.5, 0.5})
	if !slices.Equal(shares, []float64{0.75, 0.25, 0, 0}) {
		t.Errorf("shares %v", shares)
	}
	h.Clusters[0].Up, h.Clusters[1].Up = false, false
	if got := steer.Choose(&h, geo.Place{}); len(got) != 1 || got[0].Clusters[0] != 3 {
		t.Errorf("weight 0 does not stand in: %v", got)
	}
}

// TestChooseIsSound: whatever the host, nothing that is down is answered while
// something is up, every index is in range, and the shares add up.
func TestChooseIsSound(t *testing.T) {
	names := []string{"a", "b", "c", "d", "nobody"}
	places := []geo.Place{{}, {Continent: "EU", Country: "FR"}, {Continent: "NA", Country: "US", Subdivision: "US-NY"}, {Continent: "AS"}}
	list := rapid.SliceOfN(rapid.SampledFrom(names), 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		h := steer.Host{
			Policy:      steer.Policy(rapid.IntRange(0, int(steer.All)).Draw(t, "policy")),
			Order:       list.Draw(t, "order"),
			Default:     list.Draw(t, "default"),
			WhenAllDown: steer.AllDown(rapid.IntRange(0, 2).Draw(t, "all down")),
		}
		for _, from := range []geo.Place{{}, {Continent: "EU"}, {Country: "US"}, {Subdivision: "US-NY"}} {
			if rapid.Bool().Draw(t, "has rule") {
				h.Rules = append(h.Rules, steer.Rule{From: from, Clusters: list.Draw(t, "rule")})
			}
		}
		anyUp := false
		for _, name := range names[:rapid.IntRange(0, 4).Draw(t, "clusters")] {
			c := cluster(name, uint32(rapid.IntRange(0, 3).Draw(t, "weight")))
			c.Up = rapid.Bool().Draw(t, "up")
			if rapid.IntRange(0, 4).Draw(t, "no address") == 0 {
				c.Addresses = nil
			}
			anyUp = anyUp || c.Up && c.Reachable()
			h.Clusters = append(h.Clusters, c)
		}
		for _, p := range places {
			choices := steer.Choose(&h, p)
			if anyUp && len(choices) == 0 {
				t.Fatalf("nothing is answered to %v", p)
			}
			for _, choice := range choices {
				if choice.Weight == 0 || len(choice.Clusters) == 0 {
					t.Fatalf("empty choice %v", choice)
				}
				for _, i := range choice.Clusters {
					if c := h.Clusters[i]; !c.Reachable() || anyUp && !c.Up {
						t.Fatalf("%v is answered to %v", c, p)
					}
				}
			}
			if steer.Why(&h, p) == "" {
				t.Fatal("no reason")
			}
		}
		sum := 0.0
		for _, s := range steer.Shares(&h, places, []float64{0.25, 0.25, 0.25, 0.25}) {
			sum += s
		}
		if anyUp && math.Abs(sum-1) > 1e-9 {
			t.Fatalf("shares add up to %v", sum)
		}
	})
}
