package kinds

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Who makes endpoints in a cluster, and the label by which they say so.
const (
	labelEndpoints     = "endpoints.kubernetes.io/managed-by"
	endpointController = "endpoint-controller"
	sliceController    = "endpointslice-controller.k8s.io"
	mirrorController   = "endpointslicemirroring-controller.k8s.io"
)

// ManagedSelector selects by labels, among a member's objects of a resource, those that a
// hub put there. What controllers of Kubernetes' own make with all labels of another
// object is not among them: it is no hub's, and there may be much of it.
func ManagedSelector(gr schema.GroupResource) string {
	managed := v1alpha1.LabelManaged + "=true"
	switch gr {
	case schema.GroupResource{Resource: "endpoints"}:
		return managed + "," + labelEndpoints + "!=" + endpointController
	case schema.GroupResource{Group: "discovery.k8s.io", Resource: "endpointslices"}:
		return managed + "," + discoveryv1.LabelManagedBy + " notin (" + sliceController + "," + mirrorController + ")"
	}
	return managed
}
