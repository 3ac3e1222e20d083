package propagate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// size is what a Cluster's status says of its nodes: all that a Planner knows, for which
// nobody watches pods.
type size struct {
	nodes int32
	node  *schedule.Resources // of one, on the average; nil: not known
}

func sizeOf(c *v1alpha1.Cluster) size {
	s := size{nodes: c.Status.Nodes}
	if s.nodes <= 0 || len(c.Status.Allocatable) == 0 {
		return s
	}
	all := schedule.NewResources(c.Status.Allocatable)
	n := int64(s.nodes)
	s.node = &schedule.Resources{MilliCPU: all.MilliCPU / n, Memory: all.Memory / n, Pods: all.Pods / n}
	for name, q := range all.Extended {
		if s.node.Extended == nil {
			s.node.Extended = map[corev1.ResourceName]int64{}
		}
		s.node.Extended[name] = (q + n - 1) / n // not every node has one
	}
	return s
}

// fill has the nodes spread over a cluster's domains.
func (s size) fill(domains []schedule.Domain) []schedule.Domain {
	if s.node == nil {
		return domains
	}
	if len(domains) == 0 {
		domains = make([]schedule.Domain, 1)
	}
	out := make([]schedule.Domain, len(domains))
	for i := range domains {
		count := s.nodes / int32(len(domains))
		if i < int(s.nodes)%len(domains) {
			count++
		}
		out[i] = schedule.Domain{Labels: domains[i].Labels, Nodes: []schedule.NodeGroup{{Count: count, Free: *s.node}}}
	}
	return out
}

// planned is demanded for a Planner: with what nodes are to have, as if nothing ran there.
// Of pods of other workloads it knows nothing.
func (e *Engine) planned(d *demand, plain *schedule.Snapshot, w *schedule.Workload) *schedule.Snapshot {
	w.Template = d.template.DeepCopy()
	if a := w.Template.Spec.Affinity; a != nil {
		ownPodsOnly(a, w.Template.Labels)
	}
	clusters := slices.Clone(plain.Clusters())
	for i := range clusters {
		if c := e.clusters[clusters[i].Name]; d.room && !c.elastic {
			clusters[i].Domains = c.size.fill(clusters[i].Domains)
		}
	}
	return schedule.NewSnapshot(clusters, plain.Surroundings)
}

func priceOf(p *v1alpha1.ClusterPrice) schedule.Price {
	amount := func(q *quantity.Quantity) float64 {
		if q == nil {
			return 0
		}
		return max(0, q.AsApproximateFloat64())
	}
	if p == nil {
		return schedule.Price{}
	}
	return schedule.Price{CPU: amount(p.CPU), GiB: amount(p.MemoryGiB)}
}
