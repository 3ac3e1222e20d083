package attack

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/test/federation"
)

// grant is a right that a person is given.
type grant struct {
	namespace string // empty: everywhere
	role      string // an existing ClusterRole; empty: rules
	rules     []rbacv1.PolicyRule
}

// may is a rule: verbs as "get,list", resources as "deployments.apps,secrets" with their groups, and names, if it is not for all.
func may(verbs, resources string, names ...string) rbacv1.PolicyRule {
	rule := rbacv1.PolicyRule{Verbs: strings.Split(verbs, ","), ResourceNames: names}
	for _, resource := range strings.Split(resources, ",") {
		name, group, _ := strings.Cut(resource, ".")
		rule.Resources, rule.APIGroups = append(rule.Resources, name), append(rule.APIGroups, group)
	}
	return rule
}

// in gives rules in one namespace.
func in(namespace string, rules ...rbacv1.PolicyRule) grant {
	return grant{namespace: namespace, rules: rules}
}

// everywhere gives rules in all namespaces, and for what is in none.
func everywhere(rules ...rbacv1.PolicyRule) grant { return grant{rules: rules} }

// as gives a ClusterRole in one namespace, such as edit, which people of a team have.
func as(role, namespace string) grant { return grant{namespace: namespace, role: role} }

// person makes somebody at the hub with these rights and no others, besides those that everybody has, and returns when the
// hub knows of them. Their name is the test's, with a word to tell several apart.
func (f *fed) person(t *testing.T, word string, grants ...grant) *person {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name())) + "-" + word
	p := f.named(t, name)
	for i, g := range grants {
		f.give(t, fmt.Sprintf("%s-%d", name, i), p, g)
	}
	return p
}

// named is somebody at the hub of a name.
func (f *fed) named(t *testing.T, name string) *person {
	t.Helper()
	cfg := rest.CopyConfig(f.admin.config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	p, err := newPerson(name, cfg)
	must(t, err)
	return p
}

// give makes the role, if need be, and the binding, and waits until the hub's authorizer has both.
func (f *fed) give(t *testing.T, name string, to *person, g grant) {
	t.Helper()
	ctx, rbac := t.Context(), f.admin.RbacV1()
	meta := metav1.ObjectMeta{Name: name}
	role := g.role
	if role == "" {
		role = name
		_, err := rbac.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: g.rules}, metav1.CreateOptions{})
		must(t, err)
		t.Cleanup(func() { _ = rbac.ClusterRoles().Delete(context.Background(), name, metav1.DeleteOptions{}) })
	}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: to.name}}
	if g.namespace == "" {
		_, err := rbac.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}, metav1.CreateOptions{})
		must(t, err)
		t.Cleanup(func() { _ = rbac.ClusterRoleBindings().Delete(context.Background(), name, metav1.DeleteOptions{}) })
	} else {
		_, err := rbac.RoleBindings(g.namespace).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}, metav1.CreateOptions{})
		must(t, err)
	}
	rules := g.rules
	if len(rules) == 0 {
		rules = []rbacv1.PolicyRule{may("get", "configmaps")} // every role that is worth giving here has it
	}
	for _, rule := range rules {
		eventually(t, func(ctx context.Context) error { return to.can(ctx, g.namespace, rule) })
	}
}

// can asks the hub whether a person has the first right of a rule.
func (p *person) can(ctx context.Context, namespace string, rule rbacv1.PolicyRule) error {
	review := &authorizationv1.SelfSubjectAccessReview{}
	if len(rule.NonResourceURLs) > 0 {
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: rule.NonResourceURLs[0], Verb: rule.Verbs[0]}
	} else {
		review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: rule.Resources[0],
		}
		if len(rule.ResourceNames) > 0 {
			review.Spec.ResourceAttributes.Name = rule.ResourceNames[0]
		}
	}
	answer, err := p.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if !answer.Status.Allowed {
		return fmt.Errorf("%s may not %v: %s", p.name, rule, answer.Status.Reason)
	}
	return nil
}

// kubeconfig is a file by which hanse acts as a person at the hub.
func (f *fed) kubeconfig(t *testing.T, p *person) string {
	t.Helper()
	file, err := clientcmd.LoadFromFile(f.hub.Kubeconfig())
	must(t, err)
	for _, user := range file.AuthInfos {
		user.Impersonate, user.ImpersonateGroups = p.config.Impersonate.UserName, p.config.Impersonate.Groups
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*file, path))
	return path
}

// hanse runs the binary as a person: with their kubeconfig as --kubeconfig.
func (f *fed) hanse(t *testing.T, p *person, args ...string) federation.Result {
	t.Helper()
	result, err := f.home.Run(t.Context(), append(args, "--kubeconfig", f.kubeconfig(t, p))...)
	must(t, err)
	return result
}
