package fleet

import (
	"fmt"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// judge is the verdict on a member of the federation, for its status.
func judge(name, endpoint string, p access.Problem) verdict {
	v := verdict{reason: p.Reason, refused: p.Refused}
	rejoin := "Try: hanse join " + name + " --kubeconfig FILE"
	switch p.Reason {
	case v1alpha1.ReasonAuthenticationFailed:
		v.message = fmt.Sprintf("%s refuses the hub's credential (401). %s again", endpoint, rejoin)
	case v1alpha1.ReasonPermissionDenied:
		v.message = fmt.Sprintf("%s knows the hub, but forbids what it needs: %s. %s again", endpoint, p.Detail, rejoin)
	case v1alpha1.ReasonCertificateInvalid:
		v.message = fmt.Sprintf("%s cannot be trusted: %s. Try: if its CA has changed, hanse join %s --kubeconfig FILE again", endpoint, p.Detail, name)
	case v1alpha1.ReasonNotReady:
		v.message = fmt.Sprintf("%s is not ready: %s. Try: look at that cluster's control plane", endpoint, p.Detail)
	default:
		v.message = fmt.Sprintf("%s cannot be reached: %s. Try: see whether the cluster runs and the hub's network lets it through", endpoint, p.Detail)
	}
	return v
}
