package fleet

import (
	"context"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// mergeRules is kinds.MemberRules with those of have that are about API groups
// that it does not speak of: rules for custom resources, added while the
// member was engaged.
func mergeRules(have []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	want := kinds.MemberRules()
	known := map[string]bool{}
	for _, rule := range want {
		for _, group := range rule.APIGroups {
			known[group] = true
		}
	}
	for _, rule := range have {
		if len(rule.APIGroups) > 0 && !slices.ContainsFunc(rule.APIGroups, func(g string) bool { return known[g] }) {
			want = append(want, rule)
		}
	}
	return want
}

// ensureRole gives the hub's ClusterRole in a member the rules that this
// version needs. It writes only if they differ.
func ensureRole(ctx context.Context, client kubernetes.Interface) error {
	roles := client.RbacV1().ClusterRoles()
	role, err := roles.Get(ctx, v1alpha1.ServiceAccount, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("cannot read ClusterRole %s: %w", v1alpha1.ServiceAccount, err)
	}
	rules := mergeRules(role.Rules)
	if equality.Semantic.DeepEqual(rules, role.Rules) {
		return nil
	}
	role.Rules = rules
	if _, err := roles.Update(ctx, role, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager}); err != nil {
		return fmt.Errorf("cannot update ClusterRole %s: %w", v1alpha1.ServiceAccount, err)
	}
	return nil
}
