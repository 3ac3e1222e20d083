package member

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/propagate/desired"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// adopt decides about an object that this hub did not make, or cannot be sure to have made.
func (v *view) adopt() step {
	read, missing := v.getting()
	if missing {
		return read
	}
	m := desired.Of(v.want)
	desired, err := m.Object(v.cluster, v.origin(), true)
	if err != nil {
		return step{err: err}
	}
	how := v.want.Object.GetAnnotations()[v1alpha1.AnnotationConflict]
	var left []string
	if v.key.GR == template.Namespaces() {
		if !v.mayTakeOver() {
			return v.strange()
		}
		desired, left = adoption.Namespace(desired, v.live, how != "")
		how = "" // whatever it says, nothing of others' goes
	}
	wanted := fieldmerge.Wanted(desired, v.live.Object, fieldmerge.ReadOwners(v.live, v1alpha1.FieldManager))
	body, _ := fieldmerge.Patch(v.live.Object, wanted)
	s := step{verb: patch, body: body, wanted: desired, made: m, first: v.rec.left == nil, adopts: true, spared: left}
	switch {
	case v.live.GetDeletionTimestamp() != nil:
		return waits("an object of the same name, which is being deleted")
	case how == v1alpha1.ConflictOverwrite: // what the hub does not set is taken out
		s.verb, s.body = replace, runtime.DeepCopyJSON(desired)
		(&unstructured.Unstructured{Object: s.body}).SetResourceVersion(v.live.GetResourceVersion())
		return s
	case body == nil: // it is all that the hub wants, mark and all
		return v.settle(s, v.live, false)
	case how == v1alpha1.ConflictAdopt, v.key.GR == template.Namespaces(), adoption.OnlyMarks(body), adoption.OnlyCount(v.live, body):
		setVersion(s.body, v.live)
		return v.sealed(s)
	}
	return v.conflict(body)
}

// conflict is for an object that differs, which nobody has allowed to be changed. No watch may show it (it lacks the label),
// so it is looked at from time to time: it may be deleted or made equal.
func (v *view) conflict(patch map[string]any) step {
	by := "was created in the cluster, not by this hub"
	if mark, ok := readMark(v.key, v.live); ok {
		by = "was created by this hub for an earlier object, and has been restored"
		if mark.Origin.Hub != v.hub {
			by = "was created by another hub"
		}
	}
	err := conflictError{fmt.Sprintf("an object of that name %s and differs (%s). Try: annotate the object at the hub with %s=%s to set the federation's fields in it, or =%s to replace it",
		by, adoption.Differences(patch), v1alpha1.AnnotationConflict, v1alpha1.ConflictAdopt, v1alpha1.ConflictOverwrite)}
	return v.stopped(err)
}

// stopped is a step that ends with a conflict, which is told once and looked at from time to time.
func (v *view) stopped(err conflictError) step {
	s := step{err: err, again: lookAtConflicts}
	if f := v.rec.fault(); f == nil || !f.Conflict {
		s.tell = []news{{eventType: corev1.EventTypeWarning, reason: ReasonConflict, message: err.Error()}}
	}
	return s
}

// lookAtConflicts is how often an object is looked at that is in the way.
const lookAtConflicts = 30 * time.Second

// release lets go of an object, which stays as it is: a Namespace or CRD that was in the member before the hub managed it, as
// there may be more to it than the hub put there, or anything in a member that leaves with its workloads.
func (v *view) release() step {
	uid := v.rec.seen.uid
	return step{verb: release, uid: uid, body: map[string]any{"metadata": map[string]any{
		"uid":         string(uid),
		"labels":      map[string]any{v1alpha1.LabelManaged: nil},
		"annotations": map[string]any{v1alpha1.AnnotationOrigin: nil, v1alpha1.AnnotationAdopted: nil, v1alpha1.AnnotationRevision: nil},
	}}}
}
