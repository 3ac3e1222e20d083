package kinds

import "k8s.io/apimachinery/pkg/runtime/schema"

// Tier is the order in which kinds are written when many wait: lower first.
// It only saves retries. Correctness does not depend on it, because a write
// that comes too early (no such namespace, no such kind) is tried again when
// what it waits for is there.
func Tier(gr schema.GroupResource) int {
	switch gr.Group {
	case "apiextensions.k8s.io":
		return 0
	case "rbac.authorization.k8s.io", "scheduling.k8s.io", "storage.k8s.io", "node.k8s.io", "admissionregistration.k8s.io":
		return 1
	case "networking.k8s.io", "autoscaling", "policy":
		return 4
	case "":
		switch gr.Resource {
		case "namespaces":
			return 0
		case "serviceaccounts", "secrets", "configmaps", "limitranges", "resourcequotas":
			return 1
		case "persistentvolumes", "persistentvolumeclaims", "services", "endpoints":
			return 2
		}
	}
	return 3
}
