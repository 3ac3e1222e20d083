package schedule

import (
	"cmp"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/schedule/constraints"
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

// sites is all domains of all clusters, and what runs there.
type sites struct {
	constraints.Sites
	pods      map[string][]podsAt    // by namespace
	repelling []repulsion            // required anti-affinity of what runs
	own       map[string][]ownPodsAt // by workload
}

type podsAt struct {
	site int32
	*PodGroup
}

type ownPodsAt struct{ site, count int32 }

// index prepares the sites on first use.
func (s *Snapshot) index() *sites {
	s.prepare.Do(func() {
		s.sites.addClusters(s.clusters)
		s.sites.addPods(s.clusters)
	})
	return &s.sites
}

func (x *sites) addClusters(clusters []Cluster) {
	var domains []map[string]string
	for i := range clusters {
		c := &clusters[i]
		domains = domains[:0]
		for d := range c.Domains {
			domains = append(domains, c.Domains[d].Labels)
		}
		x.Add(c.Name, c.Labels, domains)
	}
	x.Group()
}

func (x *sites) addPods(clusters []Cluster) {
	x.pods, x.own = map[string][]podsAt{}, map[string][]ownPodsAt{}
	for i := range clusters {
		c := &clusters[i]
		for p := range c.Pods {
			g := &c.Pods[p]
			site := x.First[i]
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
