// Package admission refuses what the API server's authorization cannot see: that somebody writes one object by another. A
// policy's overrides change objects of other kinds, an annotation has the hub take over what is in a member, a Cluster says
// where a credential is sent. Whoever writes such an object needs the right, as they themselves at the hub, to do by hand
// what the hub would do for them. docs/security.md has the list.
//
// It is an admission plugin of the hub's API server. It asks the hub's authorizer, which answers from memory, and only about
// objects in which such a field has changed. What kinds are called in requests is asked of discovery, which is cached, and
// only for overrides. system:masters, and with it the hub itself, may do everything by the authorizer's own rule.
package admission

import (
	"context"
	"errors"
	"io"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/informers"
	rbacregistry "k8s.io/kubernetes/pkg/registry/rbac/validation"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Name of the plugin.
const Name = "HanseSteering"

// Plugin is the admission plugin.
type Plugin struct {
	*admission.Handler
	authorizer authorizer.UnconditionalAuthorizer
	mapper     meta.RESTMapper
	rules      rbacregistry.AuthorizationRuleResolver
	marks      []mark
	// residencies are those at the hub.
	residencies func(context.Context) ([]unstructured.Unstructured, error)
}

var (
	_ admission.ValidationInterface                = &Plugin{}
	_ initializer.WantsUnconditionalAuthorizer     = &Plugin{}
	_ initializer.WantsRESTMapper                  = &Plugin{}
	_ initializer.WantsExternalKubeInformerFactory = &Plugin{}
	_ initializer.WantsExternalKubeClientSet       = &Plugin{}
)

// New makes a plugin that the API server has yet to initialize. It has no configuration.
func New(io.Reader) (admission.Interface, error) {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete), marks: steered()}, nil
}

// SetUnconditionalAuthorizer is called by the API server.
func (p *Plugin) SetUnconditionalAuthorizer(a authorizer.UnconditionalAuthorizer) { p.authorizer = a }

// SetRESTMapper is called by the API server.
func (p *Plugin) SetRESTMapper(m meta.RESTMapper) { p.mapper = m }

// SetExternalKubeInformerFactory is called by the API server, whose own authorizer has these informers run.
func (p *Plugin) SetExternalKubeInformerFactory(f informers.SharedInformerFactory) {
	in := f.Rbac().V1()
	p.rules = rbacregistry.NewDefaultRuleResolver(
		&rbac.RoleGetter{Lister: in.Roles().Lister()}, &rbac.RoleBindingLister{Lister: in.RoleBindings().Lister()},
		&rbac.ClusterRoleGetter{Lister: in.ClusterRoles().Lister()}, &rbac.ClusterRoleBindingLister{Lister: in.ClusterRoleBindings().Lister()},
	)
}

// ValidateInitialization is called by the API server.
func (p *Plugin) ValidateInitialization() error {
	if p.authorizer == nil || p.mapper == nil || p.rules == nil || p.residencies == nil {
		return errors.New(Name + " has no authorizer, RESTMapper, rules or client")
	}
	return nil
}

// Validate refuses a request whose author lacks a right.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetOperation() == admission.Delete {
		if a.GetResource().GroupResource() == v1alpha1.Resource("residencies").GroupResource() {
			tellChange(ctx, a)
		}
		return refused(a, p.deletion(ctx, a))
	}
	if err := keptNames(a); err != nil {
		return refused(a, err)
	}
	if err := p.steering(ctx, a); err != nil {
		return refused(a, err)
	}
	if a.GetResource().GroupResource() == (schema.GroupResource{Resource: "namespaces"}) {
		return refused(a, p.namespace(ctx, a))
	}
	if a.GetResource().Group != v1alpha1.GroupVersion().Group {
		return nil
	}
	after, ok := a.GetObject().(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	before, _ := a.GetOldObject().(*unstructured.Unstructured)
	var err error
	switch a.GetResource().Resource {
	case "placementpolicies", "clusterplacementpolicies":
		err = p.policy(ctx, a, before, after)
	case "residencies":
		if err = residency(a, before, after); err == nil && !sameField(before, after, "spec") {
			tellChange(ctx, a)
		}
	case "clusters":
		err = p.cluster(ctx, a, before, after)
	case "organizations":
		err = p.organization(ctx, a, before, after)
	case "workspaces":
		err = p.workspace(ctx, a, before, after)
	}
	return refused(a, err)
}

// deletion refuses to whom it would loosen a bound.
func (p *Plugin) deletion(ctx context.Context, a admission.Attributes) error {
	before, ok := a.GetOldObject().(*unstructured.Unstructured)
	if !ok || a.GetResource().Group != v1alpha1.GroupVersion().Group {
		return nil
	}
	switch a.GetResource().Resource {
	case "organizations":
		return p.organization(ctx, a, before, nil)
	case "workspaces":
		return p.workspace(ctx, a, before, nil)
	}
	return nil
}

// refused is err as an API server says it, nil for nil.
func refused(a admission.Attributes, err error) error {
	if err == nil {
		return nil
	}
	return admission.NewForbidden(a, err)
}

// sameField says whether a field of two objects is the same, also if neither has it. before may be nil.
func sameField(before, after *unstructured.Unstructured, path ...string) bool {
	is, _, _ := unstructured.NestedFieldNoCopy(after.Object, path...)
	if before == nil {
		return is == nil
	}
	was, _, _ := unstructured.NestedFieldNoCopy(before.Object, path...)
	return reflect.DeepEqual(was, is)
}
