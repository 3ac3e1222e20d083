package fleet

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// events says what happens to a Cluster, on the Cluster.
type events struct{ record.EventRecorder }

// health says what a changed verdict means.
func (e events) health(c *v1alpha1.Cluster, h health) {
	kind := corev1.EventTypeWarning
	if h.ok() {
		kind = corev1.EventTypeNormal
	}
	e.Event(c, kind, h.reason, h.message)
}

// failedOver says that a cluster counts as lost from now on, or that it would if the
// hub were not cut off. c is the Cluster as it was before.
func (e events) failedOver(c *v1alpha1.Cluster, now *metav1.Condition) {
	before := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionFailedOver)
	if now == nil || now.Reason != v1alpha1.ReasonLost && now.Reason != v1alpha1.ReasonCutOff || before != nil && before.Reason == now.Reason {
		return
	}
	e.Event(c, corev1.EventTypeWarning, now.Reason, now.Message)
}

func (e events) restored(c *v1alpha1.Cluster) {
	e.Event(c, corev1.EventTypeWarning, "HubRestored",
		"a later run of the hub than its database knows wrote here: the hub was restored from an older copy. What it knows is restored to what it was then; what was created since is left as it is, see the condition DeletionsHeld. Try: hanse status")
}

// held says that deletions are held back in a cluster from now on. c is the Cluster
// as it was before.
func (e events) held(c *v1alpha1.Cluster, now *metav1.Condition) {
	if now == nil || now.Status != metav1.ConditionTrue || meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionDeletionsHeld) {
		return
	}
	e.Event(c, corev1.EventTypeWarning, v1alpha1.ConditionDeletionsHeld, now.Message)
}

func (e events) rotated(c *v1alpha1.Cluster, cred access.Credential) {
	e.Event(c, corev1.EventTypeNormal, "CredentialRotated", "the hub has a new credential, which is valid until "+cred.Expires.UTC().Format("2006-01-02 15:04 MST"))
}

func (e events) rotationFailed(c *v1alpha1.Cluster, cred access.Credential, err error) {
	e.Event(c, corev1.EventTypeWarning, "CredentialRotationFailed", fmt.Sprintf("the hub's credential, which is valid until %s, cannot be replaced: %s",
		cred.Expires.UTC().Format("2006-01-02 15:04 MST"), access.OneLine(err.Error())))
}

func (e events) roleOutdated(c *v1alpha1.Cluster, err error) {
	e.Event(c, corev1.EventTypeWarning, "RoleOutdated", fmt.Sprintf("%s. Try: hanse join %s --kubeconfig FILE again", access.OneLine(err.Error()), c.Name))
}

func (e events) labelsRefused(c *v1alpha1.Cluster, why string) {
	e.Event(c, corev1.EventTypeWarning, "LabelsRefused", "the labels for its provider, region and zones cannot be written, so policies that select by them may miss it: "+why)
}

func (e events) withdrawFailed(c *v1alpha1.Cluster, stay bool, err error) {
	what := "not all workloads are deleted yet: "
	if stay {
		what = "some workloads keep the label " + v1alpha1.LabelManaged + " and annotations of the hub, which do no harm: "
	}
	e.Event(c, corev1.EventTypeWarning, "WithdrawFailed", what+access.OneLine(err.Error()))
}

func (e events) left(c *v1alpha1.Cluster, withdrawn bool, how string) {
	what := "its workloads were left running"
	if withdrawn {
		what = "its workloads were deleted"
	}
	e.Event(c, corev1.EventTypeNormal, LeaveDone, "the cluster has left; "+what+"; "+how)
}

func (e events) leftBehind(c *v1alpha1.Cluster, message string) {
	e.Event(c, corev1.EventTypeWarning, LeaveBehind, message)
}
