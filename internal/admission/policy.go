package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/policy"
)

// policy refuses a placement policy of either kind that the hub would not understand, and one whose overrides change what its
// author may not write. One whose spec is as it was stays, whoever touches it.
func (p *Plugin) policy(ctx context.Context, a admission.Attributes, before, after *unstructured.Unstructured) error {
	if !sameField(before, after, "status", "inEffect") && !slices.Contains(a.GetUserInfo().GetGroups(), user.SystemPrivilegedGroup) {
		return errors.New("status.inEffect is what the hub goes by when it does not understand the spec: nobody else may write it. Try: change the spec")
	}
	if a.GetSubresource() != "" || sameField(before, after, "spec") {
		return nil
	}
	if _, err := policy.Parse(after); err != nil {
		return err
	}
	var spec v1alpha1.PlacementPolicySpec
	fields, _, _ := unstructured.NestedMap(after.Object, "spec")
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &spec); err != nil {
		return err
	}
	for i := range spec.Overrides {
		w := overrider{Plugin: p, a: a, selects: &spec.Select, override: &spec.Overrides[i], field: fmt.Sprintf("spec.overrides[%d]", i)}
		if err := w.check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// overrider looks at one override of a policy.
type overrider struct {
	*Plugin
	a        admission.Attributes
	selects  *v1alpha1.ObjectSelector
	override *v1alpha1.Override
	field    string
}

func (o *overrider) namespaced() bool { return o.a.GetNamespace() != "" }

// check asks for the right to update all that the override changes, whether or not it is there already: what is made later
// is changed as well.
func (o *overrider) check(ctx context.Context) error {
	kinds, open := o.kinds()
	if open {
		all := right{verb: "update", resource: schema.GroupResource{Group: "*", Resource: "*"}, namespace: o.a.GetNamespace()}
		if !o.has(ctx, o.a, all) {
			return fmt.Errorf("%s may change objects of every kind, and user %q may not %s. Try: kinds that you may update, in spec.select.kinds or %s.kinds",
				o.field, o.a.GetUserInfo().GetName(), all, o.field)
		}
		if o.namespaced() {
			return nil // it leaves guarded kinds alone
		}
		return o.checkRBAC(ctx, "roles", "clusterroles", "rolebindings", "clusterrolebindings")
	}
	for _, kind := range kinds {
		if err := o.checkKind(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

// kinds are those that the policy selects and the override reaches; open: of all kinds.
func (o *overrider) kinds() (kinds []schema.GroupKind, open bool) {
	reach, open := override.Reach(o.override)
	var selected []schema.GroupKind
	for _, k := range o.selects.Kinds {
		if gv, err := schema.ParseGroupVersion(k.APIVersion); err == nil {
			selected = append(selected, schema.GroupKind{Group: gv.Group, Kind: k.Kind})
		}
	}
	switch {
	case len(selected) == 0:
		return reach, open
	case open:
		return selected, false
	}
	return slices.DeleteFunc(reach, func(k schema.GroupKind) bool { return !slices.Contains(selected, k) }), false
}

func (o *overrider) checkKind(ctx context.Context, kind schema.GroupKind) error {
	if o.namespaced() && override.Guarded(kind) {
		return fmt.Errorf("%s would change a %s, which a PlacementPolicy does not. Try: change it at the hub, or ask an administrator of the hub for a ClusterPlacementPolicy", o.field, kind.Kind)
	}
	resources, err := o.resources(kind)
	if err != nil {
		return err
	}
	for _, resource := range resources {
		if err := o.mayUpdate(ctx, kind, resource); err != nil {
			return err
		}
		if resource.Group == rbacGroup {
			if err := o.checkRBAC(ctx, resource.Resource); err != nil {
				return err
			}
		}
	}
	return nil
}

// resources is what a kind is called in requests. Of one that is not served, and may be later by whatever name, it is all of
// its group.
func (o *overrider) resources(kind schema.GroupKind) (all []schema.GroupResource, err error) {
	mappings, err := o.mapper.RESTMappings(kind)
	if meta.IsNoMatchError(err) {
		return []schema.GroupResource{{Group: kind.Group, Resource: "*"}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the hub cannot tell at the moment what %s is called in requests: %w. Try: again", kind, err)
	}
	for _, m := range mappings {
		if gr := m.Resource.GroupResource(); !slices.Contains(all, gr) {
			all = append(all, gr)
		}
	}
	return all, nil
}

// mayUpdate asks for the right to update all objects of a resource; those by the names alone will do, where the policy
// selects by name.
func (o *overrider) mayUpdate(ctx context.Context, kind schema.GroupKind, resource schema.GroupResource) error {
	all := right{verb: "update", resource: resource, namespace: o.a.GetNamespace()}
	if o.has(ctx, o.a, all) {
		return nil
	}
	why := fmt.Sprintf("%s changes every %s that the policy selects", o.field, kind.Kind)
	if len(o.selects.Names) == 0 {
		return o.need(ctx, o.a, all, why)
	}
	for _, name := range o.selects.Names {
		one := all
		one.name = name
		if err := o.need(ctx, o.a, one, why); err != nil {
			return err
		}
	}
	return nil
}
