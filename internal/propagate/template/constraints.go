package template

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// constraintsOf is what of a workload's pod template says where its pods may run,
// whatever runs elsewhere, nil if it says nothing. Of affinities to pods those are left
// to the members' schedulers that are not about the workload's own: see demandOf.
func constraintsOf(content map[string]any) *corev1.PodTemplateSpec {
	spec := podSpec(content)
	if spec == nil || !aboveNodes(spec) {
		return nil
	}
	template := readTemplate(content, spec, "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints")
	if template != nil && template.Spec.Affinity != nil {
		OwnPodsOnly(template.Spec.Affinity, template.Labels)
	}
	return template
}

// podSpec is that of the pod template of an object, nil if it has none. It is not to be
// modified.
func podSpec(content map[string]any) map[string]any {
	value, _, _ := unstructured.NestedFieldNoCopy(content, "spec", "template", "spec")
	spec, _ := value.(map[string]any)
	return spec
}

// readTemplate reads fields of the spec of an object's pod template.
func readTemplate(content, spec map[string]any, fields ...string) *corev1.PodTemplateSpec {
	read := map[string]any{}
	for _, field := range fields {
		if value, ok := spec[field]; ok {
			read[field] = value
		}
	}
	template := &corev1.PodTemplateSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(read, &template.Spec); err != nil {
		return nil // the API server has checked it; a kind whose template is another is not read
	}
	template.Labels, _, _ = unstructured.NestedStringMap(content, "spec", "template", "metadata", "labels")
	return template
}

// OwnPodsOnly drops the terms of an affinity that are not about the workload's own pods.
func OwnPodsOnly(a *corev1.Affinity, podLabels map[string]string) {
	if p := a.PodAffinity; p != nil {
		p.RequiredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(p.RequiredDuringSchedulingIgnoredDuringExecution, aboutOthers(podLabels))
		p.PreferredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(p.PreferredDuringSchedulingIgnoredDuringExecution, preferred(aboutOthers(podLabels)))
	}
	if p := a.PodAntiAffinity; p != nil {
		p.RequiredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(p.RequiredDuringSchedulingIgnoredDuringExecution, aboutOthers(podLabels))
		p.PreferredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(p.PreferredDuringSchedulingIgnoredDuringExecution, preferred(aboutOthers(podLabels)))
	}
}

// aboutOthers says whether a term does not select pods with these labels in their own
// namespace.
func aboutOthers(podLabels map[string]string) func(corev1.PodAffinityTerm) bool {
	return func(t corev1.PodAffinityTerm) bool {
		selector, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
		return err != nil || len(t.Namespaces) > 0 || t.NamespaceSelector != nil || !selector.Matches(labels.Set(podLabels))
	}
}

func preferred(term func(corev1.PodAffinityTerm) bool) func(corev1.WeightedPodAffinityTerm) bool {
	return func(w corev1.WeightedPodAffinityTerm) bool { return term(w.PodAffinityTerm) }
}

// aboveNodes says whether the constraints have a key that is not about single nodes
// only. Most workloads that have any spread over hosts, which is the members'
// business: they are divided as if they said nothing.
func aboveNodes(podSpec map[string]any) bool {
	selector, _, _ := unstructured.NestedMap(podSpec, "nodeSelector")
	for key := range selector {
		if !aboutNodes(key) {
			return true
		}
	}
	return hasKeyAbove(podSpec["affinity"]) || hasKeyAbove(podSpec["topologySpreadConstraints"])
}

// hasKeyAbove looks for such a key in topology terms and node expressions. The keys
// of label selectors, which are pods' labels, do not count.
func hasKeyAbove(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for field, inner := range v {
			key, _ := inner.(string)
			switch {
			case field == "labelSelector" || field == "namespaceSelector":
			case (field == "topologyKey" || field == "key") && !aboutNodes(key):
				return true
			case hasKeyAbove(inner):
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasKeyAbove)
	}
	return false
}

// aboutNodes says whether a label tells nodes of one cluster apart, and nothing of
// clusters.
func aboutNodes(key string) bool {
	switch key {
	case corev1.LabelHostname, corev1.LabelOSStable, corev1.LabelArchStable, corev1.LabelInstanceTypeStable:
		return true
	}
	return false
}
