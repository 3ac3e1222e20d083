package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// PathHeld, followed by the name of a Cluster, is what is held there: GET answers with a HeldList, POST
// takes one as the approval of what is in it and answers with an Approval. Both want the right to
// patch that Cluster. The worst that somebody can do who has it is to have objects deleted that came
// from a hub and that this one has no use for; hanse unjoin does more.
const PathHeld = "/hanse/held/"

// largestApproval bounds the body of a POST, in bytes: a HeldList of longestHeldList items, whose names have
// 253 characters at most, is well below.
const largestApproval = 8 << 20

func serveHeld(e *Engine, w http.ResponseWriter, r *http.Request) (status int, err error) {
	cluster := strings.TrimPrefix(r.URL.Path, PathHeld)
	who, ok := request.UserFrom(r.Context())
	if !ok {
		return http.StatusForbidden, fmt.Errorf("nobody is known to ask")
	}
	if status, err := e.mayPatchCluster(r.Context(), who, cluster); err != nil {
		return status, err
	}
	var answer any
	switch r.Method {
	case http.MethodGet:
		answer, err = e.Held(cluster, longestHeldList)
	case http.MethodPost:
		answer, err = e.approve(w, r, who, cluster)
	default:
		return http.StatusMethodNotAllowed, fmt.Errorf("%s takes a GET or a POST", PathHeld)
	}
	if err != nil {
		return http.StatusUnprocessableEntity, err
	}
	w.Header().Set("Content-Type", "application/json")
	return 0, json.NewEncoder(w).Encode(answer)
}

func (e *Engine) approve(w http.ResponseWriter, r *http.Request, who user.Info, cluster string) (Approval, error) {
	var list HeldList
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestApproval)).Decode(&list); err != nil {
		return Approval{}, fmt.Errorf("the list cannot be read: %w", err)
	}
	switch {
	case list.Cluster != cluster:
		return Approval{}, fmt.Errorf("the list is that of cluster %q, not of %s. Try: hanse prune %s", list.Cluster, cluster, cluster)
	case len(list.Items) > longestHeldList:
		return Approval{}, fmt.Errorf("the list has %d objects, more than %d. Try: those first, then the others", len(list.Items), longestHeldList)
	}
	approval, err := e.Approve(list)
	if err == nil {
		klog.FromContext(r.Context()).Info("Deletions of held objects were approved", "cluster", cluster, "by", who.GetName(), "objects", approval.Approved, "stale", len(approval.Stale))
	}
	return approval, err
}

// mayPatchCluster asks the hub's authorizer whether somebody may patch a Cluster.
func (e *Engine) mayPatchCluster(ctx context.Context, who user.Info, cluster string) (status int, err error) {
	extra := map[string]authorizationv1.ExtraValue{}
	for k, v := range who.GetExtra() {
		extra[k] = v
	}
	review := &authorizationv1.SubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authorizationv1.SchemeGroupVersion.String(), Kind: "SubjectAccessReview"},
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: who.GetName(), UID: who.GetUID(), Groups: who.GetGroups(), Extra: extra,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: "patch", Group: v1alpha1.GroupVersion().Group, Version: v1alpha1.GroupVersion().Version, Resource: "clusters", Name: cluster,
			},
		},
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(review)
	if err != nil {
		return http.StatusInternalServerError, fmt.Errorf("encode the question whether %s may patch cluster %s: %w", who.GetName(), cluster, err)
	}
	reviews := schema.GroupVersionResource{Group: authorizationv1.GroupName, Version: "v1", Resource: "subjectaccessreviews"}
	answer, err := e.hub.Resource(reviews).Create(ctx, &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
	if err != nil {
		return http.StatusServiceUnavailable, fmt.Errorf("the hub cannot say whether %s may patch cluster %s: %w. Try: again in a moment", who.GetName(), cluster, err)
	}
	if allowed, _, _ := unstructured.NestedBool(answer.Object, "status", "allowed"); !allowed {
		return http.StatusForbidden, fmt.Errorf("%s may not patch cluster %s, which is needed to see and to approve of what is held there. Try: as an administrator of the hub", who.GetName(), cluster)
	}
	return 0, nil
}
