package app

import (
	"context"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
)

// ensureAdmins gives the group of admin.kubeconfig its rights, and its requests the way past the queues that system:masters
// has. What is there is left alone: a binding without subjects is how these rights are taken away for good.
func ensureAdmins(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	options := metav1.CreateOptions{FieldManager: v1alpha1.FieldManager}
	for _, binding := range []*rbacv1.ClusterRoleBinding{
		binding(datadir.AdminsGroup, "cluster-admin", datadir.AdminsGroup),
		binding(loginRole, loginRole, user.AllUnauthenticated),
		binding(keysRole, keysRole, user.AllUnauthenticated),
	} {
		if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, options); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	_, err = client.FlowcontrolV1().FlowSchemas().Create(ctx, exempt("hanse-admins", datadir.AdminsGroup), options)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func binding(name, role, group string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group}},
	}
}

// exempt lets a group's requests past the queues of priority and fairness.
func exempt(name, group string) *flowcontrolv1.FlowSchema {
	all := []string{"*"}
	return &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: flowcontrolv1.PriorityLevelConfigurationNameExempt},
			MatchingPrecedence:         2, // system:masters has 1
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects:         []flowcontrolv1.Subject{{Kind: flowcontrolv1.SubjectKindGroup, Group: &flowcontrolv1.GroupSubject{Name: group}}},
				ResourceRules:    []flowcontrolv1.ResourcePolicyRule{{Verbs: all, APIGroups: all, Resources: all, ClusterScope: true, Namespaces: all}},
				NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: all, NonResourceURLs: all}},
			}},
		},
	}
}
