package cluster

import (
	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Size is what a Cluster's status says of its nodes: all that is known where nobody measures.
type Size struct {
	nodes int32
	node  *schedule.Resources // of one, on the average; nil: not known
}

func readSize(c *v1alpha1.Cluster) Size {
	s := Size{nodes: c.Status.Nodes}
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

// Fill has the nodes spread over a cluster's domains.
func (s Size) Fill(domains []schedule.Domain) []schedule.Domain {
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

func readPrice(p *v1alpha1.ClusterPrice) schedule.Price {
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
