package e2e

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/tenancy"
	"github.com/hanse-dev/hanse/internal/tenancy/model"
	"github.com/hanse-dev/hanse/test/federation"
)

const repository = `apiVersion: hanse.dev/v1alpha1
kind: Organization
metadata: {name: acme}
spec:
  namespaces: [shop, pay]
  members:
  - {kind: User, name: ann, role: Owner}
  - {kind: Group, name: leads, role: Admin}
  - {kind: Group, name: auditors, role: Auditor}`

const repositoryWorkspace = `apiVersion: hanse.dev/v1alpha1
kind: Workspace
metadata: {name: web}
spec:
  organization: acme
  namespaces: {names: [shop]}
  clusters: {names: [agate]}
  quota: {hard: {pods: "20"}}
  access:
  - {kind: Group, name: developers, role: Edit}
  - {kind: Organization, name: acme, role: View}`

// TestTenancy is an organization over time: from a repository, by an invitation, through crashes and mischief.
func TestTenancy(t *testing.T) {
	f := own(t, "tenancy", federation.MemberSpec{Name: "agate"})
	ctx := t.Context()
	f.sync(t, repository)
	f.sync(t, repositoryWorkspace)
	developers := person{"dev", []string{"developers"}}
	f.rights(t, developers, "shop", "get secrets", true)
	for _, c := range []struct {
		who       person
		namespace string
		right     string
		is        bool
	}{
		{developers, "shop", "create deployments.apps", true},
		{developers, "shop", "create rolebindings.rbac.authorization.k8s.io", false},
		{developers, "pay", "get configmaps", false},
		{person{"ann", nil}, "pay", "create rolebindings.rbac.authorization.k8s.io", true},
		{person{"lee", []string{"leads"}}, "pay", "get secrets", true},
		{person{"lee", []string{"leads"}}, "shop", "create resourcequotas", false},
		{person{"aud", []string{"auditors"}}, "pay", "list pods", true},
		{person{"aud", []string{"auditors"}}, "pay", "get secrets", false},
		{person{"aud", []string{"auditors"}}, "default", "list pods", false},
		{person{"eve", nil}, "shop", "list pods", false},
	} {
		f.rights(t, c.who, c.namespace, c.right, c.is)
	}

	// What the namespaces have goes to members; who may do what at the hub does not.
	agate := f.in["agate"]
	eventually(t, soon, func(ctx context.Context) error {
		_, err := agate.CoreV1().ResourceQuotas("shop").Get(ctx, "hanse-workspace", metav1.GetOptions{})
		return err
	})
	bindings, err := agate.RbacV1().RoleBindings("shop").List(ctx, metav1.ListOptions{})
	must(t, err)
	for _, b := range bindings.Items {
		if strings.HasPrefix(b.Name, "hanse:") {
			t.Errorf("RoleBinding %s is in a member", b.Name)
		}
	}

	// Somebody comes by an invitation, and the repository, which does not know them, does not remove them.
	token := model.NewToken("acme")
	invitation := fmt.Sprintf(`{"spec":{"invitations":[{"name":"i","role":"Member","tokenHash":%q,"expiresAt":%q}]}}`, model.HashToken(token), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	_, err = f.at.dynamic.Resource(v1alpha1.Resource("organizations")).Patch(ctx, "acme", "application/merge-patch+json", []byte(invitation), metav1.PatchOptions{FieldManager: "invite"})
	must(t, err)
	cat := person{"cat", nil}
	must(t, f.somebody(t, cat).CoreV1().RESTClient().Post().AbsPath(tenancy.PathJoin).Body([]byte(`{"Token":"`+token+`"}`)).Do(ctx).Error())
	f.rights(t, cat, "shop", "list pods", true)
	f.sync(t, strings.Replace(repository, "namespaces: [shop, pay]", "namespaces: [shop, pay, more]", 1))
	f.rights(t, person{"ann", nil}, "more", "get secrets", true)
	f.rights(t, cat, "shop", "list pods", true)

	// A hub that is killed and comes back rewrites nothing, and knows who had a namespace.
	before := f.tenancyVersions(t)
	must(t, f.hub.Kill(ctx))
	must(t, f.hub.Start(ctx))
	must(t, f.connect())
	f.sync(t, "apiVersion: hanse.dev/v1alpha1\nkind: Workspace\nmetadata: {name: a-late-one}\nspec: {organization: acme, namespaces: {names: [shop]}}")
	eventually(t, soon, func(ctx context.Context) error {
		u, err := f.at.dynamic.Resource(v1alpha1.Resource("workspaces")).Get(ctx, "a-late-one", metav1.GetOptions{})
		if err != nil || !strings.Contains(fmt.Sprint(u.Object["status"]), "shop is in workspace web") {
			return fmt.Errorf("the late one: %v %v", u, err)
		}
		return nil
	})
	after := f.tenancyVersions(t)
	for name := range after { // it is visible to the organization's people
		if strings.HasPrefix(name, "hanse:organization:acme:") {
			delete(before, name)
			delete(after, name)
		}
	}
	if !maps.Equal(before, after) {
		t.Errorf("what was right is written again: %v became %v", before, after)
	}

	// Mischief is put right.
	b, err := f.at.RbacV1().RoleBindings("shop").Get(ctx, "hanse:workspace:edit", metav1.GetOptions{})
	must(t, err)
	b.Subjects = append(b.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: "eve"})
	_, err = f.at.RbacV1().RoleBindings("shop").Update(ctx, b, metav1.UpdateOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("somebody writes what is the hub's: %v", err)
	}
	must(t, f.at.RbacV1().RoleBindings("shop").Delete(ctx, "hanse:workspace:edit", metav1.DeleteOptions{}))
	eventually(t, soon, func(ctx context.Context) error {
		_, err := f.at.RbacV1().RoleBindings("shop").Get(ctx, "hanse:workspace:edit", metav1.GetOptions{})
		return err
	})

	// The end takes what was made with it, and no Namespace.
	organizations := f.at.dynamic.Resource(v1alpha1.Resource("organizations"))
	workspaces := f.at.dynamic.Resource(v1alpha1.Resource("workspaces"))
	must(t, organizations.Delete(ctx, "acme", metav1.DeleteOptions{}))
	must(t, workspaces.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	eventually(t, soon, func(context.Context) error {
		if left := f.tenancyVersions(t); len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
	f.rights(t, developers, "shop", "get secrets", false)
	for _, name := range []string{"shop", "pay", "more"} {
		if _, err := f.at.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// sync applies a manifest as a tool does that keeps objects from a repository.
func (f *fed) sync(t *testing.T, manifest string) {
	t.Helper()
	u := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal([]byte(manifest), &u.Object))
	_, err := f.at.dynamic.Resource(v1alpha1.Resource(strings.ToLower(u.GetKind())+"s")).Apply(t.Context(), u.GetName(), u, metav1.ApplyOptions{FieldManager: "repository"})
	must(t, err)
}

// person is somebody at the hub.
type person struct {
	name   string
	groups []string
}

// somebody is a person's client.
func (f *fed) somebody(t *testing.T, p person) *clients {
	t.Helper()
	cfg := rest.CopyConfig(f.at.config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: p.name, Groups: append(p.groups, "system:authenticated")}
	c, err := newClients(p.name, cfg, nil)
	must(t, err)
	return c
}

// rights waits until the hub's authorizer says of a right, as VERB RESOURCE.GROUP, that somebody has it, or has not.
func (f *fed) rights(t *testing.T, p person, namespace, right string, is bool) {
	t.Helper()
	verb, resource, _ := strings.Cut(right, " ")
	resource, group, _ := strings.Cut(resource, ".")
	eventually(t, soon, func(ctx context.Context) error {
		review, err := f.at.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: p.name, Groups: append(p.groups, "system:authenticated"), ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Resource: resource, Group: group},
		}}, metav1.CreateOptions{})
		if err == nil && review.Status.Allowed != is {
			err = fmt.Errorf("%s may %s in %s: %t", p.name, right, namespace, !is)
		}
		return err
	})
}

// tenancyVersions are the versions of all that the hub has made of Organizations and Workspaces.
func (f *fed) tenancyVersions(t *testing.T) map[string]string {
	t.Helper()
	ctx, made, all := t.Context(), metav1.ListOptions{LabelSelector: v1alpha1.LabelTenancy + "=true"}, map[string]string{}
	add := func(o metav1.Object) { all[o.GetNamespace()+o.GetName()] += o.GetResourceVersion() + " " } // a role and its binding have one name
	roles, err := f.at.RbacV1().ClusterRoles().List(ctx, made)
	must(t, err)
	everywhere, err := f.at.RbacV1().ClusterRoleBindings().List(ctx, made)
	must(t, err)
	bindings, err := f.at.RbacV1().RoleBindings("").List(ctx, made)
	must(t, err)
	residencies, err := f.at.dynamic.Resource(v1alpha1.Resource("residencies")).List(ctx, made)
	must(t, err)
	for i := range roles.Items {
		add(&roles.Items[i])
	}
	for i := range everywhere.Items {
		add(&everywhere.Items[i])
	}
	for i := range bindings.Items {
		add(&bindings.Items[i])
	}
	for i := range residencies.Items {
		add(&residencies.Items[i])
	}
	return all
}
