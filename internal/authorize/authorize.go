// Package authorize has RBAC ask the nearest bindings first. Upstream's authorizer looks at every ClusterRoleBinding of the hub, with
// every group of the user, before it looks at the few RoleBindings of the namespace: with a hundred organizations and a user of 250
// groups, that is what a request costs most. Rights only add up, so the order changes no answer. What the namespace's bindings
// do not allow is upstream's to decide, whole.
package authorize

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	rbacinformers "k8s.io/client-go/informers/rbac/v1"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
)

// Nearest is an authorizer that asks the RoleBindings of a request's namespace first, and then whole, which has to be of upstream's
// RBAC, or to allow all that this does: one that may deny what RBAC allows must be asked first.
type Nearest struct {
	authorizer.Authorizer
	near authorizer.Authorizer
}

// New makes one, with the caches that whole reads as well.
func New(whole authorizer.Authorizer, in rbacinformers.Interface) *Nearest {
	return &Nearest{Authorizer: whole, near: rbac.New(
		&rbac.RoleGetter{Lister: in.Roles().Lister()}, &rbac.RoleBindingLister{Lister: in.RoleBindings().Lister()},
		&rbac.ClusterRoleGetter{Lister: in.ClusterRoles().Lister()}, none{},
	)}
}

// Authorize is of authorizer.UnconditionalAuthorizer.
func (n *Nearest) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if reason, ok := n.allows(ctx, a); ok {
		return authorizer.DecisionAllow, reason, nil
	}
	return n.Authorizer.Authorize(ctx, a)
}

// ConditionsAwareAuthorize is of authorizer.Authorizer.
func (n *Nearest) ConditionsAwareAuthorize(ctx context.Context, a authorizer.Attributes) authorizer.ConditionsAwareDecision {
	if reason, ok := n.allows(ctx, a); ok {
		return authorizer.ConditionsAwareDecisionFromParts(authorizer.DecisionAllow, reason, nil)
	}
	return n.Authorizer.ConditionsAwareAuthorize(ctx, a)
}

func (n *Nearest) allows(ctx context.Context, a authorizer.Attributes) (reason string, ok bool) {
	if a.GetNamespace() == "" {
		return "", false
	}
	decision, reason, _ := n.near.Authorize(ctx, a) // a binding that leads to no role is told by the whole
	return reason, decision == authorizer.DecisionAllow
}

// none is no ClusterRoleBindings.
type none struct{}

func (none) ListClusterRoleBindings(context.Context) ([]*rbacv1.ClusterRoleBinding, error) {
	return nil, nil
}
