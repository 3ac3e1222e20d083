package access

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// EnsureRole gives the hub's ClusterRole in a member the rules that this
// version needs, and no others: those for custom resources are in roles of their
// own. It writes only if they differ.
func EnsureRole(ctx context.Context, client kubernetes.Interface) error {
	roles := client.RbacV1().ClusterRoles()
	role, err := roles.Get(ctx, v1alpha1.ServiceAccount, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("cannot read ClusterRole %s: %w", v1alpha1.ServiceAccount, err)
	}
	rules := kinds.MemberRules()
	if equality.Semantic.DeepEqual(rules, role.Rules) {
		return nil
	}
	role.Rules = rules
	if _, err := roles.Update(ctx, role, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager}); err != nil {
		return fmt.Errorf("cannot update ClusterRole %s: %w", v1alpha1.ServiceAccount, err)
	}
	return nil
}
