package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Names of what is made. No user can make an object of such a name: admission keeps them.
const (
	PrefixOrganization = "hanse:organization:"
	PrefixWorkspace    = "hanse:workspace:"
	quotaName          = "hanse-workspace"
)

// organization adds what one means: who may see, change and own it, and has its namespaces.
func (out *Outcome) organization(w World, c *claims, o *v1alpha1.Organization) {
	v := Verdict{Reason: v1alpha1.ReasonTenancyAccepted, Workspaces: len(c.members[o.Name])}
	for n, of := range c.organization {
		if of == o.Name {
			v.Namespaces = append(v.Namespaces, n)
		}
	}
	slices.Sort(v.Namespaces)
	if w.UnreadOrganizations[o.Name] {
		v.Reason, v.Message = v1alpha1.ReasonNotUnderstood, "the hub cannot read the spec; what was made of it stays as it is. Try: correct it"
		out.Organizations[o.Name] = v
		return
	}
	own := slices.DeleteFunc(slices.Clone(o.Spec.Namespaces), func(n string) bool { return c.organization[n] != o.Name })
	if taken := c.taken(o.Name, "", o.Spec.Namespaces); taken != "" {
		v.Reason, v.Message = v1alpha1.ReasonNamespaceTaken, taken
	}
	out.Organizations[o.Name] = v
	out.make(w, own)

	m := mark{organization: o}
	var workspaces []string
	for _, ws := range c.members[o.Name] {
		workspaces = append(workspaces, ws.Name)
	}
	slices.Sort(workspaces)
	see, change, delegate := []string{"get", "list", "watch"}, []string{"update", "patch"}, v1alpha1.VerbGrant
	organizations, spaces := resources("organizations"), resources("workspaces")
	out.role(m, "member", members(o, v1alpha1.RoleOwner, v1alpha1.RoleAdmin, v1alpha1.RoleAuditor, v1alpha1.RoleMember),
		organizations.named(see, o.Name), spaces.named(see, workspaces...))
	out.role(m, "admin", members(o, v1alpha1.RoleOwner, v1alpha1.RoleAdmin),
		organizations.named(append(slices.Clone(change), delegate), o.Name),
		[]rbacv1.PolicyRule{{APIGroups: spaces.groups, Resources: spaces.resources, Verbs: []string{"create"}}},
		spaces.named(append(slices.Clone(change), "delete", delegate), workspaces...),
		target{[]string{""}, []string{"namespaces"}}.named([]string{v1alpha1.VerbClaim}, own...))
	out.role(m, "owner", members(o, v1alpha1.RoleOwner), organizations.named([]string{"delete", v1alpha1.VerbOwn}, o.Name))

	slices.Sort(own)
	out.residency(m, "clusters", o.Spec.Clusters, own, nil)
	for _, n := range living(w, v.Namespaces) {
		out.bind(m, n, "admin", members(o, v1alpha1.RoleOwner, v1alpha1.RoleAdmin))
		out.bind(m, n, "view", members(o, v1alpha1.RoleAuditor))
	}
}

// workspace adds what one means. Where its organization is not there, its bounds hold, and nobody has rights by it.
func (out *Outcome) workspace(w World, c *claims, ws *v1alpha1.Workspace) {
	v := Verdict{Reason: v1alpha1.ReasonTenancyAccepted}
	for _, n := range c.claimed[ws.Name] {
		if c.workspace[n] == ws.Name {
			v.Namespaces = append(v.Namespaces, n)
		}
	}
	slices.Sort(v.Namespaces)
	o := c.byName[ws.Spec.Organization]
	switch taken := c.taken(ws.Spec.Organization, ws.Name, c.claimed[ws.Name]); {
	case w.UnreadWorkspaces[ws.Name]:
		v.Reason, v.Message = v1alpha1.ReasonNotUnderstood, "the hub cannot read the spec; what was made of it stays as it is. Try: correct it"
	case c.tooMany[ws.Name]:
		v.Reason, v.Message = v1alpha1.ReasonTooMany, fmt.Sprintf("organization %s has %d older workspaces, and may have no more. Try: delete one", ws.Spec.Organization, MaxWorkspaces)
	case o == nil:
		v.Reason, v.Message = v1alpha1.ReasonNoOrganization, fmt.Sprintf("there is no organization %s, so nobody has rights by this workspace; its bounds hold. Try: create the organization, or delete the workspace", ws.Spec.Organization)
	case taken != "":
		v.Reason, v.Message = v1alpha1.ReasonNamespaceTaken, taken
	case c.cut[ws.Name]:
		v.Reason, v.Message = v1alpha1.ReasonTooMany, fmt.Sprintf("it selects more than %d namespaces; the others are not in it. Try: several workspaces", MaxNamespaces)
	}
	out.Workspaces[ws.Name] = v
	if w.UnreadWorkspaces[ws.Name] || c.tooMany[ws.Name] {
		return
	}
	m := mark{organization: o, workspace: ws}
	named, labels := slices.DeleteFunc(slices.Clone(v.Namespaces), func(n string) bool { return !slices.Contains(ws.Spec.Namespaces.Names, n) }), ws.Spec.Namespaces.Labels
	out.residency(m, "clusters", ws.Spec.Clusters, named, labels)
	out.residency(m, "residency", ws.Spec.Residency, named, labels)
	if o != nil { // its organization's bounds; those of namespaces that the organization names are there as well
		out.residency(m, "organization", o.Spec.Clusters, named, labels)
	}
	out.quotas(m, living(w, v.Namespaces))
	if o == nil {
		return
	}
	out.make(w, slices.DeleteFunc(slices.Clone(ws.Spec.Namespaces.Names), func(n string) bool { return c.workspace[n] != ws.Name }))
	see, change := []string{"get", "list", "watch"}, []string{"update", "patch"}
	spaces := resources("workspaces")
	out.role(m, "member", access(o, ws, v1alpha1.RoleView, v1alpha1.RoleEdit, v1alpha1.RoleAdmin), spaces.named(see, ws.Name))
	out.role(m, "admin", access(o, ws, v1alpha1.RoleAdmin), spaces.named(change, ws.Name))
	for _, n := range living(w, v.Namespaces) {
		for _, role := range []string{v1alpha1.RoleView, v1alpha1.RoleEdit, v1alpha1.RoleAdmin} {
			out.bind(m, n, strings.ToLower(role), access(o, ws, role))
		}
	}
}

// taken says which of the wanted namespaces others have; empty: none.
func (c *claims) taken(organization, workspace string, wanted []string) string {
	var all []string
	for _, n := range wanted {
		switch {
		case Reserved(n):
			all = append(all, n+" belongs to nobody")
		case c.organization[n] != organization:
			all = append(all, fmt.Sprintf("%s belongs to organization %s", n, c.organization[n]))
		case workspace != "" && c.workspace[n] != workspace:
			all = append(all, fmt.Sprintf("%s is in workspace %s", n, c.workspace[n]))
		}
	}
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	if rest := len(all) - 5; rest > 0 {
		all = append(all[:5], fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(all, ", ") + ": who had a namespace first keeps it. Try: take it out there, or here"
}

// make adds namespaces that are not there.
func (out *Outcome) make(w World, names []string) {
	for _, n := range names {
		if _, ok := w.Namespaces[n]; !ok && !slices.Contains(out.Namespaces, n) {
			out.Namespaces = append(out.Namespaces, n)
		}
	}
}

// living are those of the namespaces in which objects can be made.
func living(w World, names []string) (out []string) {
	for _, n := range names {
		if is, ok := w.Namespaces[n]; ok && !is.Terminating {
			out = append(out, n)
		}
	}
	return out
}

// members are the subjects that have one of the roles in an organization.
func members(o *v1alpha1.Organization, roles ...string) (out []rbacv1.Subject) {
	for _, m := range o.Spec.Members {
		if slices.Contains(roles, m.Role) {
			out = append(out, subject(m.Kind, m.Name))
		}
	}
	return out
}

// access are the subjects that have one of the roles in a workspace.
func access(o *v1alpha1.Organization, ws *v1alpha1.Workspace, roles ...string) (out []rbacv1.Subject) {
	add := func(s rbacv1.Subject) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, a := range ws.Spec.Access {
		switch {
		case !slices.Contains(roles, a.Role):
		case a.Kind != v1alpha1.SubjectOrganization:
			add(subject(a.Kind, a.Name))
		case a.Name == o.Name:
			for _, m := range o.Spec.Members {
				add(subject(m.Kind, m.Name))
			}
		}
	}
	return out
}

// subject is somebody in RBAC's terms. Names of Kubernetes and of the hub are refused by the schema, and once more here.
func subject(kind, name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}

// target is resources in a rule.
type target struct{ groups, resources []string }

func resources(name string) target {
	return target{[]string{v1alpha1.GroupVersion().Group}, []string{name}}
}

// named are rules for objects by name; none for no names, since a rule without names is for all.
func (t target) named(verbs []string, names ...string) []rbacv1.PolicyRule {
	if len(names) == 0 {
		return nil
	}
	return []rbacv1.PolicyRule{{APIGroups: t.groups, Resources: t.resources, ResourceNames: slices.Clone(names), Verbs: verbs}}
}

// mark is of what an object is made; its organization may be nil where it has a workspace.
type mark struct {
	organization *v1alpha1.Organization
	workspace    *v1alpha1.Workspace
}

// meta is that of an object that is made: labels that say of what, and the owner with which it goes.
func (m mark) meta(namespace, name string) metav1.ObjectMeta {
	labels := map[string]string{v1alpha1.LabelTenancy: "true"}
	var owner metav1.OwnerReference
	if m.workspace != nil {
		labels[v1alpha1.LabelWorkspace], labels[v1alpha1.LabelOrganization] = m.workspace.Name, m.workspace.Spec.Organization
		owner = metav1.OwnerReference{Kind: "Workspace", Name: m.workspace.Name, UID: m.workspace.UID}
	} else {
		labels[v1alpha1.LabelOrganization] = m.organization.Name
		owner = metav1.OwnerReference{Kind: "Organization", Name: m.organization.Name, UID: m.organization.UID}
	}
	owner.APIVersion = v1alpha1.GroupVersion().String()
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels, OwnerReferences: []metav1.OwnerReference{owner}}
}

func (m mark) prefix() string {
	if m.workspace != nil {
		return PrefixWorkspace
	}
	return PrefixOrganization
}

func (m mark) name() string {
	if m.workspace != nil {
		return m.workspace.Name
	}
	return m.organization.Name
}

// role adds a ClusterRole and its binding, if it has rules and somebody has it.
func (out *Outcome) role(m mark, name string, subjects []rbacv1.Subject, rules ...[]rbacv1.PolicyRule) {
	all := slices.Concat(rules...)
	if len(all) == 0 || len(subjects) == 0 {
		return
	}
	meta := m.meta("", m.prefix()+m.name()+":"+name)
	out.ClusterRoles = append(out.ClusterRoles, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: all})
	out.ClusterRoleBindings = append(out.ClusterRoleBindings, &rbacv1.ClusterRoleBinding{ObjectMeta: *meta.DeepCopy(), RoleRef: clusterRole(meta.Name), Subjects: subjects})
}

// bind adds a binding to one of upstream's roles in a namespace, if somebody has it.
func (out *Outcome) bind(m mark, namespace, role string, subjects []rbacv1.Subject) {
	if len(subjects) > 0 {
		out.RoleBindings = append(out.RoleBindings, &rbacv1.RoleBinding{ObjectMeta: m.meta(namespace, m.prefix()+role), RoleRef: clusterRole(role), Subjects: subjects})
	}
}

func clusterRole(name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
}

// ResidencyName is that of the Residency that is made of a field of an Organization or a Workspace. No dot is in their names,
// so each has its own.
func ResidencyName(kind, name, field string) string {
	return strings.ToLower(kind) + "." + name + "." + field
}

// residency adds a Residency, if there is one to be, and a namespace that it is for. What is selected by labels is selected so by the
// Residency, too: whoever takes such a label off needs the right to release the namespace.
func (out *Outcome) residency(m mark, field string, clusters *v1alpha1.ClusterSelector, namespaces []string, labels *v1alpha1.Selector) {
	if clusters == nil || len(namespaces) == 0 && labels == nil {
		return
	}
	kind := "Organization"
	if m.workspace != nil {
		kind = "Workspace"
	}
	out.Residencies = append(out.Residencies, &v1alpha1.Residency{
		ObjectMeta: m.meta("", ResidencyName(kind, m.name(), field)),
		Spec:       v1alpha1.ResidencySpec{Namespaces: namespaces, NamespaceSelector: labels.DeepCopy(), Clusters: *clusters.DeepCopy()},
	})
}

func (out *Outcome) quotas(m mark, namespaces []string) {
	if m.workspace.Spec.Quota == nil {
		return
	}
	for _, n := range namespaces {
		out.Quotas = append(out.Quotas, &corev1.ResourceQuota{
			ObjectMeta: m.meta(n, quotaName), Spec: corev1.ResourceQuotaSpec{Hard: maps.Clone(m.workspace.Spec.Quota.Hard)},
		})
	}
}
