package access

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// EnsureRole gives a ClusterRole of the hub's in a member these rules, and no
// others: those for custom resources are in roles of their own. It writes only if
// they differ.
func EnsureRole(ctx context.Context, client kubernetes.Interface, name string, rules []rbacv1.PolicyRule) error {
	roles := client.RbacV1().ClusterRoles()
	role, err := roles.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("cannot read ClusterRole %s: %w", name, err)
	}
	if equality.Semantic.DeepEqual(rules, role.Rules) {
		return nil
	}
	role.Rules = rules
	if _, err := roles.Update(ctx, role, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager}); err != nil {
		return fmt.Errorf("cannot update ClusterRole %s: %w", name, err)
	}
	return nil
}
