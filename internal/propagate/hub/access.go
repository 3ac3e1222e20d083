package hub

import (
	"context"
	"fmt"
	"net/http"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// MayPatchCluster asks the hub's authorizer whether somebody may patch a Cluster. status is that of the answer over HTTP if
// not, or if nobody knows.
func MayPatchCluster(ctx context.Context, hub dynamic.Interface, who user.Info, cluster string) (status int, err error) {
	gv := v1alpha1.GroupVersion()
	return may(ctx, hub, who, &authorizationv1.ResourceAttributes{Verb: "patch", Group: gv.Group, Version: gv.Version, Resource: "clusters", Name: cluster},
		"patch cluster "+cluster, "which is needed to see and to approve of what is held there. Try: as an administrator of the hub")
}

// MayGet asks it whether somebody may get an object of the hub.
func MayGet(ctx context.Context, hub dynamic.Interface, who user.Info, key template.Key) (status int, err error) {
	return may(ctx, hub, who, &authorizationv1.ResourceAttributes{Verb: "get", Group: key.GR.Group, Version: "*", Resource: key.GR.Resource, Namespace: key.Namespace, Name: key.Name},
		"get "+key.Label(), "which is needed to see its history")
}

// MayListClusters asks it whether somebody may list Clusters.
func MayListClusters(ctx context.Context, hub dynamic.Interface, who user.Info) (status int, err error) {
	gv := v1alpha1.GroupVersion()
	return may(ctx, hub, who, &authorizationv1.ResourceAttributes{Verb: "list", Group: gv.Group, Version: gv.Version, Resource: "clusters"},
		"list clusters", "which is needed to see what would survive their loss")
}

// MayListResidencies asks it whether somebody may list Residencies.
func MayListResidencies(ctx context.Context, hub dynamic.Interface, who user.Info) (status int, err error) {
	gv := v1alpha1.GroupVersion()
	return may(ctx, hub, who, &authorizationv1.ResourceAttributes{Verb: "list", Group: gv.Group, Version: gv.Version, Resource: "residencies"},
		"list residencies", "which is needed to see what is where")
}

// MayAuditResidencies asks it whether somebody may see what objects are called that Residencies restrict.
func MayAuditResidencies(ctx context.Context, hub dynamic.Interface, who user.Info) (status int, err error) {
	gv := v1alpha1.GroupVersion()
	return may(ctx, hub, who, &authorizationv1.ResourceAttributes{Verb: "audit", Group: gv.Group, Version: gv.Version, Resource: "residencies"},
		"audit residencies", "which is needed to see names of objects. Try: as an administrator of the hub")
}

// MayListWorkloads asks it whether somebody may list what runs, and what answers, in all namespaces.
func MayListWorkloads(ctx context.Context, hub dynamic.Interface, who user.Info) (status int, err error) {
	for _, gr := range []schema.GroupResource{
		{Group: "apps", Resource: "deployments"}, {Group: "apps", Resource: "statefulsets"}, {Group: "batch", Resource: "jobs"}, {Resource: "pods"},
		{Resource: "services"}, {Group: "networking.k8s.io", Resource: "ingresses"}, {Group: v1alpha1.GroupVersion().Group, Resource: "globalroutes"},
		{Group: "policy", Resource: "poddisruptionbudgets"},
	} {
		status, err := may(ctx, hub, who, &authorizationv1.ResourceAttributes{Verb: "list", Group: gr.Group, Version: "*", Resource: gr.Resource},
			"list "+gr.String()+" in all namespaces", "which is needed to see their names. Try: as an administrator of the hub")
		if err != nil {
			return status, err
		}
	}
	return 0, nil
}

// may asks whether somebody may do something, which doing names; what it is good for is said to whoever may not.
func may(ctx context.Context, hub dynamic.Interface, who user.Info, attributes *authorizationv1.ResourceAttributes, doing, good string) (status int, err error) {
	extra := map[string]authorizationv1.ExtraValue{}
	for k, v := range who.GetExtra() {
		extra[k] = v
	}
	review := &authorizationv1.SubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authorizationv1.SchemeGroupVersion.String(), Kind: "SubjectAccessReview"},
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: who.GetName(), UID: who.GetUID(), Groups: who.GetGroups(), Extra: extra, ResourceAttributes: attributes,
		},
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(review)
	if err != nil {
		return http.StatusInternalServerError, fmt.Errorf("encode the question whether %s may %s: %w", who.GetName(), doing, err)
	}
	reviews := schema.GroupVersionResource{Group: authorizationv1.GroupName, Version: "v1", Resource: "subjectaccessreviews"}
	answer, err := hub.Resource(reviews).Create(ctx, &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
	if err != nil {
		return http.StatusServiceUnavailable, fmt.Errorf("the hub cannot say whether %s may %s: %w. Try: again in a moment", who.GetName(), doing, err)
	}
	if allowed, _, _ := unstructured.NestedBool(answer.Object, "status", "allowed"); !allowed {
		return http.StatusForbidden, fmt.Errorf("%s may not %s, %s", who.GetName(), doing, good)
	}
	return 0, nil
}
