package kinds

import "k8s.io/apimachinery/pkg/runtime/schema"

// clusterScoped are those of the resources that MemberRules names which are in no namespace.
func clusterScoped() map[schema.GroupResource]bool {
	out := map[schema.GroupResource]bool{}
	for group, resources := range map[string][]string{
		"":                             {"namespaces", "nodes", "persistentvolumes"},
		"networking.k8s.io":            {"ingressclasses"},
		"scheduling.k8s.io":            {"priorityclasses"},
		"storage.k8s.io":               {"csidrivers", "storageclasses", "volumeattributesclasses"},
		"node.k8s.io":                  {"runtimeclasses"},
		"resource.k8s.io":              {"deviceclasses", "devicetaintrules"},
		"certificates.k8s.io":          {"clustertrustbundles", "signers"},
		"apiextensions.k8s.io":         {"customresourcedefinitions"},
		"rbac.authorization.k8s.io":    {"clusterroles", "clusterrolebindings"},
		"admissionregistration.k8s.io": admissionKinds(),
	} {
		for _, resource := range resources {
			out[schema.GroupResource{Group: group, Resource: resource}] = true
		}
	}
	return out
}

// ClusterScoped says whether a resource that MemberRules names is in no namespace.
func ClusterScoped(gr schema.GroupResource) bool { return clusterScoped()[gr] }

func admissionKinds() []string {
	return []string{
		"mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations",
		"validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations"}
}
