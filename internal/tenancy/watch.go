package tenancy

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/watch"
)

// watch begins to watch all that a pass goes by; first is done when each has been listed once.
func (c *Controller) watch(ctx context.Context, all, first *sync.WaitGroup) {
	w := watches{Controller: c, ctx: ctx, all: all, first: first}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.organizations, c.workspaces = map[string]*unstructured.Unstructured{}, map[string]*unstructured.Unstructured{}
	c.namespaces = map[string]*corev1.Namespace{}
	begin(w, v1alpha1.Resource("organizations"), "", watch.Unstructured(), byName(c, &c.organizations))
	begin(w, v1alpha1.Resource("workspaces"), "", watch.Unstructured(), byName(c, &c.workspaces))
	begin(w, corev1.SchemeGroupVersion.WithResource("namespaces"), "", watch.Typed[*corev1.Namespace](corev1.SchemeGroupVersion.WithKind("Namespace")), byName(c, &c.namespaces))
	const made = v1alpha1.LabelTenancy + "=true"
	begin(w, rbacv1.SchemeGroupVersion.WithResource("clusterroles"), made, watch.Typed[*rbacv1.ClusterRole](rbacv1.SchemeGroupVersion.WithKind("ClusterRole")), c.roles.sink(c))
	begin(w, rbacv1.SchemeGroupVersion.WithResource("clusterrolebindings"), made, watch.Typed[*rbacv1.ClusterRoleBinding](rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding")), c.clusterWide.sink(c))
	begin(w, rbacv1.SchemeGroupVersion.WithResource("rolebindings"), made, watch.Typed[*rbacv1.RoleBinding](rbacv1.SchemeGroupVersion.WithKind("RoleBinding")), c.bindings.sink(c))
	begin(w, corev1.SchemeGroupVersion.WithResource("resourcequotas"), made, watch.Typed[*corev1.ResourceQuota](corev1.SchemeGroupVersion.WithKind("ResourceQuota")), c.quotas.sink(c))
	begin(w, v1alpha1.Resource("residencies"), made, watch.Unstructured(), c.residencies.sink(c))
}

type watches struct {
	*Controller
	ctx        context.Context
	all, first *sync.WaitGroup
}

// begin watches one resource.
func begin[O metav1.Object](w watches, resource schema.GroupVersionResource, labels string, format watch.Format[O], into watch.Sink[O]) {
	w.first.Add(1)
	var once sync.Once
	replace := into.Replace
	into.Replace = func(all []O) {
		replace(all)
		once.Do(w.first.Done)
	}
	w.all.Go(func() {
		watch.Run(w.ctx, watch.Resource[O, O]{
			Name: "tenancy/" + resource.Resource, Labels: labels, Trim: trim[O], Into: into, Clock: w.clock,
			Source: watch.REST[O]{Client: w.watched, Path: watch.Path(resource, ""), Format: format},
		})
	})
}

// trim drops what no pass asks about, which is most of an object's bytes.
func trim[O metav1.Object](o O) O {
	o.SetManagedFields(nil)
	return o
}

// byName keeps objects that are in no namespace.
func byName[O metav1.Object](c *Controller, into *map[string]O) watch.Sink[O] {
	return watch.Sink[O]{
		Replace: func(all []O) {
			now := map[string]O{}
			for _, o := range all {
				now[o.GetName()] = o
			}
			c.change(func() { *into = now })
		},
		Apply:  func(o O) { c.change(func() { (*into)[o.GetName()] = o }) },
		Remove: func(o O) { c.change(func() { delete(*into, o.GetName()) }) },
	}
}
