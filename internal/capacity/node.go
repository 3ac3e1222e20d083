package capacity

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// node is what is kept of one.
type node struct {
	name         string
	labels       map[string]string
	zone, region string
	taints       []corev1.Taint // those that keep pods away
	closed       bool           // not ready, or cordoned
	allocatable  schedule.Resources
}

func readNode(n *corev1.Node) *node {
	out := &node{
		name: n.Name, labels: n.Labels,
		zone:        cmp.Or(n.Labels[corev1.LabelTopologyZone], n.Labels[corev1.LabelFailureDomainBetaZone]),
		region:      cmp.Or(n.Labels[corev1.LabelTopologyRegion], n.Labels[corev1.LabelFailureDomainBetaRegion]),
		closed:      n.Spec.Unschedulable || !ready(n),
		allocatable: schedule.NewResources(n.Status.Allocatable),
	}
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute {
			out.taints = append(out.taints, t)
		}
	}
	return out
}

func ready(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
