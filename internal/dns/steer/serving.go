package steer

import (
	"slices"

	"github.com/hanse-dev/hanse/internal/dns/geo"
)

// Serving says which clusters may answer clients where. Each of Terms has to let them.
type Serving struct{ Terms []Term }

// Term is rules, of which the first that names a client's place counts. Whom none names may not be answered.
type Term struct {
	// Of is who says so, for people.
	Of    string
	Rules []ServingRule
}

// ServingRule lets clusters answer the clients of some places; without places those of all.
type ServingRule struct {
	Continents, Countries []string
	Clusters              []string
}

// names says whether a rule names a place, and whether it may name where somebody is of whom no more is known than that.
func (r *ServingRule) names(p geo.Place) (is, may bool) {
	if len(r.Continents) == 0 && len(r.Countries) == 0 {
		return true, true
	}
	if slices.Contains(r.Continents, p.Continent) || slices.Contains(r.Countries, p.Country) {
		return true, true
	}
	return false, len(r.Continents) > 0 && p.Continent == "" || len(r.Countries) > 0 && p.Country == ""
}

// lets says whether a cluster may answer somebody at p: wherever they are, if that is not known exactly.
func (t *Term) lets(cluster string, p geo.Place) bool {
	for i := range t.Rules {
		r := &t.Rules[i]
		is, may := r.names(p)
		if may && !slices.Contains(r.Clusters, cluster) {
			return false
		}
		if is {
			return true
		}
	}
	return false
}

// bars is who does not let a cluster answer somebody at p; empty: nobody.
func (s *Serving) bars(cluster string, p geo.Place) string {
	if s == nil {
		return ""
	}
	for i := range s.Terms {
		if !s.Terms[i].lets(cluster, p) {
			return s.Terms[i].Of
		}
	}
	return ""
}

// at is h as somebody at p may be answered: clusters that may not answer them have no address.
func (h *Host) at(p geo.Place) *Host {
	if h.Serving == nil {
		return h
	}
	out := *h
	out.Clusters = slices.Clone(h.Clusters)
	for i := range out.Clusters {
		if c := &out.Clusters[i]; h.Serving.bars(c.Name, p) != "" {
			c.Addresses, c.Hostname = nil, ""
		}
	}
	return &out
}

// ForAll is h for who cannot tell clients apart: with the clusters that may answer anybody, wherever they are.
func (h *Host) ForAll() Host {
	out := *h.at(geo.Place{})
	out.Serving = nil
	return out
}

// besides says of whom it is that clusters do not answer somebody at p; empty: of nobody.
func (h *Host) besides(p geo.Place) string {
	for i := range h.Clusters {
		if c := &h.Clusters[i]; c.Reachable() {
			if of := h.Serving.bars(c.Name, p); of != "" {
				return "; " + of + " does not let cluster " + c.Name + " answer there"
			}
		}
	}
	return ""
}
