package sim

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

type resource = schema.GroupResource

// allows says whether the policies let an object be in a cluster. It is a second, simpler reading of them: histories have
// one policy at most for an object. mu is held.
func (f *federation) allows(r ref, cluster string) bool {
	c := f.hub.get(ref{gr: clusters, name: cluster})
	template := f.hub.get(r)
	divided := r.gr == deployments || r.gr == jobs
	if !f.resides(r, cluster) {
		return false
	}
	if c == nil || divided && text(c, "metadata", "deletionTimestamp") != "" || template == nil {
		return false // one that leaves has what all have until it is withdrawn
	}
	if f.propagation(r) == "None" {
		return false
	}
	p := f.policyOf(r.namespace, text(template, "metadata", "labels", "grp"))
	if p == nil {
		return true
	}
	if tier := text(p, "spec", "clusters", "labels", "matchLabels", "tier"); tier != "" && text(c, "metadata", "labels", "tier") != tier {
		return false
	}
	names, _ := at(p, "spec", "clusters", "names").([]any)
	exclude, _ := at(p, "spec", "clusters", "exclude").([]any)
	return (len(names) == 0 || slices.Contains(names, any(cluster))) && !slices.Contains(exclude, any(cluster))
}

func (f *federation) policyOf(namespace, group string) object {
	if namespace == "" || group == "" {
		return nil
	}
	return f.hub.get(ref{policies, namespace, group})
}

// allowsMore says whether a cluster may also get more of what is divided. mu is held.
func (f *federation) allowsMore(r ref, cluster string) bool {
	if !f.allows(r, cluster) {
		return false
	}
	if r.gr == configMaps || r.gr == namespaces {
		return true
	}
	spec, _ := f.hub.get(ref{gr: clusters, name: cluster})["spec"].(object)
	taints, _ := spec["taints"].([]any)
	return spec["unschedulable"] != true && spec["drain"] != true && len(taints) == 0
}
