// Package survey finds out what a cluster is made of, by what its nodes and its
// version endpoint say: version, place, size. All of it is bounded where it is read.
package survey

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Facts is what a member's nodes and its version endpoint tell about it.
type Facts struct {
	Version               string
	Provider, Region      string
	Zones                 []string
	Nodes, Ready          int32
	Capacity, Allocatable corev1.ResourceList // sums over the ready nodes
}

// survey adds up nodes page by page, so that a large member's nodes are never
// all in memory.
type survey struct {
	providers, regions, zones map[string]int
	facts                     Facts
}

func newSurvey() *survey {
	return &survey{
		providers: map[string]int{}, regions: map[string]int{}, zones: map[string]int{},
		facts: Facts{Capacity: corev1.ResourceList{}, Allocatable: corev1.ResourceList{}},
	}
}

// add counts one node.
func (s *survey) add(n *corev1.Node) {
	provider := providerOf(n)
	region := label(n, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaRegion)
	zone := label(n, corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone)
	if zone == "" {
		zone = zoneFromProviderID(provider, n.Spec.ProviderID)
	}
	if provider == "azure" && !strings.Contains(zone, "-") {
		zone = "" // a fault domain of a region without zones: "0", "1"
	}
	if region == "" {
		region = regionOfZone(provider, zone)
	}
	count(s.providers, LabelValue(provider))
	count(s.regions, LabelValue(region))
	count(s.zones, LabelValue(zone))
	s.facts.Nodes++
	if !nodeReady(n) {
		return
	}
	s.facts.Ready++
	addTo(s.facts.Capacity, n.Status.Capacity)
	addTo(s.facts.Allocatable, n.Status.Allocatable)
}

// result is what most nodes say about provider and region, and all zones, or as
// many as a status holds.
func (s *survey) result() Facts {
	f := s.facts
	f.Provider, f.Region = most(s.providers), most(s.regions)
	f.Zones = slices.Sorted(maps.Keys(s.zones))
	f.Zones = slices.Clip(f.Zones[:min(len(f.Zones), maxZones)])
	return f
}

// providerOf is the cloud that a node says it is in: by the scheme of its
// providerID, else by the labels that managed offerings put on nodes.
func providerOf(n *corev1.Node) string {
	if scheme, _, ok := strings.Cut(n.Spec.ProviderID, "://"); ok {
		if scheme == "gce" {
			return "google"
		}
		return strings.ToLower(scheme)
	}
	for key := range n.Labels {
		switch {
		case strings.HasPrefix(key, "eks.amazonaws.com/"):
			return "aws"
		case strings.HasPrefix(key, "kubernetes.azure.com/"):
			return "azure"
		case strings.HasPrefix(key, "cloud.google.com/gke-"):
			return "google"
		}
	}
	return ""
}

// zoneFromProviderID reads aws:///ZONE/INSTANCE and gce://PROJECT/ZONE/NAME.
func zoneFromProviderID(provider, id string) string {
	_, path, _ := strings.Cut(id, "://")
	parts := strings.Split(path, "/")
	if (provider == "aws" || provider == "google") && len(parts) == 3 {
		return parts[1]
	}
	return ""
}

// regionOfZone takes the zone's own part off: us-east-1a, europe-west1-b.
func regionOfZone(provider, zone string) string {
	switch provider {
	case "aws":
		return strings.TrimRight(zone, "abcdefghijklmnopqrstuvwxyz")
	case "google", "azure":
		if i := strings.LastIndex(zone, "-"); i > 0 {
			return zone[:i]
		}
	}
	return ""
}

// label is the node's value of key, or of its beta predecessor.
func label(n *corev1.Node, key, beta string) string {
	if v := n.Labels[key]; v != "" {
		return v
	}
	return n.Labels[beta]
}

func nodeReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func count(m map[string]int, key string) {
	if _, known := m[key]; key != "" && (known || len(m) < maxPlaces) {
		m[key]++
	}
}

func addTo(sum, more corev1.ResourceList) {
	for name, q := range more {
		if !countable(sum, name, q) {
			continue
		}
		total := sum[name]
		total.Add(q)
		sum[name] = total
	}
}

// most is the key with the highest count, the first by name of several.
func most(m map[string]int) string {
	best := ""
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if m[key] > m[best] {
			best = key
		}
	}
	return best
}
