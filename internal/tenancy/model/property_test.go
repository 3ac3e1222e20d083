package model

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	rbacregistry "k8s.io/kubernetes/pkg/registry/rbac/validation"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// People, their groups, and namespaces of random Worlds.
var (
	people = map[string][]string{"ann": {"red"}, "bob": {"red", "blue"}, "cat": nil, "dan": {"blue"}}
	groups = []string{"red", "blue"}
	places = []string{"a", "b", "c", "d", "e", "kube-system", "hanse-system"}
)

func drawName(t *rapid.T, kind string) string {
	if kind == v1alpha1.SubjectGroup {
		return rapid.SampledFrom(groups).Draw(t, "group")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(people))).Draw(t, "user")
}

func drawSome(t *rapid.T, label string) []string {
	all := rapid.SliceOfNDistinct(rapid.SampledFrom(places), 0, 3, rapid.ID[string]).Draw(t, label)
	return all
}

func drawWorld(t *rapid.T) World {
	w := World{Namespaces: map[string]Namespace{}}
	for _, n := range places {
		if rapid.Bool().Draw(t, "exists") {
			w.Namespaces[n] = Namespace{
				Labels:      map[string]string{"tier": rapid.SampledFrom([]string{"x", "y"}).Draw(t, "tier")},
				Terminating: rapid.IntRange(0, 9).Draw(t, "terminating") == 0,
			}
		}
	}
	organizations := []string{"acme", "bolt"}
	for i, name := range organizations {
		if rapid.IntRange(0, 9).Draw(t, "no organization") == 0 {
			continue
		}
		o := &v1alpha1.Organization{ObjectMeta: drawMeta(t, name, i)}
		o.Spec.Namespaces = drawSome(t, "namespaces of an organization")
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			kind := rapid.SampledFrom([]string{v1alpha1.SubjectUser, v1alpha1.SubjectGroup}).Draw(t, "kind")
			s := v1alpha1.Subject{Kind: kind, Name: drawName(t, kind)}
			if !slices.ContainsFunc(o.Spec.Members, func(m v1alpha1.OrganizationMember) bool { return m.Subject == s }) {
				role := rapid.SampledFrom([]string{v1alpha1.RoleOwner, v1alpha1.RoleAdmin, v1alpha1.RoleAuditor, v1alpha1.RoleMember}).Draw(t, "role")
				o.Spec.Members = append(o.Spec.Members, v1alpha1.OrganizationMember{Subject: s, Role: role})
			}
		}
		if rapid.Bool().Draw(t, "bounded") {
			o.Spec.Clusters = &v1alpha1.ClusterSelector{Names: []string{"azure"}}
		}
		w.Organizations = append(w.Organizations, o)
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "workspaces") {
		ws := &v1alpha1.Workspace{ObjectMeta: drawMeta(t, fmt.Sprintf("w%d", i), i)}
		ws.Spec.Organization = rapid.SampledFrom(organizations).Draw(t, "organization")
		ws.Spec.Namespaces.Names = drawSome(t, "namespaces of a workspace")
		if rapid.IntRange(0, 3).Draw(t, "selects") == 0 {
			ws.Spec.Namespaces.Labels = &v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"tier": "x"}}
		}
		if rapid.Bool().Draw(t, "bounded") {
			ws.Spec.Clusters = &v1alpha1.ClusterSelector{Names: []string{"azure"}}
		}
		for range rapid.IntRange(0, 4).Draw(t, "access") {
			kind := rapid.SampledFrom([]string{v1alpha1.SubjectUser, v1alpha1.SubjectGroup, v1alpha1.SubjectOrganization}).Draw(t, "kind")
			a := v1alpha1.WorkspaceAccess{Kind: kind, Name: ws.Spec.Organization, Role: rapid.SampledFrom([]string{v1alpha1.RoleView, v1alpha1.RoleEdit, v1alpha1.RoleAdmin}).Draw(t, "role")}
			if kind != v1alpha1.SubjectOrganization {
				a.Name = drawName(t, kind)
			}
			if !slices.ContainsFunc(ws.Spec.Access, func(b v1alpha1.WorkspaceAccess) bool { return a.Kind == b.Kind && a.Name == b.Name }) {
				ws.Spec.Access = append(ws.Spec.Access, a)
			}
		}
		w.Workspaces = append(w.Workspaces, ws)
	}
	return w
}

func drawMeta(t *rapid.T, name string, i int) metav1.ObjectMeta {
	age := rapid.IntRange(0, 2).Draw(t, "age")
	return metav1.ObjectMeta{Name: name, UID: types.UID(fmt.Sprintf("%s-%d", name, i)), CreationTimestamp: metav1.NewTime(time.Unix(int64(1000+age), 0))}
}

// builtIn stands for upstream's ClusterRoles, each of which has the rights of those before it.
func builtIn() []*rbacv1.ClusterRole {
	rule := func(verb, resource string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{verb}}
	}
	view := []rbacv1.PolicyRule{rule("get", "pods")}
	edit := append(slices.Clone(view), rule("get", "secrets"))
	admin := append(slices.Clone(edit), rule("create", "rolebindings"))
	return []*rbacv1.ClusterRole{
		{ObjectMeta: metav1.ObjectMeta{Name: "view"}, Rules: view}, {ObjectMeta: metav1.ObjectMeta{Name: "edit"}, Rules: edit}, {ObjectMeta: metav1.ObjectMeta{Name: "admin"}, Rules: admin},
	}
}

// judge is upstream's RBAC authorizer on what was made.
func judge(out Outcome) authorizer.Authorizer {
	_, static := rbacregistry.NewTestRuleResolver(nil, out.RoleBindings, append(builtIn(), out.ClusterRoles...), out.ClusterRoleBindings)
	return rbac.New(static, static, static, static)
}

type question struct{ who, verb, group, resource, namespace, name string }

func (q question) allowed(t *rapid.T, a authorizer.Authorizer) bool {
	decision, _, err := a.Authorize(t.Context(), authorizer.AttributesRecord{
		User: &user.DefaultInfo{Name: q.who, Groups: people[q.who]}, Verb: q.verb, APIGroup: q.group, Resource: q.resource, Namespace: q.namespace, Name: q.name, ResourceRequest: true,
	})
	if err != nil && strings.Contains(err.Error(), "not found") {
		t.Fatalf("a binding is to a role that is not there: %v", err)
	}
	return decision == authorizer.DecisionAllow
}

// is says whether somebody is a subject.
func is(who, kind, name string) bool {
	return kind == v1alpha1.SubjectUser && who == name || kind == v1alpha1.SubjectGroup && slices.Contains(people[who], name)
}

// inOrganization says whether somebody has one of the roles.
func inOrganization(w World, name, who string, roles ...string) bool {
	for _, o := range w.Organizations {
		for _, m := range o.Spec.Members {
			if o.Name == name && is(who, m.Kind, m.Name) && slices.Contains(roles, m.Role) {
				return true
			}
		}
	}
	return false
}

var everyRole = []string{v1alpha1.RoleOwner, v1alpha1.RoleAdmin, v1alpha1.RoleAuditor, v1alpha1.RoleMember}

// inWorkspace says whether somebody has one of the roles.
func inWorkspace(w World, ws *v1alpha1.Workspace, who string, roles ...string) bool {
	there := slices.ContainsFunc(w.Organizations, func(o *v1alpha1.Organization) bool { return o.Name == ws.Spec.Organization })
	for _, a := range ws.Spec.Access {
		someone := is(who, a.Kind, a.Name) || a.Kind == v1alpha1.SubjectOrganization && inOrganization(w, ws.Spec.Organization, who, everyRole...)
		if there && someone && slices.Contains(roles, a.Role) {
			return true
		}
	}
	return false
}

// expected is the model in so many words: what somebody may do in a namespace, given whose it is.
func expected(w World, out Outcome, who, namespace string) (view, edit, admin bool) {
	if is, ok := w.Namespaces[namespace]; !ok || is.Terminating {
		return false, false, false
	}
	for name, v := range out.Organizations {
		if slices.Contains(v.Namespaces, namespace) {
			admin = admin || inOrganization(w, name, who, v1alpha1.RoleOwner, v1alpha1.RoleAdmin)
			view = view || inOrganization(w, name, who, v1alpha1.RoleAuditor)
		}
	}
	for _, ws := range w.Workspaces {
		if slices.Contains(out.Workspaces[ws.Name].Namespaces, namespace) {
			admin = admin || inWorkspace(w, ws, who, v1alpha1.RoleAdmin)
			edit = edit || inWorkspace(w, ws, who, v1alpha1.RoleEdit)
			view = view || inWorkspace(w, ws, who, v1alpha1.RoleView)
		}
	}
	return view || edit || admin, edit || admin, admin
}

// TestRBACIsTheModel compares upstream's authorizer with the model, for everybody, everywhere.
func TestRBACIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		out := Materialize(w)
		a := judge(out)
		ask := func(want bool, q question) {
			if got := q.allowed(t, a); got != want {
				t.Fatalf("%+v: RBAC says %v, the model %v", q, got, want)
			}
		}
		const hanse = "hanse.dev"
		for who := range people {
			for _, n := range places {
				view, edit, admin := expected(w, out, who, n)
				ask(view, question{who, "get", "", "pods", n, "p"})
				ask(edit, question{who, "get", "", "secrets", n, "s"})
				ask(admin, question{who, "create", "", "rolebindings", n, ""})
				ask(false, question{who, "create", "", "resourcequotas", n, ""})
			}
			ask(false, question{who, "get", "", "pods", "", ""})
			ask(false, question{who, "list", hanse, "organizations", "", ""})
			ask(false, question{who, "update", hanse, "workspaces", "", ""})
			ask(false, question{who, v1alpha1.VerbClaim, "", "namespaces", "", ""})
			ask(false, question{who, "update", hanse, "organizations", "", "neither"})
			creates := false
			for _, o := range w.Organizations {
				leads := inOrganization(w, o.Name, who, v1alpha1.RoleOwner, v1alpha1.RoleAdmin)
				creates = creates || leads
				ask(inOrganization(w, o.Name, who, everyRole...), question{who, "get", hanse, "organizations", "", o.Name})
				ask(leads, question{who, "update", hanse, "organizations", "", o.Name})
				ask(leads, question{who, v1alpha1.VerbGrant, hanse, "organizations", "", o.Name})
				ask(inOrganization(w, o.Name, who, v1alpha1.RoleOwner), question{who, v1alpha1.VerbOwn, hanse, "organizations", "", o.Name})
				ask(inOrganization(w, o.Name, who, v1alpha1.RoleOwner), question{who, "delete", hanse, "organizations", "", o.Name})
			}
			ask(creates, question{who, "create", hanse, "workspaces", "", ""})
			for _, n := range places {
				claims := false
				for _, o := range w.Organizations {
					claims = claims || slices.Contains(o.Spec.Namespaces, n) && slices.Contains(out.Organizations[o.Name].Namespaces, n) && inOrganization(w, o.Name, who, v1alpha1.RoleOwner, v1alpha1.RoleAdmin)
				}
				ask(claims, question{who, v1alpha1.VerbClaim, "", "namespaces", "", n})
			}
			for _, ws := range w.Workspaces {
				of := ws.Spec.Organization
				leads := inOrganization(w, of, who, v1alpha1.RoleOwner, v1alpha1.RoleAdmin)
				ask(inOrganization(w, of, who, everyRole...) || inWorkspace(w, ws, who, v1alpha1.RoleView, v1alpha1.RoleEdit, v1alpha1.RoleAdmin), question{who, "get", hanse, "workspaces", "", ws.Name})
				ask(leads || inWorkspace(w, ws, who, v1alpha1.RoleAdmin), question{who, "update", hanse, "workspaces", "", ws.Name})
				ask(leads, question{who, "delete", hanse, "workspaces", "", ws.Name})
				ask(leads, question{who, v1alpha1.VerbGrant, hanse, "workspaces", "", ws.Name})
			}
		}
	})
}

// TestNoRoleHasMore holds what is made against what it may have: upstream's roles by bindings in namespaces, and rights to
// Organizations, Workspaces and claims, by name, but for creating Workspaces.
func TestNoRoleHasMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		out := Materialize(drawWorld(t))
		for _, b := range out.RoleBindings {
			if !slices.Contains([]string{"view", "edit", "admin"}, b.RoleRef.Name) || b.RoleRef.Kind != "ClusterRole" || Reserved(b.Namespace) {
				t.Fatalf("a binding to %v in %s", b.RoleRef, b.Namespace)
			}
		}
		for _, r := range out.ClusterRoles {
			for _, rule := range r.Rules {
				create := slices.Equal(rule.Verbs, []string{"create"}) && slices.Equal(rule.Resources, []string{"workspaces"})
				if len(rule.ResourceNames) == 0 && !create || slices.Contains(slices.Concat(rule.Verbs, rule.Resources, rule.APIGroups, rule.ResourceNames), "*") || len(rule.NonResourceURLs) > 0 {
					t.Fatalf("role %s has %+v", r.Name, rule)
				}
				if slices.Contains(rule.Resources, "namespaces") && !slices.Equal(rule.Verbs, []string{v1alpha1.VerbClaim}) {
					t.Fatalf("role %s has %+v", r.Name, rule)
				}
			}
		}
	})
}

// TestANamespaceHasOneOwner holds for whatever is claimed, is said where it is refused, and stays so when it is done again.
func TestANamespaceHasOneOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		out := Materialize(w)
		organization, workspace := map[string]string{}, map[string]string{}
		for name, v := range out.Organizations {
			for _, n := range v.Namespaces {
				if organization[n] != "" || Reserved(n) {
					t.Fatalf("%s belongs to %s and %s", n, organization[n], name)
				}
				organization[n] = name
			}
		}
		for _, ws := range w.Workspaces {
			v := out.Workspaces[ws.Name]
			for _, n := range v.Namespaces {
				if workspace[n] != "" || Reserved(n) {
					t.Fatalf("%s is in %s and %s", n, workspace[n], ws.Name)
				}
				workspace[n] = ws.Name
				if _, there := out.Organizations[ws.Spec.Organization]; there && organization[n] != ws.Spec.Organization {
					t.Fatalf("%s is in %s of %s, and belongs to %s", n, ws.Name, ws.Spec.Organization, organization[n])
				}
			}
			for _, n := range ws.Spec.Namespaces.Names {
				if !slices.Contains(v.Namespaces, n) && v.Reason == v1alpha1.ReasonTenancyAccepted && !Reserved(n) {
					t.Fatalf("%s does not get %s, and nobody says so", ws.Name, n)
				}
			}
		}
		// What was given is kept, whoever claims it then.
		for _, o := range w.Organizations {
			o.Status.Namespaces = out.Organizations[o.Name].Namespaces
		}
		for _, ws := range w.Workspaces {
			ws.Status.Namespaces = out.Workspaces[ws.Name].Namespaces
		}
		if again := Materialize(w); !reflect.DeepEqual(out, again) {
			t.Fatalf("%+v became %+v", out, again)
		}
		late := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "0-late", CreationTimestamp: metav1.NewTime(time.Unix(1, 0))}}
		late.Spec.Organization = "acme"
		late.Spec.Namespaces.Names = places
		w.Workspaces = append(w.Workspaces, late)
		after := Materialize(w)
		for n, ws := range workspace {
			if !slices.Contains(after.Workspaces[ws].Namespaces, n) {
				t.Fatalf("%s lost %s to somebody who came later", ws, n)
			}
		}
	})
}

// TestBoundsHoldWithoutTheOrganization: what a workspace is bounded to is not loosened because its organization is gone.
func TestBoundsHoldWithoutTheOrganization(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		before := Materialize(w)
		for _, ws := range w.Workspaces {
			ws.Status.Namespaces = before.Workspaces[ws.Name].Namespaces
		}
		w.Organizations = nil
		after := Materialize(w)
		if len(after.RoleBindings)+len(after.ClusterRoleBindings) > 0 {
			t.Fatal("somebody has rights by organizations that do not exist")
		}
		for _, r := range before.Residencies {
			for _, n := range r.Spec.Namespaces {
				if r.Name == "workspace."+r.Labels[v1alpha1.LabelWorkspace]+".organization" || r.Labels[v1alpha1.LabelWorkspace] == "" {
					continue // it is the organization's
				}
				if !slices.ContainsFunc(after.Residencies, func(s *v1alpha1.Residency) bool { return s.Name == r.Name && slices.Contains(s.Spec.Namespaces, n) }) {
					t.Fatalf("%s is no longer bounded by %s", n, r.Name)
				}
			}
		}
	})
}

// TestWhatIsBoundedIsBounded: each namespace that somebody has rights in by a bounded Organization or Workspace is in a Residency,
// by name or by the labels.
func TestWhatIsBoundedIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		out := Materialize(w)
		in := func(namespace, residency string) bool {
			return slices.ContainsFunc(out.Residencies, func(r *v1alpha1.Residency) bool {
				byLabel := r.Spec.NamespaceSelector != nil && w.Namespaces[namespace].Labels["tier"] == "x"
				return r.Name == residency && (byLabel || slices.Contains(r.Spec.Namespaces, namespace))
			})
		}
		for _, ws := range w.Workspaces {
			of := slices.IndexFunc(w.Organizations, func(o *v1alpha1.Organization) bool { return o.Name == ws.Spec.Organization })
			for _, n := range out.Workspaces[ws.Name].Namespaces {
				if ws.Spec.Clusters != nil && !in(n, "workspace."+ws.Name+".clusters") {
					t.Fatalf("%s of workspace %s is bounded by nothing", n, ws.Name)
				}
				if of >= 0 && w.Organizations[of].Spec.Clusters != nil && !in(n, "workspace."+ws.Name+".organization") {
					t.Fatalf("%s of workspace %s is not bounded by its organization", n, ws.Name)
				}
			}
		}
		for _, o := range w.Organizations {
			for _, n := range out.Organizations[o.Name].Namespaces {
				if o.Spec.Clusters != nil && slices.Contains(o.Spec.Namespaces, n) && !in(n, "organization."+o.Name+".clusters") {
					t.Fatalf("%s of organization %s is bounded by nothing", n, o.Name)
				}
			}
		}
	})
}
