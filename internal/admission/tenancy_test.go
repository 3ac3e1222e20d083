package admission

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	rbacregistry "k8s.io/kubernetes/pkg/registry/rbac/validation"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func organizationOf(t *testing.T, spec string) *unstructured.Unstructured {
	if spec == "" {
		return nil
	}
	return parse(t, "apiVersion: hanse.dev/v1alpha1\nkind: Organization\nmetadata: {name: acme}\nspec: "+spec)
}

const (
	token   = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	invited = "invitations: [{name: i, role: Member, tokenHash: " + token + ", expiresAt: '2027-01-01T00:00:00Z'}]"
	someone = "{kind: User, name: bob, role: "
)

func TestOrganizations(t *testing.T) {
	const grant, own, claim = "grant organizations.hanse.dev acme", "own organizations.hanse.dev acme", "claim namespaces shop"
	for name, c := range map[string]struct {
		before, after string
		rights        []string
		refusal       []string
	}{
		"an empty one":                        {after: "{}"},
		"with an owner":                       {after: "{members: [" + someone + "Owner}]}", rights: []string{grant}, refusal: []string{"spec.members says what User bob is", own}},
		"with an owner, by who may":           {after: "{members: [" + someone + "Owner}]}", rights: []string{own}},
		"a member more":                       {before: "{}", after: "{members: [" + someone + "Member}]}", refusal: []string{grant}},
		"a member more, by who may":           {before: "{}", after: "{members: [" + someone + "Admin}]}", rights: []string{grant}},
		"a member becomes an owner":           {before: "{members: [" + someone + "Member}]}", after: "{members: [" + someone + "Owner}]}", rights: []string{grant}, refusal: []string{own}},
		"an owner is removed by an admin":     {before: "{members: [" + someone + "Owner}]}", after: "{}", rights: []string{grant}, refusal: []string{own}},
		"a member is removed":                 {before: "{members: [" + someone + "Member}]}", after: "{}", rights: []string{grant}},
		"no change":                           {before: "{members: [" + someone + "Owner}], namespaces: [shop], " + invited + "}", after: "{members: [" + someone + "Owner}], namespaces: [shop], " + invited + "}"},
		"an invitation":                       {before: "{}", after: "{" + invited + "}", refusal: []string{"invitation i", grant}},
		"an invitation, by who may":           {before: "{}", after: "{" + invited + "}", rights: []string{grant}},
		"an invitation of an owner":           {before: "{}", after: "{" + strings.Replace(invited, "Member", "Owner", 1) + "}", rights: []string{grant}, refusal: []string{own}},
		"an invitation that becomes more":     {before: "{" + invited + "}", after: "{" + strings.Replace(invited, "Member", "Owner", 1) + "}", rights: []string{grant}, refusal: []string{own}},
		"an invitation is withdrawn":          {before: "{" + invited + "}", after: "{}"},
		"an admin goes, an invitation stays":  {before: "{members: [" + someone + "Admin}], " + invited + "}", after: "{" + invited + "}", rights: []string{grant}, refusal: []string{"bob may have made invitation i"}},
		"an owner is an admin now, it stays":  {before: "{members: [" + someone + "Owner}], " + invited + "}", after: "{members: [" + someone + "Admin}], " + invited + "}", rights: []string{grant, own}, refusal: []string{"bob may have made invitation i"}},
		"an admin goes, and the invitation":   {before: "{members: [" + someone + "Admin}], " + invited + "}", after: "{}", rights: []string{grant}},
		"a member goes, an invitation stays":  {before: "{members: [" + someone + "Member}], " + invited + "}", after: "{" + invited + "}", rights: []string{grant}},
		"a namespace":                         {before: "{}", after: "{namespaces: [shop]}", rights: []string{"claim namespaces pay"}, refusal: []string{claim}},
		"a namespace, by who may":             {before: "{}", after: "{namespaces: [shop]}", rights: []string{claim}},
		"a namespace is given up":             {before: "{namespaces: [shop]}", after: "{}", refusal: []string{claim}},
		"bounds":                              {before: "{}", after: "{clusters: {names: [azure]}}", refusal: []string{"spec.clusters", "restrict residencies.hanse.dev organization.acme.clusters"}},
		"other bounds":                        {before: "{clusters: {names: [azure]}}", after: "{clusters: {names: [aws]}}", rights: []string{"restrict residencies.hanse.dev organization.acme.clusters"}, refusal: []string{"release residencies.hanse.dev organization.acme.clusters"}},
		"no more bounds":                      {before: "{clusters: {names: [azure]}}", after: "{}", refusal: []string{"release"}},
		"a namespace leaves bounds":           {before: "{clusters: {names: [azure]}, namespaces: [shop]}", after: "{clusters: {names: [azure]}}", rights: []string{claim}, refusal: []string{"release"}},
		"deleted":                             {before: "{members: [" + someone + "Owner}], namespaces: [shop]}"},
		"deleted with bounds":                 {before: "{clusters: {names: [azure]}}", refusal: []string{"release"}},
		"one that the hub does not decode":    {after: "{members: 3}", refusal: []string{"would not understand"}},
		"a name that the hub would not trust": {after: "{members: [" + someone + "Member}]}", rights: []string{"grant organizations.hanse.dev bolt"}, refusal: []string{grant}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := plugin(t, c.rights...)
			expect(t, p.Validate(t.Context(), change(t, "organizations", organizationOf(t, c.before), organizationOf(t, c.after)), nil), c.refusal...)
		})
	}
}

// change is ann's request to have after where before was; no after: to delete it.
func change(t *testing.T, resource string, before, after *unstructured.Unstructured) admission.Attributes {
	t.Helper()
	if after != nil {
		return write(v1alpha1.Resource(resource), "", before, after)
	}
	return admission.NewAttributesRecord(nil, before, before.GroupVersionKind(), "", before.GetName(), v1alpha1.Resource(resource), "", admission.Delete, nil, false, &user.DefaultInfo{Name: "ann"})
}

func TestWorkspaces(t *testing.T) {
	const (
		mine   = "grant organizations.hanse.dev acme"
		shop   = "claim namespaces shop"
		editor = "{organization: acme, namespaces: {names: [shop]}, access: [{kind: User, name: eve, role: Edit}]}"
		viewer = "{organization: acme, namespaces: {names: [shop]}, access: [{kind: User, name: eve, role: View}]}"
		none   = "{organization: acme, namespaces: {names: [shop]}}"
		pods   = "{organization: acme, namespaces: {names: [shop]}, quota: {hard: {pods: 10}}}"
		azure  = "{organization: acme, namespaces: {names: [shop]}, clusters: {names: [azure]}}"
	)
	for name, c := range map[string]struct {
		before, after string
		rights        []string
		refusal       []string
	}{
		"in somebody's organization":            {after: "{organization: acme}", rights: []string{"grant organizations.hanse.dev bolt"}, refusal: []string{mine}},
		"in one's own":                          {after: "{organization: acme}", rights: []string{mine}},
		"with a namespace":                      {after: none, rights: []string{mine}, refusal: []string{shop}},
		"with a namespace of one's own":         {after: none, rights: []string{mine, shop}},
		"another namespace":                     {before: none, after: "{organization: acme, namespaces: {names: [shop, pay]}}", rights: []string{mine, shop}, refusal: []string{"claim namespaces pay"}},
		"a namespace less":                      {before: none, after: "{organization: acme}", rights: []string{mine}, refusal: []string{shop}},
		"by labels":                             {before: "{organization: acme}", after: "{organization: acme, namespaces: {labels: {matchLabels: {a: b}}}}", rights: []string{mine, shop}, refusal: []string{"claim namespaces in all namespaces"}},
		"access that she has":                   {before: none, after: viewer},
		"access that she does not have":         {before: none, after: editor, refusal: []string{"spec.access gives User eve the role Edit", "secrets", "owner or admin of organization acme"}},
		"access, by who may grant":              {before: none, after: editor, rights: []string{mine}},
		"access, by who may grant it there":     {before: none, after: editor, rights: []string{"grant workspaces.hanse.dev web"}},
		"more access":                           {before: viewer, after: editor, refusal: []string{"Edit"}},
		"less access":                           {before: editor, after: viewer},
		"the same access in another namespace":  {before: editor, after: strings.Replace(editor, "[shop]", "[shop, pay]", 1), rights: []string{"claim namespaces pay"}, refusal: []string{"Edit"}},
		"the same access in fewer namespaces":   {before: strings.Replace(editor, "[shop]", "[shop, pay]", 1), after: editor, rights: []string{"claim namespaces pay"}},
		"access to what comes later":            {before: "{organization: acme}", after: "{organization: acme, access: [{kind: User, name: eve, role: Edit}]}", refusal: []string{"Edit"}},
		"no change":                             {before: editor, after: editor},
		"a quota":                               {before: none, after: pods, refusal: []string{"update resourcequotas in namespace shop"}},
		"a quota, by who may":                   {before: none, after: pods, rights: []string{"update resourcequotas in namespace shop"}},
		"the same quota in other words":         {before: pods, after: strings.Replace(pods, "10", "'10'", 1)},
		"a namespace that leaves a quota":       {before: pods, after: "{organization: acme, quota: {hard: {pods: 10}}}", rights: []string{shop}, refusal: []string{"update resourcequotas in namespace shop"}},
		"bounds":                                {before: none, after: azure, refusal: []string{"restrict residencies.hanse.dev workspace.web.clusters"}},
		"bounds, by who may":                    {before: none, after: azure, rights: []string{"restrict residencies.hanse.dev workspace.web.clusters"}},
		"no more bounds":                        {before: azure, after: none, rights: []string{"restrict residencies.hanse.dev workspace.web.clusters", mine}, refusal: []string{"release"}},
		"a namespace that leaves bounds":        {before: azure, after: "{organization: acme, clusters: {names: [azure]}}", rights: []string{shop, mine}, refusal: []string{"release"}},
		"bounds by law":                         {before: none, after: strings.Replace(azure, "clusters", "residency", 1), refusal: []string{"restrict residencies.hanse.dev workspace.web.residency"}},
		"deleted":                               {before: none, rights: []string{shop}},
		"deleted with a namespace of others":    {before: none, refusal: []string{shop}},
		"deleted with bounds":                   {before: azure, rights: []string{shop, mine}, refusal: []string{"release residencies.hanse.dev workspace.web.clusters"}},
		"deleted with a quota":                  {before: pods, rights: []string{shop, mine}, refusal: []string{"update resourcequotas"}},
		"moved to labels, with access and none": {before: editor, after: strings.Replace(editor, "{names: [shop]}", "{names: [shop], labels: {matchLabels: {a: b}}}", 1), rights: []string{"claim namespaces in all namespaces"}, refusal: []string{"Edit"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := plugin(t, c.rights...)
			role := func(name string, resources ...string) *rbacv1.ClusterRole {
				return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: resources, Verbs: []string{"get"}}}}
			}
			p.rules, _ = rbacregistry.NewTestRuleResolver(nil,
				[]*rbacv1.RoleBinding{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacGroup, Name: "ann"}}, RoleRef: rbacv1.RoleRef{APIGroup: rbacGroup, Kind: "ClusterRole", Name: "view"}}},
				[]*rbacv1.ClusterRole{role("view", "pods"), role("edit", "pods", "secrets")}, nil)
			workspace := func(spec string) *unstructured.Unstructured {
				if spec == "" {
					return nil
				}
				return parse(t, "apiVersion: hanse.dev/v1alpha1\nkind: Workspace\nmetadata: {name: web}\nspec: "+spec)
			}
			expect(t, p.Validate(t.Context(), change(t, "workspaces", workspace(c.before), workspace(c.after)), nil), c.refusal...)
		})
	}
}

// TestOnlyTheHubSaysWhoHasANamespace: by the status, or with an object that is made from a backup.
func TestOnlyTheHubSaysWhoHasANamespace(t *testing.T) {
	p, _ := plugin(t, "grant organizations.hanse.dev acme")
	forged := organizationOf(t, "{}")
	forged.Object["status"] = map[string]any{"namespaces": []any{"shop"}}
	expect(t, p.Validate(t.Context(), write(v1alpha1.Resource("organizations"), "status", organizationOf(t, "{}"), forged), nil), "who had a namespace first")
	expect(t, p.Validate(t.Context(), write(v1alpha1.Resource("workspaces"), "status", forged, organizationOf(t, "{}")), nil), "who had a namespace first")
	hub := &user.DefaultInfo{Name: "system:hanse", Groups: []string{user.SystemPrivilegedGroup}}
	expect(t, p.Validate(t.Context(), admission.NewAttributesRecord(forged, organizationOf(t, "{}"), forged.GroupVersionKind(), "", "acme", v1alpha1.Resource("organizations"), "status", admission.Update, nil, false, hub), nil))
}

func TestNamesOfRolesThatAreTheHubs(t *testing.T) {
	p, _ := plugin(t, "*")
	roleBindings := rbacv1.SchemeGroupVersion.WithResource("rolebindings")
	binding := func(name string) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	}
	for _, name := range []string{"hanse:workspace:edit", "hanse:organization:admin"} {
		expect(t, p.Validate(t.Context(), write(roleBindings, "", nil, binding(name)), nil), "Try: change that")
		expect(t, p.Validate(t.Context(), write(roleBindings, "", binding(name), binding(name)), nil), "Try: change that")
	}
	expect(t, p.Validate(t.Context(), write(roleBindings, "", nil, binding("mine")), nil))
}
