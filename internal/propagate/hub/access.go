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
)

// MayPatchCluster asks the hub's authorizer whether somebody may patch a Cluster. status is that of the answer over HTTP if
// not, or if nobody knows.
func MayPatchCluster(ctx context.Context, hub dynamic.Interface, who user.Info, cluster string) (status int, err error) {
	extra := map[string]authorizationv1.ExtraValue{}
	for k, v := range who.GetExtra() {
		extra[k] = v
	}
	gv := v1alpha1.GroupVersion()
	review := &authorizationv1.SubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authorizationv1.SchemeGroupVersion.String(), Kind: "SubjectAccessReview"},
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: who.GetName(), UID: who.GetUID(), Groups: who.GetGroups(), Extra: extra,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "patch", Group: gv.Group, Version: gv.Version, Resource: "clusters", Name: cluster},
		},
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(review)
	if err != nil {
		return http.StatusInternalServerError, fmt.Errorf("encode the question whether %s may patch cluster %s: %w", who.GetName(), cluster, err)
	}
	reviews := schema.GroupVersionResource{Group: authorizationv1.GroupName, Version: "v1", Resource: "subjectaccessreviews"}
	answer, err := hub.Resource(reviews).Create(ctx, &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
	if err != nil {
		return http.StatusServiceUnavailable, fmt.Errorf("the hub cannot say whether %s may patch cluster %s: %w. Try: again in a moment", who.GetName(), cluster, err)
	}
	if allowed, _, _ := unstructured.NestedBool(answer.Object, "status", "allowed"); !allowed {
		return http.StatusForbidden, fmt.Errorf("%s may not patch cluster %s, which is needed to see and to approve of what is held there. Try: as an administrator of the hub", who.GetName(), cluster)
	}
	return 0, nil
}
