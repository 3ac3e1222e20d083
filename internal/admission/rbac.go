package admission

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/admission"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	rbacregistry "k8s.io/kubernetes/pkg/registry/rbac/validation"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

const rbacGroup = rbacv1.GroupName

// covers is an error unless the author of a request has, in a namespace, all that a ClusterRole gives; no namespace: everywhere.
func (p *Plugin) covers(ctx context.Context, a admission.Attributes, role, namespace string) error {
	if ofMasters(a) {
		return nil
	}
	rules, err := p.rules.GetRoleReferenceRules(ctx, rbacv1.RoleRef{APIGroup: rbacGroup, Kind: "ClusterRole", Name: role}, namespace)
	if err != nil {
		return fmt.Errorf("the hub cannot tell at the moment what the ClusterRole %s gives: %w", role, err)
	}
	as := genericapirequest.WithNamespace(genericapirequest.WithUser(ctx, a.GetUserInfo()), namespace)
	return rbacregistry.ConfirmNoEscalation(as, p.rules, rules)
}

// checkRBAC is upstream's rule that nobody gives rights that they do not have, for what an override makes of roles and
// bindings. Rules that it gives whole are compared with its author's own. What depends on the object, such as a part of a
// rule, the label of an aggregated role, or the subjects of a binding, cannot be known before there is one: it takes the right
// to escalate, or to bind, whatever comes of it.
func (o *overrider) checkRBAC(ctx context.Context, resources ...string) error {
	if ofMasters(o.a) {
		return nil
	}
	for _, resource := range resources {
		if strings.HasSuffix(resource, "bindings") {
			if err := o.checkBindings(ctx); err != nil {
				return err
			}
			continue
		}
		escalate := right{verb: "escalate", resource: schema.GroupResource{Group: rbacGroup, Resource: resource}}
		if o.has(ctx, o.a, escalate) {
			continue
		}
		rules, whole := wholeRules(o.override)
		if !whole {
			return o.need(ctx, o.a, escalate, o.field+" makes of rules what they become only together with those of the object")
		}
		as := genericapirequest.WithNamespace(genericapirequest.WithUser(ctx, o.a.GetUserInfo()), "")
		if err := rbacregistry.ConfirmNoEscalation(as, o.rules, rules); err != nil {
			return fmt.Errorf("%s: %w, nor may they %s. Try: rules that you have, or %s", o.field, err, escalate, escalate.whoCan())
		}
	}
	return nil
}

func (o *overrider) checkBindings(ctx context.Context) error {
	for _, roles := range []string{"clusterroles", "roles"} {
		bind := right{verb: "bind", resource: schema.GroupResource{Group: rbacGroup, Resource: roles}}
		if err := o.need(ctx, o.a, bind, o.field+" changes whom a role is given to"); err != nil {
			return err
		}
	}
	return nil
}

// wholeItem is the list of rules, or one of it.
var wholeItem = regexp.MustCompile(`^/rules(/([0-9]+|-))?$`)

// wholeRules are the rules that an override adds to a role's, or puts in the place of some or all of them; whole: beside these
// there are none that the role did not have.
func wholeRules(o *v1alpha1.Override) (rules []rbacv1.PolicyRule, whole bool) {
	if o.Labels != nil || o.Annotations != nil {
		return nil, false
	}
	for _, op := range o.JSONPatch {
		switch {
		case op.Op == "test":
		case !wholeItem.MatchString(op.Path):
			return nil, false
		case op.Op == "remove":
		case op.Op == "add" || op.Op == "replace":
			var value any
			if utiljson.Unmarshal(op.Value.Raw, &value) != nil {
				return nil, false
			}
			if op.Path != "/rules" {
				value = []any{value}
			}
			more, ok := rulesOf(value)
			if !ok {
				return nil, false
			}
			rules = append(rules, more...)
		default:
			return nil, false
		}
	}
	if o.StrategicMerge == nil {
		return rules, true
	}
	var fields map[string]any
	if utiljson.Unmarshal(o.StrategicMerge.Raw, &fields) != nil {
		return nil, false
	}
	for name, value := range fields { // strategically, rules are replaced as a whole
		more, ok := rulesOf(value)
		if name != "rules" || !ok {
			return nil, false
		}
		rules = append(rules, more...)
	}
	return rules, true
}

// rulesOf reads a list of rules as an API server does, which tells apiGroups from apigroups.
func rulesOf(list any) ([]rbacv1.PolicyRule, bool) {
	var role rbacv1.Role
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(map[string]any{"rules": list}, &role, true)
	return role.Rules, err == nil
}
