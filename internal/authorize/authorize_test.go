package authorize

import (
	"context"
	"fmt"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
	"pgregory.net/rapid"
)

// objects are roles and bindings of a hub.
type objects struct {
	roles       []*rbacv1.Role
	clusterRole []*rbacv1.ClusterRole
	bindings    []*rbacv1.RoleBinding
	everywhere  []*rbacv1.ClusterRoleBinding
}

// both are upstream's authorizer, and the nearest before it.
func (o objects) both(t interface{ Fatal(...any) }) (*counter, *Nearest) {
	in := informers.NewSharedInformerFactory(fake.NewClientset(), 0).Rbac().V1()
	add := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range o.roles {
		add(in.Roles().Informer().GetStore().Add(r))
	}
	for _, r := range o.clusterRole {
		add(in.ClusterRoles().Informer().GetStore().Add(r))
	}
	for _, b := range o.bindings {
		add(in.RoleBindings().Informer().GetStore().Add(b))
	}
	for _, b := range o.everywhere {
		add(in.ClusterRoleBindings().Informer().GetStore().Add(b))
	}
	whole := &counter{Authorizer: rbac.New(
		&rbac.RoleGetter{Lister: in.Roles().Lister()}, &rbac.RoleBindingLister{Lister: in.RoleBindings().Lister()},
		&rbac.ClusterRoleGetter{Lister: in.ClusterRoles().Lister()}, &rbac.ClusterRoleBindingLister{Lister: in.ClusterRoleBindings().Lister()},
	)}
	return whole, New(whole, in)
}

// counter counts what upstream's authorizer is asked.
type counter struct {
	authorizer.Authorizer
	asked int
}

func (c *counter) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	c.asked++
	return c.Authorizer.Authorize(ctx, a)
}

// TestItAnswersAsUpstreamDoes, whatever roles and bindings there are.
func TestItAnswersAsUpstreamDoes(t *testing.T) {
	names := []string{"a", "b", "c"}
	one := func(t *rapid.T, label string) string { return rapid.SampledFrom(names).Draw(t, label) }
	rapid.Check(t, func(t *rapid.T) {
		var o objects
		rules := func() []rbacv1.PolicyRule {
			return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{one(t, "resource")}, Verbs: []string{"get"}}}
		}
		meta := func(label string) metav1.ObjectMeta {
			return metav1.ObjectMeta{Namespace: one(t, "namespace"), Name: one(t, label)}
		}
		subjects := func() []rbacv1.Subject {
			kind := rapid.SampledFrom([]string{rbacv1.UserKind, rbacv1.GroupKind}).Draw(t, "kind")
			return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: kind, Name: one(t, "subject")}}
		}
		for range rapid.IntRange(0, 3).Draw(t, "objects") {
			o.roles = append(o.roles, &rbacv1.Role{ObjectMeta: meta("role"), Rules: rules()})
			o.clusterRole = append(o.clusterRole, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: one(t, "role")}, Rules: rules()})
			ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: rapid.SampledFrom([]string{"Role", "ClusterRole"}).Draw(t, "to"), Name: one(t, "role")}
			o.bindings = append(o.bindings, &rbacv1.RoleBinding{ObjectMeta: meta("binding"), RoleRef: ref, Subjects: subjects()})
			o.everywhere = append(o.everywhere, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: one(t, "binding")}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: one(t, "role")}, Subjects: subjects()})
		}
		whole, near := o.both(t)
		for _, namespace := range append(names, "") {
			for _, resource := range names {
				for _, who := range []*user.DefaultInfo{{Name: "a"}, {Name: "b", Groups: []string{"c"}}, {Name: "d", Groups: []string{"a", "b"}}} {
					a := authorizer.AttributesRecord{User: who, Verb: "get", Resource: resource, Namespace: namespace, ResourceRequest: true}
					want, _, _ := whole.Authorize(t.Context(), a)
					got, _, _ := near.Authorize(t.Context(), a)
					aware := near.ConditionsAwareAuthorize(t.Context(), a)
					if got != want || aware.IsAllow() != (want == authorizer.DecisionAllow) {
						t.Fatalf("%v may get %s in %q: %v, upstream says %v", who, resource, namespace, got, want)
					}
				}
			}
		}
	})
}

// hundredOrganizations is a hub with seven ClusterRoleBindings for each, and five RoleBindings in a namespace.
func hundredOrganizations() (o objects) {
	group := func(name string) []rbacv1.Subject {
		return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}}
	}
	o.clusterRole = []*rbacv1.ClusterRole{{ObjectMeta: metav1.ObjectMeta{Name: "edit"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}}}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"}
	for i := range 700 {
		o.everywhere = append(o.everywhere, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("b-", i)}, RoleRef: ref, Subjects: append(group(fmt.Sprintf("tenant-%d-members", i)), group(fmt.Sprintf("tenant-%d-admins", i))...)})
	}
	for i := range 5 {
		o.bindings = append(o.bindings, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("b-", i)}, RoleRef: ref, Subjects: group(fmt.Sprintf("shop-%d", i))})
	}
	return o
}

func popular() authorizer.Attributes {
	var groups []string
	for i := range 249 {
		groups = append(groups, fmt.Sprintf("other-group-of-the-provider-%d", i))
	}
	return authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "ann", Groups: append(groups, "shop-4")}, Verb: "get", Resource: "pods", Namespace: "shop", ResourceRequest: true}
}

func TestUpstreamIsNotAskedWhatTheNamespaceAllows(t *testing.T) {
	whole, near := hundredOrganizations().both(t)
	if d, reason, _ := near.Authorize(t.Context(), popular()); d != authorizer.DecisionAllow || reason == "" || whole.asked > 0 {
		t.Errorf("%v, %q, and upstream was asked %d times", d, reason, whole.asked)
	}
}

func BenchmarkUpstream(b *testing.B) {
	whole, _ := hundredOrganizations().both(b)
	for a := popular(); b.Loop(); {
		_, _, _ = whole.Authorize(b.Context(), a)
	}
}

func BenchmarkNearest(b *testing.B) {
	_, near := hundredOrganizations().both(b)
	for a := popular(); b.Loop(); {
		_, _, _ = near.Authorize(b.Context(), a)
	}
}
