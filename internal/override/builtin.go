package override

import (
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// builtinKinds are the kinds of Kubernetes that are merged with regard to what
// identifies the items of their lists. It is made once, and not written again.
var builtinKinds = sync.OnceValues(func() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	groups := runtime.NewSchemeBuilder(
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, autoscalingv1.AddToScheme, autoscalingv2.AddToScheme,
		policyv1.AddToScheme, networkingv1.AddToScheme, discoveryv1.AddToScheme, rbacv1.AddToScheme, schedulingv1.AddToScheme,
		storagev1.AddToScheme, nodev1.AddToScheme, admissionregistrationv1.AddToScheme,
	)
	return s, groups.AddToScheme(s)
})

// builtin is an empty object of a kind of Kubernetes; ok is false for others.
func builtin(apiVersion, kind string) (empty runtime.Object, ok bool) {
	s, err := builtinKinds()
	if err != nil {
		return nil, false
	}
	empty, err = s.New(schema.FromAPIVersionAndKind(apiVersion, kind))
	return empty, err == nil
}
