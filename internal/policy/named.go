package policy

import (
	"slices"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

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
