package steer_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// europeans are answered by Europe's clusters, the British by london too, all others by any.
func europeans() *steer.Serving {
	return &steer.Serving{Terms: []steer.Term{{Of: "Residency eu", Rules: []steer.ServingRule{
		{Countries: []string{"GB"}, Clusters: []string{"azure", "london"}},
		{Continents: []string{"EU"}, Clusters: []string{"azure"}},
		{Clusters: []string{"aws", "azure", "london"}},
	}}}}
}

func answered(h *steer.Host, p geo.Place) string {
	var names []string
	for _, choice := range steer.Choose(h, p) {
		for _, i := range choice.Clusters {
			names = append(names, h.Clusters[i].Name)
		}
	}
	return strings.Join(names, ",")
}

func TestServing(t *testing.T) {
	nobodyElse := europeans()
	nobodyElse.Terms[0].Rules = nobodyElse.Terms[0].Rules[:2]
	both := europeans()
	both.Terms = append(both.Terms, steer.Term{Of: "Residency no-london", Rules: []steer.ServingRule{{Clusters: []string{"aws", "azure"}}}})
	france, britain, us := geo.Place{Continent: "EU", Country: "FR"}, geo.Place{Continent: "EU", Country: "GB"}, geo.Place{Continent: "NA", Country: "US"}
	for _, test := range []struct {
		name    string
		serving *steer.Serving
		place   geo.Place
		want    string
	}{
		{"nothing is said", nil, france, "aws,azure,london"},
		{"a continent", europeans(), france, "azure"},
		{"the first rule counts", europeans(), britain, "azure,london"},
		{"all others", europeans(), us, "aws,azure,london"},
		{"somewhere in Europe", europeans(), geo.Place{Continent: "EU"}, "azure"},
		{"somewhere in America", europeans(), geo.Place{Continent: "NA"}, "azure,london"}, // a country of which the continent is not known to the rule
		{"nobody knows where", europeans(), geo.Place{}, "azure"},
		{"whom nobody names", nobodyElse, us, ""},
		{"whom nobody may name", nobodyElse, geo.Place{}, ""},
		{"several hold", both, britain, "azure"},
	} {
		for _, policy := range []steer.Policy{steer.Geography, steer.All} {
			h := &steer.Host{Policy: policy, Clusters: clusters("aws", "azure", "london"), Serving: test.serving}
			if got := answered(h, test.place); got != test.want {
				t.Errorf("%s: %q, want %q", test.name, got, test.want)
			}
		}
	}
	h := &steer.Host{Policy: steer.Failover, Order: []string{"aws"}, Clusters: clusters("aws", "-azure"), Serving: europeans()}
	if got := answered(h, france); got != "azure" {
		t.Errorf("what is down is answered by %q: what else is up may not serve them", got)
	}
	if why := steer.Why(h, france); !strings.Contains(why, "Residency eu does not let cluster aws answer there") {
		t.Errorf("why: %s", why)
	}
	all := h.ForAll()
	if all.Serving != nil || all.Clusters[0].Reachable() || !all.Clusters[1].Reachable() || !h.Clusters[0].Reachable() {
		t.Errorf("for those who cannot tell clients apart: %+v", all.Clusters)
	}
}

// TestNobodyIsAnsweredByWhatMayNotServeThem, wherever they are of all places where they may be, whatever else is said of routing.
func TestNobodyIsAnsweredByWhatMayNotServeThem(t *testing.T) {
	names := []string{"a", "b", "c"}
	world := []geo.Place{{Continent: "EU", Country: "FR"}, {Continent: "EU", Country: "GB"}, {Continent: "NA", Country: "US"}, {Continent: "AS", Country: "JP"}}
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID[string])
		serving := &steer.Serving{}
		for range rapid.IntRange(1, 2).Draw(t, "terms") {
			term := steer.Term{Of: "r"}
			for range rapid.IntRange(0, 3).Draw(t, "rules") {
				term.Rules = append(term.Rules, steer.ServingRule{
					Continents: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"EU", "NA", "AS"}), 0, 2, rapid.ID[string]).Draw(t, "continents"),
					Countries:  rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"FR", "GB", "US", "JP"}), 0, 2, rapid.ID[string]).Draw(t, "countries"),
					Clusters:   some.Draw(t, "clusters"),
				})
			}
			serving.Terms = append(serving.Terms, term)
		}
		h := &steer.Host{
			Policy: steer.Policy(rapid.IntRange(0, int(steer.All)).Draw(t, "policy")), Order: some.Draw(t, "order"), Default: some.Draw(t, "default"),
			WhenAllDown: steer.AllDown(rapid.IntRange(0, 2).Draw(t, "all down")), Serving: serving, Rules: []steer.Rule{{Clusters: some.Draw(t, "rule")}},
		}
		for _, name := range names {
			c := cluster(name, uint32(rapid.IntRange(0, 2).Draw(t, "weight")))
			c.Up = rapid.Bool().Draw(t, "up")
			h.Clusters = append(h.Clusters, c)
		}
		for _, p := range append([]geo.Place{{}, {Continent: "EU"}, {Continent: "NA"}}, world...) {
			for _, choice := range steer.Choose(h, p) {
				for _, i := range choice.Clusters {
					for _, really := range world {
						if p.Continent != "" && p.Continent != really.Continent || p.Country != "" && p.Country != really.Country {
							continue
						}
						if !mayServe(serving, h.Clusters[i].Name, really) {
							t.Fatalf("somebody at %+v, who may be at %+v, is answered with %s", p, really, h.Clusters[i].Name)
						}
					}
				}
			}
		}
	})
}

// mayServe is the rule for somebody of whom it is known exactly where they are.
func mayServe(s *steer.Serving, cluster string, p geo.Place) bool {
	for _, term := range s.Terms {
		i := slices.IndexFunc(term.Rules, func(r steer.ServingRule) bool {
			return len(r.Continents)+len(r.Countries) == 0 || slices.Contains(r.Continents, p.Continent) || slices.Contains(r.Countries, p.Country)
		})
		if i < 0 || !slices.Contains(term.Rules[i].Clusters, cluster) {
			return false
		}
	}
	return true
}
