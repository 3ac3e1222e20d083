package capacity

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// Profile is which nodes a workload's pods can be on, and whom they go before.
type Profile struct {
	key      string
	spec     corev1.PodSpec // nodeSelector, affinity and tolerations alone
	required nodeaffinity.RequiredNodeAffinity
	priority int32
}

// NewProfile reads a pod template; priority is its PriorityClass's value, the
// least there is for pods that preempt none.
func NewProfile(spec *corev1.PodSpec, priority int32) (*Profile, error) {
	p := &Profile{priority: priority}
	p.spec.NodeSelector, p.spec.Tolerations = spec.NodeSelector, spec.Tolerations
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		p.spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution}}
	}
	p.required = nodeaffinity.GetRequiredNodeAffinity(&corev1.Pod{Spec: p.spec})
	said, err := json.Marshal(&p.spec)
	if err != nil {
		return nil, fmt.Errorf("encode what a pod template asks of nodes: %w", err)
	}
	p.key = fmt.Sprintf("%d %s", priority, said)
	return p, nil
}

// Key is the same for profiles that are the same.
func (p *Profile) Key() string { return p.key }

// fits says whether pods can be on a node of a cluster with these labels, which
// go before the node's own, as far as they say so themselves.
func (p *Profile) fits(n *node, cluster map[string]string) bool {
	if n.closed {
		return false
	}
	for i := range n.taints {
		if !p.tolerates(&n.taints[i]) {
			return false
		}
	}
	if len(p.spec.NodeSelector) == 0 && p.spec.Affinity == nil {
		return true
	}
	labelled := &corev1.Node{}
	labelled.Name, labelled.Labels = n.name, labelsOf(n, cluster)
	match, err := p.required.Match(labelled)
	return match && err == nil // the API server has checked it
}

// labelsOf is a node's labels with its cluster's, zone and region also by their
// beta names.
func labelsOf(n *node, cluster map[string]string) map[string]string {
	labels := make(map[string]string, len(n.labels)+len(cluster)+2)
	maps.Copy(labels, n.labels)
	maps.Copy(labels, cluster)
	if zone := cmp.Or(cluster[corev1.LabelTopologyZone], n.zone); zone != "" {
		labels[corev1.LabelTopologyZone], labels[corev1.LabelFailureDomainBetaZone] = zone, zone
	}
	if region := cmp.Or(cluster[corev1.LabelTopologyRegion], n.region); region != "" {
		labels[corev1.LabelTopologyRegion], labels[corev1.LabelFailureDomainBetaRegion] = region, region
	}
	return labels
}

func (p *Profile) tolerates(t *corev1.Taint) bool {
	for i := range p.spec.Tolerations {
		if p.spec.Tolerations[i].ToleratesTaint(klog.Logger{}, t, false) {
			return true
		}
	}
	return false
}
