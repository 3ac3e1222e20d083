package admission

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/tenancy/model"
)

// keptNames refuses roles and bindings of the names under which the hub writes what Organizations and Workspaces mean.
func keptNames(a admission.Attributes) error {
	name := nameOf(a)
	if a.GetOperation() == admission.Delete || a.GetResource().Group != rbacGroup || !strings.HasPrefix(name, model.PrefixOrganization) && !strings.HasPrefix(name, model.PrefixWorkspace) || ofMasters(a) {
		return nil
	}
	return errors.New("the hub writes it as an Organization or a Workspace says. Try: change that")
}

// ofMasters says whether a request is of system:masters, the hub itself among them.
func ofMasters(a admission.Attributes) bool {
	return slices.Contains(a.GetUserInfo().GetGroups(), user.SystemPrivilegedGroup)
}

// heldNamespaces refuses to say who has a namespace already to all but the hub.
func heldNamespaces(a admission.Attributes, before, after *unstructured.Unstructured) error {
	if after == nil || sameField(before, after, "status", "namespaces") || ofMasters(a) {
		return nil
	}
	return errors.New("status.namespaces is how the hub knows who had a namespace first: nobody else may write it. Try: change the spec")
}

// read decodes an object; nil is an empty one.
func read(u *unstructured.Unstructured, into any) error {
	if u == nil {
		return nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, into); err != nil {
		return fmt.Errorf("the hub would not understand it: %w", err)
	}
	return nil
}

// organization asks whoever changes who is in an Organization for the verb grant on it, for own where that concerns an owner,
// and for the right to what else it says.
func (p *Plugin) organization(ctx context.Context, a admission.Attributes, before, after *unstructured.Unstructured) error {
	if err := heldNamespaces(a, before, after); err != nil || a.GetSubresource() != "" {
		return err
	}
	var was, is v1alpha1.Organization
	if err := errors.Join(read(before, &was), read(after, &is)); err != nil {
		return err
	}
	t := tenant{Plugin: p, a: a}
	deleted := after == nil
	if !deleted {
		if err := t.members(ctx, &was, &is); err != nil {
			return err
		}
		if err := t.claims(ctx, "spec.namespaces", was.Spec.Namespaces, is.Spec.Namespaces); err != nil {
			return err
		}
	}
	name := nameOf(a)
	if deleted {
		name = was.Name
	}
	return t.bounded(ctx, bound{"spec.clusters", model.ResidencyName("Organization", name, "clusters"), was.Spec.Clusters, is.Spec.Clusters}, lost(was.Spec.Namespaces, is.Spec.Namespaces))
}

// tenant is a request about an Organization or a Workspace.
type tenant struct {
	*Plugin
	a admission.Attributes
}

func organizationRight(verb, name string) right {
	return right{verb: verb, resource: v1alpha1.Resource("organizations").GroupResource(), name: name}
}

// members looks at who is in, and who is invited. Whoever may be an owner or an admin no longer may have made invitations for
// themselves: those that are open go with them.
func (t tenant) members(ctx context.Context, was, is *v1alpha1.Organization) error {
	name := nameOf(t.a)
	roles := func(o *v1alpha1.Organization) map[v1alpha1.Subject]string {
		all := map[v1alpha1.Subject]string{}
		for _, m := range o.Spec.Members {
			all[m.Subject] = m.Role
		}
		return all
	}
	before, after := roles(was), roles(is)
	lowered := ""
	for _, m := range slices.Concat(was.Spec.Members, is.Spec.Members) {
		old, now := before[m.Subject], after[m.Subject]
		if old == now {
			continue
		}
		if err := t.mayGrant(ctx, name, fmt.Sprintf("spec.members says what %s %s is", m.Kind, m.Name), old, now); err != nil {
			return err
		}
		if old == v1alpha1.RoleOwner || old == v1alpha1.RoleAdmin && now != v1alpha1.RoleOwner {
			lowered = m.Name
		}
	}
	open := map[v1alpha1.OrganizationInvitation]bool{}
	for _, i := range was.Spec.Invitations {
		open[comparable(i)] = true
	}
	for _, i := range is.Spec.Invitations {
		if !open[comparable(i)] {
			if err := t.mayGrant(ctx, name, fmt.Sprintf("invitation %s makes whoever takes it a member", i.Name), i.Role); err != nil {
				return err
			}
		} else if lowered != "" {
			return fmt.Errorf("%s may have made invitation %s, to come back by it. Try: hanse org remove, or take the open invitations out of spec.invitations in the same change", lowered, i.Name)
		}
	}
	return nil
}

// comparable is an invitation with its time as one value.
func comparable(i v1alpha1.OrganizationInvitation) v1alpha1.OrganizationInvitation {
	i.ExpiresAt.Time = i.ExpiresAt.UTC()
	return i
}

// mayGrant asks for the verb that roles take.
func (t tenant) mayGrant(ctx context.Context, organization, why string, roles ...string) error {
	verb := v1alpha1.VerbGrant
	if slices.Contains(roles, v1alpha1.RoleOwner) {
		verb = v1alpha1.VerbOwn
	}
	return t.need(ctx, t.a, organizationRight(verb, organization), why)
}

// claims asks for the right to each namespace that is added or removed.
func (t tenant) claims(ctx context.Context, field string, was, is []string) error {
	for _, n := range append(lost(was, is), lost(is, was)...) {
		claim := right{verb: v1alpha1.VerbClaim, resource: schema.GroupResource{Resource: "namespaces"}, name: n}
		if err := t.need(ctx, t.a, claim, field+" says whose namespace "+n+" is"); err != nil {
			return err
		}
	}
	return nil
}

// lost are those of was that are not in is.
func lost(was, is []string) (out []string) {
	for _, n := range was {
		if !slices.Contains(is, n) {
			out = append(out, n)
		}
	}
	return out
}

// bound is a field that becomes a Residency.
type bound struct {
	field, residency string
	was, is          *v1alpha1.ClusterSelector
}

// bounded asks for the rights to the Residency: restrict to set it, release to loosen it, by what it says or by taking
// namespaces out of it.
func (t tenant) bounded(ctx context.Context, b bound, out []string) error {
	changed := !reflect.DeepEqual(b.was, b.is)
	one := right{resource: v1alpha1.Resource("residencies").GroupResource(), name: b.residency}
	if b.was != nil && (changed || len(out) > 0) {
		one.verb = "release"
		if err := t.need(ctx, t.a, one, b.field+" says where the objects of its namespaces may be"); err != nil {
			return err
		}
	}
	if b.is == nil || !changed {
		return nil
	}
	one.verb = "restrict"
	return t.need(ctx, t.a, one, b.field+" says where the objects of its namespaces may be")
}

// workspace asks whoever gives access to a Workspace for the verb grant on it or its Organization, or for what they give, and
// for the right to what else it says.
func (p *Plugin) workspace(ctx context.Context, a admission.Attributes, before, after *unstructured.Unstructured) error {
	if err := heldNamespaces(a, before, after); err != nil || a.GetSubresource() != "" {
		return err
	}
	var was, is v1alpha1.Workspace
	if err := errors.Join(read(before, &was), read(after, &is)); err != nil {
		return err
	}
	t := tenant{Plugin: p, a: a}
	if before == nil {
		if err := t.mayGrant(ctx, is.Spec.Organization, "spec.organization says whose it is"); err != nil {
			return err
		}
	}
	names, had := is.Spec.Namespaces, was.Spec.Namespaces
	if err := t.claims(ctx, "spec.namespaces.names", had.Names, names.Names); err != nil {
		return err
	}
	out := lost(had.Names, names.Names)
	if !reflect.DeepEqual(had.Labels, names.Labels) {
		claim := right{verb: v1alpha1.VerbClaim, resource: schema.GroupResource{Resource: "namespaces"}}
		if err := t.need(ctx, t.a, claim, "spec.namespaces.labels says whose many namespaces are"); err != nil {
			return err
		}
		out = append(out, "those selected by labels")
	}
	if after != nil {
		if err := t.access(ctx, &was, &is); err != nil {
			return err
		}
	}
	name := nameOf(a)
	if after == nil {
		name = was.Name
	}
	for _, b := range []bound{
		{"spec.clusters", model.ResidencyName("Workspace", name, "clusters"), was.Spec.Clusters, is.Spec.Clusters},
		{"spec.residency", model.ResidencyName("Workspace", name, "residency"), was.Spec.Residency, is.Spec.Residency},
	} {
		if err := t.bounded(ctx, b, out); err != nil {
			return err
		}
	}
	return t.quota(ctx, &was, &is)
}

// access looks at every role that somebody is given in a namespace where they did not have it by this Workspace.
func (t tenant) access(ctx context.Context, was, is *v1alpha1.Workspace) error {
	relabelled := !reflect.DeepEqual(was.Spec.Namespaces.Labels, is.Spec.Namespaces.Labels)
	added := lost(is.Spec.Namespaces.Names, was.Spec.Namespaces.Names)
	for _, one := range is.Spec.Access {
		where := is.Spec.Namespaces.Names
		if slices.Contains(was.Spec.Access, one) {
			if where = added; len(added) == 0 && !relabelled {
				continue
			}
		}
		if is.Spec.Namespaces.Labels != nil || len(where) == 0 {
			where = []string{""} // all of them, or those that will be
		}
		if err := t.mayGive(ctx, is, one, where); err != nil {
			return err
		}
	}
	return nil
}

// mayGive is upstream's rule for bindings: who has a right may give it, or who has the verb.
func (t tenant) mayGive(ctx context.Context, ws *v1alpha1.Workspace, one v1alpha1.WorkspaceAccess, where []string) error {
	grant := right{verb: v1alpha1.VerbGrant, resource: v1alpha1.Resource("workspaces").GroupResource(), name: nameOf(t.a)}
	if t.has(ctx, t.a, organizationRight(v1alpha1.VerbGrant, ws.Spec.Organization)) || t.has(ctx, t.a, grant) {
		return nil
	}
	for _, n := range where {
		if err := t.covers(ctx, t.a, strings.ToLower(one.Role), n); err != nil {
			return fmt.Errorf("spec.access gives %s %s the role %s: %w, nor may they %s. Try: a role that you have, or an owner or admin of organization %s, or %s",
				one.Kind, one.Name, one.Role, err, grant, ws.Spec.Organization, grant.whoCan())
		}
	}
	return nil
}

// quota asks for the right to write the ResourceQuotas that change, or go.
func (t tenant) quota(ctx context.Context, was, is *v1alpha1.Workspace) error {
	had, has := was.Spec.Namespaces, is.Spec.Namespaces
	var where []string
	switch {
	case !sameQuota(was.Spec.Quota, is.Spec.Quota):
		if where = slices.Concat(has.Names, lost(had.Names, has.Names)); len(where) == 0 || had.Labels != nil || has.Labels != nil {
			where = []string{""}
		}
	case was.Spec.Quota == nil:
	case !reflect.DeepEqual(had.Labels, has.Labels):
		where = []string{""}
	default:
		where = lost(had.Names, has.Names)
	}
	for _, n := range where {
		write := right{verb: "update", resource: schema.GroupResource{Resource: "resourcequotas"}, namespace: n}
		if err := t.need(ctx, t.a, write, "spec.quota is the quota of its namespaces"); err != nil {
			return err
		}
	}
	return nil
}

// sameQuota compares quantities by what they mean.
func sameQuota(was, is *v1alpha1.WorkspaceQuota) bool {
	if was == nil || is == nil {
		return was == is
	}
	less := func(a, b corev1.ResourceList) bool {
		for name, q := range a {
			if other, ok := b[name]; !ok || other.Cmp(q) != 0 {
				return true
			}
		}
		return false
	}
	return !less(was.Hard, is.Hard) && !less(is.Hard, was.Hard)
}
