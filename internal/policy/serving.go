package policy

import (
	"fmt"
	"slices"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Client is where a client is, as far as is known.
type Client struct {
	// Continent and Country are empty where they are not known.
	Continent, Country string
}

type servingRule struct {
	continents, countries []string
	clusters              *clusterSelector // nil: all of the Residency
}

func newServingRule(in *v1alpha1.ServingRule) (servingRule, error) {
	r := servingRule{continents: in.Continents, countries: in.Countries}
	if in.Clusters == nil {
		return r, nil
	}
	by, err := newClusterSelector(in.Clusters)
	if err != nil {
		return r, fmt.Errorf("clusters.%w", err)
	}
	r.clusters = by
	return r, nil
}

// names says whether a rule names a client, and whether it may: where nothing more exact is known.
func (r *servingRule) names(c Client) (is, maybe bool) {
	if len(r.continents) == 0 && len(r.countries) == 0 {
		return true, true
	}
	if slices.Contains(r.continents, c.Continent) || slices.Contains(r.countries, c.Country) {
		return true, true
	}
	return false, len(r.continents) > 0 && c.Continent == "" || len(r.countries) > 0 && c.Country == ""
}

// Serves says whether a Residency lets a cluster answer a client. Whoever may be named by several rules, because it is not known
// where exactly they are, is answered only with what all of these allow.
func (p *Policy) Serves(c *Cluster, client Client) bool {
	if p.held != "" || p.Excludes(c) != "" {
		return false
	}
	if len(p.serving) == 0 {
		return true
	}
	for i := range p.serving {
		r := &p.serving[i]
		is, maybe := r.names(client)
		if maybe && r.clusters != nil && r.clusters.rejects(c) != "" {
			return false
		}
		if is {
			return true
		}
	}
	return false // nobody names them
}

// ServesByPlace says whether it depends on where clients are what a Residency lets them be answered.
func (p *Policy) ServesByPlace() bool { return len(p.serving) > 0 }

// Countries are those that the rules for serving name. Continents are those.
func (p *Policy) Countries() (countries []string) {
	for i := range p.serving {
		countries = append(countries, p.serving[i].countries...)
	}
	return countries
}

// Continents are those that the rules for serving name.
func (p *Policy) Continents() (continents []string) {
	for i := range p.serving {
		continents = append(continents, p.serving[i].continents...)
	}
	return continents
}
