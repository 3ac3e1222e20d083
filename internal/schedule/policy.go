package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Strategy is how replicas are divided.
type Strategy string

// The strategies. All of them keep what runs where it is unless Rebalance is
// set; they say where more goes, and from where surplus is taken.
const (
	// Evenly gives to whoever has fewest; so does the empty Strategy.
	Evenly Strategy = "Even"
	// Weighted gives in proportion to Policy.Weights.
	Weighted Strategy = "Weighted"
	// FreeCapacity gives in proportion to how many more would fit.
	FreeCapacity Strategy = "FreeCapacity"
	// Pack uses as few clusters as possible.
	Pack Strategy = "Pack"
	// Cheapest fills the cheapest first.
	Cheapest Strategy = "Cheapest"
	// Duplicate gives each cluster the whole number.
	Duplicate Strategy = "Duplicate"
)

// Others is the name in Weights, Min and Max for clusters not named there.
const Others = "*"

// Policy is what a placement policy asks for, as data. The zero Policy asks
// for nothing: every cluster, evenly.
type Policy struct {
	// Name is said in reasons.
	Name string
	// Groups are the clusters that are allowed, in order: what one group
	// cannot take goes to the next. nil: all clusters, in one group.
	Groups   [][]string
	Strategy Strategy
	// Weights is for Weighted, by cluster; one that is not there has 0.
	Weights map[string]int64
	// Min and Max are replicas per cluster. What a minimum asks for is moved
	// there; what a maximum does not allow is moved away.
	Min, Max map[string]int32
	// Ceilings are maxima that preferences do not lift.
	Ceilings map[string]int32
	// Spread asks for several domains to be used.
	Spread []Spread
	// Tolerations add to the template's.
	Tolerations []corev1.Toleration
	// Rebalance divides again instead of keeping what runs where it is.
	Rebalance bool
}

// Spread asks for replicas in at least AtLeast domains of a label. With fewer
// replicas, each has a domain of its own. Where there are too few domains,
// those that there are have to do, and the Decision says so: a rule against
// the loss of a region must not make the loss of a region worse.
type Spread struct {
	Key     string
	AtLeast int32
}

// problem is what is wrong with a policy, or empty.
func (p *Policy) problem(s *Snapshot) string {
	name := p.title()
	switch p.Strategy {
	case "", Evenly, Weighted, FreeCapacity, Pack, Cheapest, Duplicate:
	default:
		return fmt.Sprintf("%s: there is no strategy %q", name, p.Strategy)
	}
	if p.Groups != nil && !slices.ContainsFunc(p.Groups, func(g []string) bool { return len(g) > 0 }) {
		return name + " allows no cluster"
	}
	for _, cluster := range slices.Sorted(maps.Keys(p.Min)) {
		least, most := p.Min[cluster], lookup(p.Max, cluster, unlimited)
		if least < 0 || least > most {
			return fmt.Sprintf("%s: for cluster %s the minimum is %d and the maximum %d", name, cluster, least, most)
		}
	}
	for _, cluster := range slices.Sorted(maps.Keys(p.Max)) {
		if least, most := lookup(p.Min, cluster, 0), p.Max[cluster]; most < 0 || least > most {
			return fmt.Sprintf("%s: for cluster %s the minimum is %d and the maximum %d", name, cluster, least, most)
		}
	}
	if w := p.weightProblem(s); w != "" {
		return name + ": " + w
	}
	for _, spread := range p.Spread {
		if len(s.clusters) > 0 && !s.index().Has(spread.Key) {
			return fmt.Sprintf("%s: no cluster has the label %s, over which to spread", name, spread.Key)
		}
	}
	return ""
}

func (p *Policy) weightProblem(s *Snapshot) string {
	if p.Strategy != Weighted {
		return ""
	}
	for _, cluster := range slices.Sorted(maps.Keys(p.Weights)) {
		if w := p.Weights[cluster]; w < 0 || w > unlimited {
			return fmt.Sprintf("the weight %d of cluster %s is not between 0 and %d", w, cluster, unlimited)
		}
	}
	if len(s.clusters) == 0 {
		return ""
	}
	for i := range s.clusters {
		if lookup(p.Weights, s.clusters[i].Name, 0) > 0 {
			return ""
		}
	}
	return "no cluster has a weight above 0"
}

func (p *Policy) title() string {
	if p.Name == "" {
		return "the policy"
	}
	if strings.Contains(p.Name, " ") {
		return p.Name
	}
	return "policy " + p.Name
}

// lookup is m[name], or the value for all others, or else absent.
func lookup[V any](m map[string]V, name string, absent V) V {
	if v, ok := m[name]; ok {
		return v
	}
	if v, ok := m[Others]; ok {
		return v
	}
	return absent
}
