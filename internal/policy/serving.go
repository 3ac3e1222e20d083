package policy

import (
	"fmt"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Serving is a rule of a Residency: which clusters may answer the clients of some places. Without any places it is about all.
type Serving struct {
	Continents, Countries []string
	clusters              *clusterSelector
}

func newServing(in *v1alpha1.ServingRule) (Serving, error) {
	r := Serving{Continents: in.Continents, Countries: in.Countries}
	if in.Clusters == nil {
		return r, fmt.Errorf("clusters: must say which clusters may answer")
	}
	by, err := newClusterSelector(in.Clusters)
	if err != nil {
		return r, fmt.Errorf("clusters.%w", err)
	}
	r.clusters = by
	return r, nil
}

// Allows says whether a rule lets a cluster answer, of those that the Residency allows.
func (r *Serving) Allows(c *Cluster) bool {
	return undeclared(r.clusters, c) == ""
}

// Serving are the rules of a Residency, in order; none: any of its clusters may answer anybody.
func (p *Policy) Serving() []Serving { return p.serving }
