package admission

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// right is one that somebody has to have at the hub.
type right struct {
	verb      string
	resource  schema.GroupResource // either part may be *
	namespace string               // empty: all of them, or it is of what is in none
	name      string               // empty: all
}

// String is the right as kubectl auth can-i has it: update deployments.apps in namespace shop.
func (r right) String() string {
	s := r.verb + " " + r.resource.String()
	if r.name != "" {
		s += " " + r.name
	}
	if r.namespace != "" {
		return s + " in namespace " + r.namespace
	}
	if r.name != "" || r.resource.Group == v1alpha1.GroupVersion().Group {
		return s // it is in none
	}
	return s + " in all namespaces"
}

// whoCan says who can give the right.
func (r right) whoCan() string {
	if r.namespace != "" {
		return fmt.Sprintf("somebody who has that right and may create rolebindings in namespace %s, such as an administrator of the hub, can give it by a Role with this verb", r.namespace)
	}
	return "an administrator of the hub can give it by a ClusterRole with this verb and a ClusterRoleBinding"
}

// has asks the hub's authorizer whether the author of a request has a right. What fails is no right.
func (p *Plugin) has(ctx context.Context, a admission.Attributes, r right) bool {
	decision, _, err := p.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: a.GetUserInfo(), Verb: r.verb, APIGroup: r.resource.Group, APIVersion: "*", Resource: r.resource.Resource,
		Namespace: r.namespace, Name: r.name, ResourceRequest: true,
	})
	return err == nil && decision == authorizer.DecisionAllow
}

// need is an error that says why somebody needs a right that they do not have, nil if they do.
func (p *Plugin) need(ctx context.Context, a admission.Attributes, r right, why string) error {
	if p.has(ctx, a, r) {
		return nil
	}
	return fmt.Errorf("%s, and user %q may not %s. Try: %s", why, a.GetUserInfo().GetName(), r, r.whoCan())
}
