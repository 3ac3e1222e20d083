package schedule

import (
	"cmp"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Cluster is what scheduling knows of a member. Names are unique.
type Cluster struct {
	Name   string
	Ready  bool
	Labels map[string]string
	// Taints work as a node's do: NoSchedule keeps new replicas away, NoExecute
	// also those that are there, PreferNoSchedule makes others go first.
	Taints []corev1.Taint
	// Cordoned clusters keep what they run and are given nothing new.
	Cordoned bool
	// Drained clusters are emptied as far as others can take what they run.
	Drained bool
	// Lost clusters have been out of reach for longer than their failover
	// time: what they were given fails over, as for Drained.
	Lost bool
	// Domains are the parts of the cluster, one per zone as a rule; none: one
	// part, of which nothing is known but the cluster's labels.
	Domains []Domain
	Price   Price
	// Pods is what runs in the cluster, for affinities between workloads.
	Pods []PodGroup
}

// Domain is a part of a cluster whose nodes have these labels.
type Domain struct {
	// Labels add to the cluster's: topology.kubernetes.io/zone as a rule.
	Labels map[string]string
	// Free is what is neither used nor promised: shares that were decided and
	// whose pods do not exist yet count as used. nil: not known, no limit.
	Free *Resources
	// Nodes is Free by nodes of like size; it goes before Free, because a pod
	// fits into one node, not into the sum of all.
	Nodes []NodeGroup
	// Reclaim is what pods of each priority use, and a pod of higher priority
	// would be given.
	Reclaim []Reclaimable
	// Closed is why there is no room whatever is free, or empty.
	Closed string
}

// NodeGroup is Count nodes, each with Free to give.
type NodeGroup struct {
	Count int32
	Free  Resources
}

// Reclaimable is what the pods of one priority use.
type Reclaimable struct {
	Priority int32
	Used     Resources
}

// Price is what resources cost, in any currency and per any time that is the
// same for all clusters. The zero Price is: not known.
type Price struct{ CPU, GiB float64 }

// PodGroup is Count pods that are alike.
type PodGroup struct {
	// Workload is the key of what they belong to, as in Workload.Key.
	Workload  string
	Namespace string
	Labels    map[string]string
	Count     int32
	// Domain is the index in Cluster.Domains.
	Domain int
	// AntiAffinity is the pods' own required anti-affinity, which keeps others
	// away from them.
	AntiAffinity []corev1.PodAffinityTerm
}

// Surroundings is what scheduling knows beyond the clusters.
type Surroundings struct {
	// Namespaces is the labels of each namespace, for namespaceSelectors.
	Namespaces map[string]map[string]string
	// PriorityClasses is the value of each PriorityClass.
	PriorityClasses map[string]int32
	// Now is compared with what tolerates a taint for some time only. Zero:
	// such a toleration has no end.
	Now time.Time
}

// Snapshot is the clusters at one moment, prepared to schedule many workloads
// to. It does not change and may be used by several goroutines.
type Snapshot struct {
	Surroundings
	clusters []Cluster // by name
	prepare  sync.Once
	sites    sites
	hash     sync.Once
	hashes   []uint64  // of the clusters' names
	spare    sync.Pool // of *workspace
}

// NewSnapshot takes clusters in any order. It does not copy what they refer
// to, which must not be modified afterwards.
func NewSnapshot(clusters []Cluster, around Surroundings) *Snapshot {
	byName := func(a, b Cluster) int { return cmp.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(clusters, byName) {
		clusters = slices.SortedFunc(slices.Values(clusters), byName)
	}
	return &Snapshot{Surroundings: around, clusters: clusters}
}

// Clusters is the clusters by name; not to be modified.
func (s *Snapshot) Clusters() []Cluster { return s.clusters }

// sites is all domains of all clusters, and how labels group them.
type sites struct {
	first      []int32 // by cluster: its first site; one more at the end
	cluster    []int32
	labels     []map[string]string
	topologies map[string]*topology
	byName     map[string]int32       // clusters
	pods       map[string][]podsAt    // by namespace
	repelling  []repulsion            // required anti-affinity of what runs
	own        map[string][]ownPodsAt // by workload
}

type podsAt struct {
	site int32
	*PodGroup
}

type ownPodsAt struct{ site, count int32 }

// topology is the domains that one label's values make.
type topology struct {
	key    string
	of     []int32 // by site; -1: it does not have the label
	values []string
}

// index prepares the sites on first use.
func (s *Snapshot) index() *sites {
	s.prepare.Do(func() {
		s.sites.build(s.clusters)
		s.sites.addPods(s.clusters)
	})
	return &s.sites
}

func (x *sites) build(clusters []Cluster) {
	x.topologies = map[string]*topology{}
	x.byName = make(map[string]int32, len(clusters))
	x.first = make([]int32, 0, len(clusters)+1)
	for i := range clusters {
		c := &clusters[i]
		x.byName[c.Name] = int32(i)
		x.first = append(x.first, int32(len(x.labels)))
		for d := range max(1, len(c.Domains)) {
			var own map[string]string
			if d < len(c.Domains) {
				own = c.Domains[d].Labels
			}
			x.cluster = append(x.cluster, int32(i))
			x.labels = append(x.labels, siteLabels(c, own))
		}
	}
	x.first = append(x.first, int32(len(x.labels)))
	ids := map[string]map[string]int32{}
	for site, labels := range x.labels {
		for key, value := range labels {
			t := x.topologies[key]
			if t == nil {
				t = &topology{key: key, of: make([]int32, len(x.labels))}
				for i := range t.of {
					t.of[i] = -1
				}
				x.topologies[key], ids[key] = t, map[string]int32{}
			}
			id, known := ids[key][value]
			if !known {
				id = int32(len(t.values))
				ids[key][value] = id
				t.values = append(t.values, value)
			}
			t.of[site] = id
		}
	}
}

// siteLabels is what a node there is taken to have: also the cluster's name,
// and the beta names of zone and region for their successors and the reverse.
func siteLabels(c *Cluster, own map[string]string) map[string]string {
	m := make(map[string]string, len(c.Labels)+len(own)+3)
	for k, v := range c.Labels {
		m[k] = v
	}
	for k, v := range own {
		m[k] = v
	}
	m[v1alpha1.LabelClusterName] = c.Name
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

// above reports whether a label is one of clusters or their domains. Any other
// is a node's, and the member's scheduler looks at it.
func (x *sites) above(key string) bool {
	switch key {
	case corev1.LabelTopologyZone, corev1.LabelTopologyRegion,
		corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
		v1alpha1.LabelClusterName, v1alpha1.LabelProvider, v1alpha1.LabelContinent:
		return true
	}
	return x.topologies[key] != nil
}

// topology is the domains by a label; where no site has it, no domain.
func (x *sites) topology(key string) *topology {
	if t := x.topologies[key]; t != nil {
		return t
	}
	t := &topology{key: key, of: make([]int32, len(x.labels))}
	for i := range t.of {
		t.of[i] = -1
	}
	return t
}

func (x *sites) addPods(clusters []Cluster) {
	x.pods, x.own = map[string][]podsAt{}, map[string][]ownPodsAt{}
	for i := range clusters {
		c := &clusters[i]
		for p := range c.Pods {
			g := &c.Pods[p]
			site := x.first[i]
			if g.Domain > 0 && g.Domain < len(c.Domains) {
				site += int32(g.Domain)
			}
			if g.Count <= 0 {
				continue
			}
			x.pods[g.Namespace] = append(x.pods[g.Namespace], podsAt{site, g})
			if g.Workload != "" {
				x.own[g.Workload] = append(x.own[g.Workload], ownPodsAt{site, g.Count})
			}
			for t := range g.AntiAffinity {
				if r, ok := newRepulsion(x, site, g, &g.AntiAffinity[t]); ok {
					x.repelling = append(x.repelling, r)
				}
			}
		}
	}
}
