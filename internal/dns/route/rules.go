package route

import (
	"cmp"
	"slices"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// Nearest are rules that give each place the clusters by distance: those of its
// own continent first. A rule for a continent stands for all of its countries but
// those that have rules of their own; likewise a country and its subdivisions.
// Clusters whose region nobody knows come last, by name.
func Nearest(clusters []Cluster) []steer.Rule {
	if len(clusters) == 0 {
		return nil
	}
	byContinent := map[string][]placed{}
	for _, p := range geo.Countries() {
		byContinent[p.Continent] = append(byContinent[p.Continent], placed{p, order(clusters, p)})
	}
	byCountry := map[string][]placed{}
	for _, p := range geo.Subdivisions() {
		byCountry[p.Country] = append(byCountry[p.Country], placed{p, order(clusters, p)})
	}
	var rules []steer.Rule
	for _, continent := range sortedKeys(byContinent) {
		usual := commonest(byContinent[continent])
		rules = append(rules, steer.Rule{From: geo.Place{Continent: continent}, Clusters: usual})
		for _, country := range byContinent[continent] {
			if !slices.Equal(country.clusters, usual) {
				rules = append(rules, steer.Rule{From: geo.Place{Country: country.place.Country}, Clusters: country.clusters})
			}
			for _, sub := range byCountry[country.place.Country] {
				if !slices.Equal(sub.clusters, country.clusters) {
					rules = append(rules, steer.Rule{From: geo.Place{Subdivision: sub.place.Subdivision}, Clusters: sub.clusters})
				}
			}
		}
	}
	return rules
}

// placed is a place and its clusters by distance.
type placed struct {
	place    geo.Place
	clusters []string
}

// commonest is the order that most of the places share; of several, the first.
func commonest(all []placed) []string {
	best, most := all[0].clusters, 0
	for _, p := range all {
		n := 0
		for _, q := range all {
			if slices.Equal(p.clusters, q.clusters) {
				n++
			}
		}
		if n > most {
			best, most = p.clusters, n
		}
	}
	return best
}

// order is the names of the clusters, nearest to p first.
func order(clusters []Cluster, p geo.Place) []string {
	here, known := geo.Centre(p)
	type candidate struct {
		name     string
		rank     int
		distance float64
	}
	all := make([]candidate, len(clusters))
	for i, c := range clusters {
		all[i] = candidate{name: c.Name, rank: 2}
		if c.Continent != "" && c.Continent == p.Continent {
			all[i].rank = 0
		} else if c.Continent != "" {
			all[i].rank = 1
		}
		if spot, ok := c.spot(); ok && known {
			all[i].distance = geo.Distance(here, spot)
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.name
	}
	return names
}

// spot is where the cluster is: its region, or else the middle of its continent.
func (c *Cluster) spot() (geo.Spot, bool) {
	if s, ok := geo.Region(c.Provider, c.Region); ok {
		return s, true
	}
	if c.Continent == "" {
		return geo.Spot{}, false
	}
	return geo.Centre(geo.Place{Continent: c.Continent})
}

// rules are those of a route, or of no route in particular: nearest is what
// Nearest says of the clusters.
func rules(spec *v1alpha1.Routing, clusters []Cluster, nearest []steer.Rule) []steer.Rule {
	switch {
	case policyOf(spec) == v1alpha1.RoutingLatency:
		return latencyRules(spec.Latency)
	case len(spec.Geography) == 0:
		return nearest
	}
	explicit := make([]steer.Rule, len(spec.Geography))
	for i, g := range spec.Geography {
		explicit[i] = steer.Rule{From: place(g.Origin), Clusters: complete(g.Clusters, spec.Default, order(clusters, full(place(g.Origin))))}
	}
	if len(spec.Default) > 0 {
		return explicit // all other places get the default
	}
	return append(explicit, notCovered(nearest, explicit)...)
}

// complete is a list with what others have beyond it, each once.
func complete(lists ...[]string) []string {
	var all []string
	for _, list := range lists {
		for _, name := range list {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// notCovered drops the derived rules for places that an explicit rule speaks for,
// be it a wider one: it was meant for them too.
func notCovered(derived, explicit []steer.Rule) []steer.Rule {
	return slices.DeleteFunc(slices.Clone(derived), func(d steer.Rule) bool {
		at := full(d.From)
		return slices.ContainsFunc(explicit, func(e steer.Rule) bool {
			f := e.From
			return f == geo.Place{} || f.Continent != "" && f.Continent == at.Continent ||
				f.Country != "" && f.Country == at.Country || f.Subdivision != "" && f.Subdivision == at.Subdivision
		})
	})
}

// full is a place with the country and continent around it.
func full(p geo.Place) geo.Place {
	if spot, ok := geo.Centre(p); ok {
		return spot.Place
	}
	return p
}

func place(o v1alpha1.Origin) geo.Place {
	return geo.Place{Continent: o.Continent, Country: o.Country, Subdivision: o.Subdivision}
}

// latencyRules order the clusters of each row by their round-trip time.
func latencyRules(table []v1alpha1.LatencyRule) []steer.Rule {
	all := make([]steer.Rule, len(table))
	for i, row := range table {
		names := sortedKeys(row.Milliseconds)
		slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(row.Milliseconds[a], row.Milliseconds[b]) })
		all[i] = steer.Rule{From: place(row.Origin), Clusters: names}
	}
	return all
}

// policyOf is the one that is named, or whose field is set.
func policyOf(r *v1alpha1.Routing) string {
	switch {
	case r.Policy != "":
		return r.Policy
	case len(r.Geography) > 0:
		return v1alpha1.RoutingGeography
	case len(r.Weights) > 0:
		return v1alpha1.RoutingWeighted
	case len(r.Order) > 0:
		return v1alpha1.RoutingFailover
	case len(r.Latency) > 0:
		return v1alpha1.RoutingLatency
	}
	return v1alpha1.RoutingGeography
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
