package policy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Problem is what is wrong with the policy's clusters as they are now, in a
// sentence; empty if nothing is.
func (p *Policy) Problem(clusters []Cluster) string {
	allowed := p.Allowed(clusters)
	for _, g := range allowed.Groups {
		if len(g.Clusters) > 0 {
			return p.spreadProblem(clusters, allowed)
		}
	}
	if len(clusters) == 0 {
		return ""
	}
	return fmt.Sprintf("%s selects none of the %d clusters (%s)", p, len(clusters), describeGroups(p.groups))
}

// spreadProblem says which key no allowed cluster has, or has too few values.
func (p *Policy) spreadProblem(clusters []Cluster, allowed Allowed) string {
	for _, s := range p.Spread {
		values := map[string]bool{}
		for i := range clusters {
			c := &clusters[i]
			if slices.ContainsFunc(allowed.Groups, func(g Group) bool { return slices.Contains(g.Clusters, c.Name) }) {
				for _, v := range c.domains(s.Key) {
					values[v] = true
				}
			}
		}
		switch {
		case len(values) == 0:
			return fmt.Sprintf("%s spreads over %s, which no allowed cluster has", p, s.Key)
		case len(values) < int(s.AtLeast):
			return fmt.Sprintf("%s wants at least %d values of %s, the allowed clusters have %d", p, s.AtLeast, s.Key, len(values))
		}
	}
	return ""
}

// domains is the values that a cluster has for a label's key.
func (c *Cluster) domains(key string) []string {
	switch key {
	case v1alpha1.LabelClusterName:
		return []string{c.Name}
	case v1alpha1.LabelProvider:
		return c.field(v1alpha1.FieldProvider)
	case v1alpha1.LabelContinent:
		return c.field(v1alpha1.FieldContinent)
	case corev1.LabelTopologyRegion:
		return c.field(v1alpha1.FieldRegion)
	case corev1.LabelTopologyZone:
		return c.Zones
	}
	if v, ok := c.Labels[key]; ok {
		return []string{v}
	}
	return nil
}

// Unknown is the clusters that the policy names and that there are not, sorted:
// yet to join, or misspelt.
func (p *Policy) Unknown(clusters []Cluster) []string {
	there := make(map[string]bool, len(clusters))
	for i := range clusters {
		there[clusters[i].Name] = true
	}
	var unknown []string
	for _, name := range p.named {
		if !there[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func namedClusters(spec *v1alpha1.PlacementPolicySpec) []string {
	var all []string
	add := func(s *v1alpha1.ClusterSelector) {
		if s != nil {
			all = append(append(all, s.Names...), s.Exclude...)
		}
	}
	add(spec.Clusters)
	for i := range spec.Fallback {
		add(&spec.Fallback[i].ClusterSelector)
	}
	for name := range spec.Division.Limits {
		if name != v1alpha1.AnyCluster {
			all = append(all, name)
		}
	}
	if r := spec.Rollout; r != nil {
		if r.By == v1alpha1.RolloutByCluster {
			all = append(all, r.Order...)
		}
		for i := range r.Groups {
			add(&r.Groups[i].ClusterSelector)
		}
	}
	for i := range spec.Overrides {
		add(spec.Overrides[i].Clusters)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
