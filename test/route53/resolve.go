package route53test

import (
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/internal/dns/geo"
)

// Resolve answers as the name servers of a zone would somebody at p: with what has
// propagated, and as the checkers see it. draw, from 0 to 1, is the chance that
// weighted sets are drawn by. The values of a CNAME answer any type; nil: nothing.
func (s *Server) Resolve(zoneID, name, typ string, p geo.Place, draw float64) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, err := s.zone(zoneID)
	if err != nil {
		return nil
	}
	s.propagate(z)
	sets := z.find(fqdn(name), typ)
	if len(sets) == 0 {
		return nil
	}
	up := slices.DeleteFunc(slices.Clone(sets), func(r RecordSet) bool { return r.HealthCheckID != "" && !s.healthy(r.HealthCheckID) })
	for _, usable := range [][]RecordSet{up, sets} { // if none is healthy, all are taken to be
		if values := choose(usable, p, draw); values != nil {
			return values
		}
	}
	return nil
}

// propagate lets the servers have what is due; s.mu is held.
func (s *Server) propagate(z *zone) {
	now := s.options.Now()
	for len(z.pending) > 0 && !now.Before(z.pending[0].due) {
		z.served, z.pending = z.pending[0].sets, z.pending[1:]
	}
}

// wildcard is the first label of one, as the API escapes it.
const wildcard = `\052.`

// find is the sets that answer for a name, or for the wildcard that it falls under.
func (z *zone) find(name, typ string) []RecordSet {
	for n := name; ; {
		base, exists := strings.TrimPrefix(n, wildcard), false
		var found []RecordSet
		for k, set := range z.served {
			exists = exists || k.name == base || strings.HasSuffix(k.name, "."+base)
			if k.name == n && (k.typ == typ || k.typ == "CNAME") {
				found = append(found, set)
			}
		}
		_, parent, ok := strings.Cut(base, ".")
		if len(found) > 0 || exists || !ok || base == z.Name {
			slices.SortFunc(found, func(a, b RecordSet) int { return compareKeys(keyOf(a).reversed(), keyOf(b).reversed()) })
			return found
		}
		n = wildcard + parent
	}
}

// choose is the answer of sets of one name and type.
func choose(sets []RecordSet, p geo.Place, draw float64) []string {
	if len(sets) == 0 {
		return nil
	}
	switch routing(sets[0]) {
	case "geo":
		return nearest(sets, p)
	case "weight":
		return drawn(sets, draw)
	case "failover":
		for _, role := range []string{"PRIMARY", "SECONDARY"} {
			for _, s := range sets {
				if s.Failover == role {
					return s.Values
				}
			}
		}
	case "multi":
		var values []string
		for _, s := range sets[:min(8, len(sets))] {
			values = append(values, s.Values...)
		}
		return values
	}
	return sets[0].Values
}

// nearest is the set of the most specific place that p is in.
func nearest(sets []RecordSet, p geo.Place) []string {
	var wanted []GeoLocation
	if country, state, ok := strings.Cut(p.Subdivision, "-"); ok {
		wanted = append(wanted, GeoLocation{CountryCode: country, SubdivisionCode: state})
	}
	if p.Country != "" {
		wanted = append(wanted, GeoLocation{CountryCode: p.Country})
	}
	if p.Continent != "" {
		wanted = append(wanted, GeoLocation{ContinentCode: p.Continent})
	}
	for _, g := range append(wanted, GeoLocation{CountryCode: "*"}) {
		for _, s := range sets {
			if *s.GeoLocation == g {
				return s.Values
			}
		}
	}
	return nil
}

// drawn is a set by its weight; if all weights are 0, each is as likely.
func drawn(sets []RecordSet, draw float64) []string {
	total := 0.0
	for _, s := range sets {
		total += float64(*s.Weight)
	}
	for _, s := range sets {
		part := float64(*s.Weight) / total
		if total == 0 {
			part = 1 / float64(len(sets))
		}
		if draw -= part; draw < 0 {
			return s.Values
		}
	}
	return sets[len(sets)-1].Values
}
