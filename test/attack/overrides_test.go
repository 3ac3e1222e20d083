package attack

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// policyIn is a PlacementPolicy; rest is what follows spec: in YAML's flow style.
func policyIn(namespace, rest string) string {
	return fmt.Sprintf("apiVersion: hanse.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {name: p, namespace: %s}\nspec: %s", namespace, rest)
}

func clusterPolicy(name, rest string) string {
	return fmt.Sprintf("apiVersion: hanse.dev/v1alpha1\nkind: ClusterPlacementPolicy\nmetadata: {name: %s}\nspec: %s", name, rest)
}

// TestAPolicyIsNoWayToWriteARole: an editor of a namespace has a policy replace a Role's rules in the members.
func TestAPolicyIsNoWayToWriteARole(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "roles-by-policy")
	editor := f.person(t, "editor", as("edit", ns))
	const everything = `[{op: add, path: /rules, value: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]}]`
	refused(t, editor.create(t, policyIn(ns, "{select: {kinds: [{apiVersion: rbac.authorization.k8s.io/v1, kind: Role}]}, overrides: [{jsonPatch: "+everything+"}]}")),
		"spec.overrides[0]", "a PlacementPolicy does not", "ClusterPlacementPolicy")
	// Nor by leaving out which kinds: that may be all of them.
	refused(t, editor.create(t, policyIn(ns, "{overrides: [{jsonPatch: "+everything+"}]}")),
		"update *.* in namespace "+ns, "spec.select.kinds or spec.overrides[0].kinds")
	// Nor as who may update everything there, which a Role's rules are not for.
	owner := f.person(t, "owner", as("edit", ns), in(ns, may("update", "*.*")))
	must(t, owner.create(t, policyIn(ns, "{select: {labels: {matchLabels: {open: 'yes'}}}, overrides: [{jsonPatch: "+everything+"}]}")))
	_, err := f.admin.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "reader", Labels: map[string]string{"open": "yes"}},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, func(ctx context.Context) error {
		role, err := f.in["aws"].RbacV1().Roles(ns).Get(ctx, "reader", metav1.GetOptions{})
		if err == nil && role.Rules[0].Verbs[0] != "get" {
			t.Fatalf("the policy rewrote the Role: %v", role.Rules)
		}
		return err
	})
}

// TestAPolicyIsNoWayAroundAQuota: somebody has a policy raise a ResourceQuota in the members, which was made before or after.
func TestAPolicyIsNoWayAroundAQuota(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "quota-by-policy")
	owner := f.person(t, "owner", as("admin", ns), in(ns, may("update", "*.*")))
	for _, kind := range []string{"{apiVersion: v1, kind: ResourceQuota}", "{apiVersion: v1, kind: LimitRange}", "{apiVersion: v1, kind: ServiceAccount}",
		"{apiVersion: v1, kind: Secret}", "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy}"} {
		refused(t, owner.create(t, policyIn(ns, "{select: {kinds: ["+kind+"]}, overrides: [{labels: {set: {a: b}}}]}")), "a PlacementPolicy does not")
	}
	must(t, owner.create(t, policyIn(ns, "{overrides: [{strategicMerge: {spec: {hard: {pods: '100000'}}}, labels: {set: {touched: 'yes'}}}]}")))
	_, err := f.admin.CoreV1().ResourceQuotas(ns).Create(t.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "two"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("2")}}}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, func(ctx context.Context) error {
		quota, err := f.in["aws"].CoreV1().ResourceQuotas(ns).Get(ctx, "two", metav1.GetOptions{})
		if err == nil && quota.Spec.Hard.Pods().Value() > 2 { // it has a part of them
			t.Fatalf("the policy raised the quota to %s", quota.Spec.Hard.Pods())
		}
		return err
	})
}

// TestOverridesAreWrites: who may write policies and no Deployments has a policy change a Deployment.
func TestOverridesAreWrites(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "deployments-by-policy")
	policies := may("create,update,patch", "placementpolicies.hanse.dev")
	const image = "{select: {kinds: [{apiVersion: apps/v1, kind: Deployment}]}, overrides: [{images: [{image: evil:1}]}]}"
	planner := f.person(t, "planner", in(ns, policies))
	refused(t, planner.create(t, policyIn(ns, image)), "update deployments.apps in namespace "+ns, planner.name, "rolebindings")
	must(t, planner.create(t, policyIn(ns, "{clusters: {names: [aws]}}"))) // where things go is theirs to say
	refused(t, planner.apply(t, policyIn(ns, image)), "update deployments.apps in namespace "+ns)
	// Without kinds, images reach all that makes pods.
	refused(t, planner.apply(t, policyIn(ns, "{overrides: [{images: [{image: evil:1}]}]}")), "update pods in namespace "+ns)

	editor := f.person(t, "editor", as("edit", ns))
	must(t, editor.apply(t, policyIn(ns, image)))
	// Who may not write what a policy changes may not have it change that elsewhere, either.
	refused(t, planner.apply(t, policyIn(ns, "{clusters: {names: [azure]}, "+image[1:])), "update deployments.apps in namespace "+ns)

	// Those who may write one Deployment may have a policy for that one.
	one := f.person(t, "one", in(ns, policies, may("update", "deployments.apps", "web")))
	byName := "{select: {names: [%s], kinds: [{apiVersion: apps/v1, kind: Deployment}]}, overrides: [{replicas: 1}]}"
	must(t, one.apply(t, policyIn(ns, fmt.Sprintf(byName, "web"))))
	refused(t, one.apply(t, policyIn(ns, fmt.Sprintf(byName, "'api', web"))), "update deployments.apps api in namespace "+ns)

	// A kind that the hub does not serve today may be served tomorrow.
	refused(t, editor.apply(t, policyIn(ns, "{select: {kinds: [{apiVersion: example.com/v1, kind: Vault}]}, overrides: [{labels: {set: {a: b}}}]}")),
		"update *.example.com in namespace "+ns)
}

// TestAPolicyOfAllNamespacesGivesNoRights: who may write ClusterPlacementPolicies and update roles has one give rights that
// they do not have.
func TestAPolicyOfAllNamespacesGivesNoRights(t *testing.T) {
	t.Parallel()
	f := suite
	f.namespace(t, "rights-by-policy")
	policies := may("create,update,patch", "clusterplacementpolicies.hanse.dev")
	roles := may("update", "roles.rbac.authorization.k8s.io,clusterroles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io")
	planner := f.person(t, "planner", everywhere(policies, roles, may("get,list", "pods.")))
	const named = "attack-rights"
	give := func(p *person, kind, change string) error {
		return p.apply(t, clusterPolicy(named, "{select: {names: [nobodys], kinds: [{apiVersion: rbac.authorization.k8s.io/v1, kind: "+kind+"}]}, overrides: [{"+change+"}]}"))
	}
	secrets := "{apiGroups: [''], resources: [secrets], verbs: [get]}"
	pods := "{apiGroups: [''], resources: [pods], verbs: [get]}"
	refused(t, give(planner, "ClusterRole", "jsonPatch: [{op: add, path: /rules, value: ["+secrets+"]}]"), "not currently held", "escalate clusterroles")
	refused(t, give(planner, "Role", "strategicMerge: {rules: ["+pods+", "+secrets+"]}"), "not currently held")
	must(t, give(planner, "Role", "strategicMerge: {rules: ["+pods+"]}"))
	must(t, give(planner, "ClusterRole", "jsonPatch: [{op: add, path: /rules/-, value: "+pods+"}]"))
	// What the rest of a rule is, nobody knows.
	refused(t, give(planner, "ClusterRole", "jsonPatch: [{op: add, path: /rules/0/verbs, value: ['*']}]"), "escalate clusterroles")
	refused(t, give(planner, "ClusterRole", "jsonPatch: [{op: remove, path: /rules/0/resourceNames}]"), "escalate clusterroles")
	refused(t, give(planner, "ClusterRole", "labels: {set: {rbac.authorization.k8s.io/aggregate-to-admin: 'true'}}"), "escalate clusterroles")
	refused(t, give(planner, "ClusterRole", "jsonPatch: [{op: add, path: /rules/-, value: {apigroups: [''], apiGroups: ['*'], resources: [pods], verbs: [get]}}]"), "escalate clusterroles")
	refused(t, give(planner, "RoleBinding", "jsonPatch: [{op: add, path: /subjects, value: [{kind: User, name: me}]}]"), "bind clusterroles")
	may := f.person(t, "administrator", everywhere(policies, roles, may("escalate", "clusterroles.rbac.authorization.k8s.io")))
	must(t, give(may, "ClusterRole", "jsonPatch: [{op: add, path: /rules/0/verbs, value: ['*']}]"))
	// Rights in a namespace are none for all of them.
	some := f.person(t, "some", everywhere(policies), as("edit", "rights-by-policy"))
	refused(t, some.apply(t, clusterPolicy(named, "{namespaces: {names: [rights-by-policy]}, select: {kinds: [{apiVersion: apps/v1, kind: Deployment}]}, overrides: [{images: [{image: evil:1}]}]}")),
		"update deployments.apps in all namespaces", "ClusterRoleBinding")
}
