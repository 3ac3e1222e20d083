// Package constraints reads what a pod template asks of nodes and of other pods: node
// affinity, tolerations, terms of pod affinity, and the domains that topology keys speak
// of. A cluster, or a part of it whose nodes have the same labels, stands for a node. What
// is about single nodes is left to the member's scheduler. Everything here is pure.
package constraints

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Sites is all parts of all clusters, and how labels group them. The zero Sites is empty.
type Sites struct {
	First      []int32 // by cluster: its first site; one more at the end, once grouped
	Cluster    []int32 // by site
	Labels     []map[string]string
	topologies map[string]*Topology
}

// Topology is the domains that one label's values make.
type Topology struct {
	Key    string
	Of     []int32 // by site: which of Values; -1: it does not have the label
	Values []string
}

// Add adds a cluster with these labels, and its domains with more of their own. Without
// domains it is one site.
func (x *Sites) Add(cluster string, labels map[string]string, domains []map[string]string) {
	at := int32(len(x.First))
	x.First = append(x.First, int32(len(x.Labels)))
	for d := range max(1, len(domains)) {
		var own map[string]string
		if d < len(domains) {
			own = domains[d]
		}
		x.Cluster = append(x.Cluster, at)
		x.Labels = append(x.Labels, siteLabels(cluster, labels, own))
	}
}

// Group makes the topologies, when all clusters are added.
func (x *Sites) Group() {
	x.First = append(x.First, int32(len(x.Labels)))
	x.topologies = map[string]*Topology{}
	ids := map[string]map[string]int32{}
	for site, labels := range x.Labels {
		for key, value := range labels {
			t := x.topologies[key]
			if t == nil {
				t = x.Topology(key)
				x.topologies[key], ids[key] = t, map[string]int32{}
			}
			id, known := ids[key][value]
			if !known {
				id = int32(len(t.Values))
				ids[key][value] = id
				t.Values = append(t.Values, value)
			}
			t.Of[site] = id
		}
	}
}

// Has reports whether a site has a label.
func (x *Sites) Has(key string) bool { return x.topologies[key] != nil }

// siteLabels is what a node there is taken to have: also the cluster's name,
// and the beta names of zone and region for their successors and the reverse.
func siteLabels(cluster string, of, own map[string]string) map[string]string {
	m := make(map[string]string, len(of)+len(own)+3)
	for k, v := range of {
		m[k] = v
	}
	for k, v := range own {
		m[k] = v
	}
	m[v1alpha1.LabelClusterName] = cluster
	delete(m, corev1.LabelHostname)
	for _, alias := range [][2]string{
		{corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone},
		{corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaRegion},
	} {
		stable, beta := alias[0], alias[1]
		if v, ok := m[stable]; ok {
			m[beta] = v
		} else if v, ok := m[beta]; ok {
			m[stable] = v
		}
	}
	return m
}

// Above reports whether a label is one of clusters or their domains. Any other
// is a node's, and the member's scheduler looks at it.
func (x *Sites) Above(key string) bool {
	switch key {
	case corev1.LabelTopologyZone, corev1.LabelTopologyRegion,
		corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
		v1alpha1.LabelClusterName, v1alpha1.LabelProvider, v1alpha1.LabelContinent:
		return true
	}
	return x.topologies[key] != nil
}

// Topology is the domains by a label; where no site has it, no domain.
func (x *Sites) Topology(key string) *Topology {
	if t := x.topologies[key]; t != nil {
		return t
	}
	t := &Topology{Key: key, Of: make([]int32, len(x.Labels))}
	for i := range t.Of {
		t.Of[i] = -1
	}
	return t
}
