package propagate

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// constraintsOf is what of a workload's pod template says where its pods may run,
// nil if it says nothing. Requests are left to the members' schedulers.
func constraintsOf(content map[string]any) *corev1.PodTemplateSpec {
	spec, found, _ := unstructured.NestedMap(content, "spec", "template", "spec")
	if !found {
		return nil
	}
	where := map[string]any{}
	for _, field := range []string{"nodeSelector", "affinity", "tolerations", "topologySpreadConstraints"} {
		if value, ok := spec[field]; ok {
			where[field] = value
		}
	}
	if len(where) == 0 {
		return nil
	}
	template := &corev1.PodTemplateSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(where, &template.Spec); err != nil {
		return nil // the API server has checked it; a kind whose template is another is not read
	}
	template.Labels, _, _ = unstructured.NestedStringMap(content, "spec", "template", "metadata", "labels")
	return template
}

// forSchedule is a cluster as package schedule knows it: each of its zones is a
// domain, so that rules about zones count those of all clusters.
func (c *cluster) forSchedule() schedule.Cluster {
	s := schedule.Cluster{Name: c.name, Ready: c.ready, Labels: c.labels}
	for _, zone := range c.zones {
		s.Domains = append(s.Domains, schedule.Domain{Labels: map[string]string{corev1.LabelTopologyZone: zone}})
	}
	return s
}

// reasonsFor adds to a Placement why its clusters were chosen or not.
func reasonsFor(p *v1alpha1.Placement, d schedule.Decision) {
	why := map[string]string{}
	for _, s := range d.Shares {
		why[s.Cluster] = s.Reason
	}
	for i := range p.Clusters {
		p.Clusters[i].Reason = why[p.Clusters[i].Name]
	}
	for _, r := range d.Rejected {
		p.Rejected = append(p.Rejected, v1alpha1.ClusterRejection{Name: r.Cluster, Reason: r.Reason})
	}
	p.Unplaced = d.Unplaced
}
