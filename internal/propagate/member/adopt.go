package member

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// adopt decides about an object that this hub did not make, or cannot be sure to have made.
func (v *view) adopt() step {
	read, missing := v.getting()
	if missing {
		return read
	}
	m := madeOf(v.want)
	desired, err := m.object(v.cluster, v.origin(), true)
	if err != nil {
		return step{err: err}
	}
	wanted := fieldmerge.Wanted(desired, v.live.Object, fieldmerge.ReadOwners(v.live, v1alpha1.FieldManager))
	body, _ := fieldmerge.Patch(v.live.Object, wanted)
	s := step{verb: patch, body: body, wanted: desired, made: m, first: v.rec.left == nil, adopts: true}
	how := v.want.Object.GetAnnotations()[v1alpha1.AnnotationConflict]
	switch {
	case v.live.GetDeletionTimestamp() != nil:
		return waits("an object of the same name, which is being deleted")
	case how == v1alpha1.ConflictOverwrite: // what the hub does not set is taken out
		s.verb, s.body = replace, runtime.DeepCopyJSON(desired)
		(&unstructured.Unstructured{Object: s.body}).SetResourceVersion(v.live.GetResourceVersion())
		return s
	case body == nil: // it is all that the hub wants, mark and all
		return v.settle(s, v.live, false)
	case how == v1alpha1.ConflictAdopt, v.key.GR == template.Namespaces(), onlyMarks(body), onlyCount(v.live, body):
		setVersion(s.body, v.live)
		return v.sealed(s)
	}
	return v.conflict(body)
}

// onlyMarks says whether a patch changes nothing but the hub's own label and annotations: the object is what the hub wants.
func onlyMarks(patch map[string]any) bool {
	for _, path := range fieldmerge.Paths(patch) {
		switch path {
		case "metadata.labels." + v1alpha1.LabelManaged,
			"metadata.annotations." + v1alpha1.AnnotationOrigin,
			"metadata.annotations." + v1alpha1.AnnotationAdopted:
		default:
			if !marksOnly(patch) {
				return false
			}
		}
	}
	return true
}

// onlyCount says whether, beside the hub's own label and annotations, a patch changes nothing but the number of replicas that a
// hub gave an object before it let go of it: a cluster that left and is back is given another number, as a rule.
func onlyCount(live *unstructured.Unstructured, patch map[string]any) bool {
	spec, _ := patch["spec"].(map[string]any)
	_, count := spec["replicas"]
	_, marked := live.GetAnnotations()[v1alpha1.AnnotationOrigin]
	if !count || len(spec) > 1 || marked || !fieldmerge.ReadOwners(live, v1alpha1.FieldManager).Mine("spec", "replicas") {
		return false
	}
	rest := maps.Clone(patch)
	delete(rest, "spec")
	return onlyMarks(rest)
}

// marksOnly is onlyMarks for an object that had no labels or annotations at all, which a patch then sets as a whole.
func marksOnly(patch map[string]any) bool {
	meta, ok := patch["metadata"].(map[string]any)
	if !ok || len(patch) != 1 {
		return false
	}
	for _, v := range meta {
		entries, ok := v.(map[string]any)
		if !ok {
			return false
		}
		for key := range entries {
			if key != v1alpha1.LabelManaged && key != v1alpha1.AnnotationOrigin && key != v1alpha1.AnnotationAdopted {
				return false
			}
		}
	}
	return true
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
		by, differences(patch), v1alpha1.AnnotationConflict, v1alpha1.ConflictAdopt, v1alpha1.ConflictOverwrite)}
	s := step{err: err, again: lookAtConflicts}
	if f := v.rec.fault(); f == nil || !f.Conflict {
		s.tell = []news{{eventType: corev1.EventTypeWarning, reason: ReasonConflict, message: err.Error()}}
	}
	return s
}

// lookAtConflicts is how often an object is looked at that is in the way.
const lookAtConflicts = 30 * time.Second

// namedDifferences is how many fields a conflict names.
const namedDifferences = 3

// differences names the fields that a patch would change, without the hub's own labels and annotations, which no object that it
// has not made has.
func differences(patch map[string]any) string {
	paths := slices.DeleteFunc(fieldmerge.Paths(patch), func(path string) bool {
		for _, of := range []string{"metadata.labels.", "metadata.annotations."} {
			if key, ok := strings.CutPrefix(path, of); ok && strings.HasPrefix(key, v1alpha1.GroupVersion().Group+"/") {
				return true
			}
		}
		return false
	})
	switch {
	case len(paths) == 0:
		return "its content"
	case len(paths) > namedDifferences:
		return strings.Join(paths[:namedDifferences], ", ") + ", …"
	}
	return strings.Join(paths, ", ")
}

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
