package kinds

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// MemberRules is all that the hub may do in a member of which it may write every
// kind: write what it propagates, read nodes and pods, and renew its own token.
// There is no wildcard over groups, no exec and no impersonation, but whoever has
// these rights is an administrator of the member: who may create and read Secrets
// has the token of any service account made, and who may grant rights that they do
// not hold (escalate, bind) has every right. Package rights has what is less. For
// groups of custom resources see CustomRules.
func MemberRules() []rbacv1.PolicyRule {
	write := writeVerbs()
	read := []string{"get", "list", "watch"}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Verbs: write, Resources: []string{
			"configmaps", "endpoints", "limitranges", "namespaces", "persistentvolumeclaims", "persistentvolumes", "pods",
			"podtemplates", "replicationcontrollers", "resourcequotas", "secrets", "serviceaccounts", "services"}},
		{APIGroups: []string{""}, Verbs: read, Resources: []string{"nodes"}},
		{APIGroups: []string{"", "events.k8s.io"}, Verbs: []string{"create", "patch", "update"}, Resources: []string{"events"}},
		{APIGroups: []string{"apps"}, Verbs: write, Resources: []string{"daemonsets", "deployments", "replicasets", "statefulsets"}},
		{APIGroups: []string{"batch"}, Verbs: write, Resources: []string{"cronjobs", "jobs"}},
		{APIGroups: []string{"autoscaling"}, Verbs: write, Resources: []string{"horizontalpodautoscalers"}},
		{APIGroups: []string{"policy"}, Verbs: write, Resources: []string{"poddisruptionbudgets"}},
		{APIGroups: []string{"networking.k8s.io"}, Verbs: write, Resources: []string{"ingresses", "ingressclasses", "networkpolicies"}},
		{APIGroups: []string{"discovery.k8s.io"}, Verbs: write, Resources: []string{"endpointslices"}},
		{APIGroups: []string{"scheduling.k8s.io"}, Verbs: write, Resources: []string{"priorityclasses", "podgroups", "workloads"}},
		{APIGroups: []string{"storage.k8s.io"}, Verbs: write, Resources: []string{"csidrivers", "storageclasses", "volumeattributesclasses"}},
		{APIGroups: []string{"node.k8s.io"}, Verbs: write, Resources: []string{"runtimeclasses"}},
		{APIGroups: []string{"resource.k8s.io"}, Verbs: write, Resources: []string{"deviceclasses", "devicetaintrules", "resourceclaims", "resourceclaimtemplates"}},
		{APIGroups: []string{"certificates.k8s.io"}, Verbs: write, Resources: []string{"clustertrustbundles", "podcertificaterequests"}},
		{APIGroups: []string{"certificates.k8s.io"}, Verbs: []string{"attest"}, Resources: []string{"signers"}},
		{APIGroups: []string{"admissionregistration.k8s.io"}, Verbs: write, Resources: admissionKinds()},
		{APIGroups: []string{"apiextensions.k8s.io"}, Verbs: write, Resources: []string{"customresourcedefinitions"}},
		{APIGroups: []string{rbacv1.GroupName}, Verbs: append(write, "escalate", "bind"), Resources: []string{
			"clusterrolebindings", "clusterroles", "rolebindings", "roles"}},
		{APIGroups: []string{""}, Verbs: []string{"create"}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{v1alpha1.ServiceAccount}},
		{NonResourceURLs: []string{"/readyz", "/livez", "/version", "/api", "/api/*", "/apis", "/apis/*"}, Verbs: []string{"get"}},
	}
}

// CustomRules is what the hub adds for itself in a member when a
// CustomResourceDefinition of that group is propagated.
func CustomRules(group string, resources []string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: resources, Verbs: writeVerbs()}}
}

func writeVerbs() []string {
	return []string{"get", "list", "watch", "create", "update", "patch", "delete"}
}
