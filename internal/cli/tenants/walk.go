package tenants

import (
	"context"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// question is what somebody may do or not.
type question struct {
	verb, subresource, namespace, name string
	resource                           schema.GroupResource
}

// person is whom a question is about.
type person struct {
	name   string
	groups []string
}

// grant is one reason why somebody may.
type grant struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Role that gives the right, as ClusterRole/edit, and Binding that gives the role.
	Role    string `json:"role"`
	Binding string `json:"binding"`
	// By is the Workspace or Organization that the hub made the binding of; empty: none.
	By string `json:"by,omitempty"`
}

// walk reads roles and bindings at the hub, as far as the user may.
type walk struct {
	client kubernetes.Interface
	question
	only   *person
	roles  map[string][]rbacv1.PolicyRule
	unread []string
}

// grants are all that answer the question.
func (w *walk) grants(ctx context.Context) (all []grant, err error) {
	everywhere, err := w.client.RbacV1().ClusterRoleBindings().List(ctx, metav1.ListOptions{})
	if err := w.noted(err, "ClusterRoleBindings"); err != nil {
		return nil, err
	}
	if everywhere != nil {
		for i := range everywhere.Items {
			b := &everywhere.Items[i]
			more, err := w.binding(ctx, "ClusterRoleBinding/"+b.Name, b.Labels, b.RoleRef, "", b.Subjects)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	if w.namespace == "" {
		sortGrants(all)
		return all, nil
	}
	here, err := w.client.RbacV1().RoleBindings(w.namespace).List(ctx, metav1.ListOptions{})
	if err := w.noted(err, "RoleBindings in namespace "+w.namespace); err != nil {
		return nil, err
	}
	if here != nil {
		for i := range here.Items {
			b := &here.Items[i]
			more, err := w.binding(ctx, "RoleBinding/"+b.Name, b.Labels, b.RoleRef, w.namespace, b.Subjects)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	sortGrants(all)
	return all, nil
}

// noted notes what the user may not read.
func (w *walk) noted(err error, what string) error {
	if apierrors.IsForbidden(err) {
		if !slices.Contains(w.unread, what) {
			w.unread = append(w.unread, what)
		}
		return nil
	}
	return err
}

// binding is what one gives, to those whom the question is about.
func (w *walk) binding(ctx context.Context, name string, labels map[string]string, role rbacv1.RoleRef, namespace string, subjects []rbacv1.Subject) (out []grant, err error) {
	subjects = slices.DeleteFunc(slices.Clone(subjects), func(s rbacv1.Subject) bool { return w.only != nil && !w.only.is(s, namespace) })
	if len(subjects) == 0 {
		return nil, nil
	}
	rules, err := w.rules(ctx, role, namespace)
	if err != nil || !slices.ContainsFunc(rules, w.allowedBy) {
		return nil, err
	}
	for _, s := range subjects {
		who := s.Name
		if s.Kind == rbacv1.ServiceAccountKind {
			who = account(s, namespace)
		}
		out = append(out, grant{Kind: s.Kind, Name: who, Role: role.Kind + "/" + role.Name, Binding: name, By: madeOf(labels)})
	}
	return out, nil
}

// madeOf is what the hub made an object of, by its labels.
func madeOf(labels map[string]string) string {
	organization := labels[v1alpha1.LabelOrganization]
	switch {
	case labels[v1alpha1.LabelTenancy] != "true" || organization == "":
		return ""
	case labels[v1alpha1.LabelWorkspace] != "":
		return "workspace " + labels[v1alpha1.LabelWorkspace] + " of organization " + organization
	}
	return "organization " + organization
}

func account(s rbacv1.Subject, namespace string) string {
	if s.Namespace != "" {
		namespace = s.Namespace
	}
	return "system:serviceaccount:" + namespace + ":" + s.Name
}

// is says whether a subject is the person, as upstream does.
func (p *person) is(s rbacv1.Subject, namespace string) bool {
	switch s.Kind {
	case rbacv1.UserKind:
		return s.Name == p.name
	case rbacv1.GroupKind:
		return slices.Contains(p.groups, s.Name)
	case rbacv1.ServiceAccountKind:
		return account(s, namespace) == p.name
	}
	return false
}

// rules are a role's; none for one that is not there.
func (w *walk) rules(ctx context.Context, role rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error) {
	key := role.Kind + "/" + role.Name
	if rules, ok := w.roles[key]; ok {
		return rules, nil
	}
	var rules []rbacv1.PolicyRule
	var err error
	if role.Kind == "Role" {
		var r *rbacv1.Role
		if r, err = w.client.RbacV1().Roles(namespace).Get(ctx, role.Name, metav1.GetOptions{}); err == nil {
			rules = r.Rules
		}
	} else {
		var r *rbacv1.ClusterRole
		if r, err = w.client.RbacV1().ClusterRoles().Get(ctx, role.Name, metav1.GetOptions{}); err == nil {
			rules = r.Rules
		}
	}
	if apierrors.IsNotFound(err) {
		err = nil
	}
	if err := w.noted(err, "the "+key); err != nil {
		return nil, err
	}
	w.roles[key] = rules
	return rules, nil
}

// allowedBy is upstream's rule.
func (w *walk) allowedBy(rule rbacv1.PolicyRule) bool {
	asked := rbacv1.PolicyRule{Verbs: []string{w.verb}, APIGroups: []string{w.resource.Group}, Resources: []string{w.resource.Resource}}
	if w.subresource != "" {
		asked.Resources[0] += "/" + w.subresource
	}
	if w.name != "" {
		asked.ResourceNames = []string{w.name}
	}
	covered, _ := validation.Covers([]rbacv1.PolicyRule{rule}, []rbacv1.PolicyRule{asked})
	return covered
}
