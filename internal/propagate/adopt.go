package propagate

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
)

// conflictError is an object that was in the member before, and differs.
type conflictError struct{ message string }

func (c conflictError) Error() string { return c.message }

// As lets errors.As find it by type alone.
func (c conflictError) As(target any) bool {
	_, ok := target.(*conflictError)
	return ok
}

// meetExisting is for an object that is there although no watch has shown it:
// somebody else made it, or took our label off, or the watch lags.
func (t *task) meetExisting(ctx context.Context) error {
	live, err := t.objects().Get(ctx, t.key.Name, metav1.GetOptions{})
	if err != nil {
		return t.getFailed(err)
	}
	t.rec.seen, t.rec.live = t.engine.observe(t.key, live), live
	if t.rec.seen.deleting {
		return waiting{"an object of the same name, which is being deleted"}
	}
	if t.rec.seen.ours(t.engine.hubUID) {
		if err := t.takeTurn(); err != nil {
			return err
		}
	}
	return t.act(ctx, true)
}

// adopt decides about an object that this hub did not make, or cannot be sure to have
// made.
func (t *task) adopt(ctx context.Context) error {
	desired, err := t.desired(t.origin(), true)
	if err != nil {
		return err
	}
	live := t.rec.live
	if live == nil {
		if live, err = t.objects().Get(ctx, t.key.Name, metav1.GetOptions{}); err != nil {
			return t.getFailed(err)
		}
	}
	wanted := fieldmerge.Wanted(desired, live.Object, fieldmerge.ReadOwners(live, v1alpha1.FieldManager))
	patch, _ := fieldmerge.Patch(live.Object, wanted)
	how := t.template.obj.GetAnnotations()[v1alpha1.AnnotationConflict]
	switch {
	case live.GetDeletionTimestamp() != nil:
		return waiting{"an object of the same name, which is being deleted"}
	case how == v1alpha1.ConflictOverwrite:
		return t.overwrite(ctx, live, desired)
	case patch == nil: // it is all that the hub wants, mark and all
		t.settle(live, desired)
		return nil
	case how == v1alpha1.ConflictAdopt, isNamespace(t.key.GR), onlyMarks(patch), onlyCount(live, patch):
		setVersion(patch, live)
		if err := t.patch(ctx, patch, desired, nil); err != nil {
			return err
		}
		t.tell(corev1.EventTypeNormal, reasonAdopted, "was there before, managed from now on")
		return nil
	}
	return t.conflict(live, patch)
}

// onlyMarks says whether a patch changes nothing but the hub's own label and
// annotations: the object is what the hub wants.
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

// onlyCount says whether, beside the hub's own label and annotations, a patch changes
// nothing but the number of replicas that a hub gave an object before it let go of it: a
// cluster that left and is back is given another number, as a rule.
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

// marksOnly is onlyMarks for an object that had no labels or annotations at
// all, which a patch then sets as a whole.
func marksOnly(patch map[string]any) bool {
	if len(patch) != 1 {
		return false
	}
	meta, ok := patch["metadata"].(map[string]any)
	if !ok {
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

func (t *task) conflict(live *unstructured.Unstructured, patch map[string]any) error {
	by := "was made in the cluster, not by this hub"
	if mark, ok := readMark(t.key, live); ok {
		by = "was made by this hub for an earlier object, and has been restored"
		if mark.Origin.Hub != t.engine.hubUID {
			by = "was made by another hub"
		}
	}
	err := conflictError{fmt.Sprintf("an object of that name %s and differs (%s). Try: annotate the object at the hub with %s=%s to set the federation's fields in it, or =%s to replace it",
		by, differences(patch), v1alpha1.AnnotationConflict, v1alpha1.ConflictAdopt, v1alpha1.ConflictOverwrite)}
	if t.rec.fault == nil || !t.rec.fault.conflict {
		t.tell(corev1.EventTypeWarning, reasonConflict, err.Error())
	}
	// It is not watched (it lacks the label), so it is looked at from time to
	// time: it may be deleted or made equal.
	t.queue.AddAfter(t.key, longestRetry)
	return err
}

// overwrite replaces the object: what the hub does not set is taken out.
func (t *task) overwrite(ctx context.Context, live *unstructured.Unstructured, desired map[string]any) error {
	obj := &unstructured.Unstructured{Object: desired}
	obj = obj.DeepCopy()
	obj.SetResourceVersion(live.GetResourceVersion())
	made, err := t.objects().Update(ctx, obj, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return waiting{"a newer version of the object to replace"}
	case err != nil:
		return t.refused("replace", err)
	}
	t.settleWritten(made, desired)
	t.tell(corev1.EventTypeWarning, reasonOverwritten, "was there before, replaced as annotation "+v1alpha1.AnnotationConflict+" says")
	return nil
}

// replaceNamesake is for an object that was made from a template of the same
// name that was deleted at the hub: a new one took its place. As in a single
// cluster, the old object goes and a new one is made.
func (t *task) replaceNamesake(ctx context.Context) error {
	if t.rec.seen.deleting {
		return waiting{"the object's predecessor to be deleted"}
	}
	if err := t.delete(ctx, t.rec.seen.uid); err != nil {
		return err
	}
	return waiting{"the object's predecessor to be deleted"}
}
