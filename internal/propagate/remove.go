package propagate

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// delete is idempotent. With the UID as a precondition it cannot hit a
// namesake.
func (t *task) delete(ctx context.Context, uid types.UID) error {
	background := metav1.DeletePropagationBackground
	err := t.objects().Delete(ctx, t.key.Name, metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid},
		PropagationPolicy: &background,
	})
	switch {
	case err == nil, apierrors.IsNotFound(err):
		t.note(nil)
		return nil // the watch says when it is gone
	case apierrors.IsConflict(err):
		return waiting{"a newer version of the object to delete"}
	}
	return t.refused("delete", err)
}

// holdsOthers says whether deleting an object deletes what others made: what is
// in a Namespace, the custom resources of a CRD.
func holdsOthers(gr schema.GroupResource) bool { return isNamespace(gr) || isCRD(gr) }

// release lets go of an object, which stays as it is: a Namespace or CRD that was in the
// member before the hub managed it, as there may be more to it than the hub put there, or
// anything in a member that leaves with its workloads.
func (t *task) release(ctx context.Context) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":         t.rec.seen.uid,
		"labels":      map[string]any{v1alpha1.LabelManaged: nil},
		"annotations": map[string]any{v1alpha1.AnnotationOrigin: nil, v1alpha1.AnnotationAdopted: nil, v1alpha1.AnnotationRevision: nil},
	}})
	if err != nil {
		return fmt.Errorf("encode the release of %s: %w", t.key, err)
	}
	_, err = t.objects().Patch(ctx, t.key.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return t.refused("release", err)
	}
	t.note(nil)
	return nil
}

// insideDeletedNamespace says whether the member is deleting the object anyway.
func (t *task) insideDeletedNamespace() bool {
	if t.key.Namespace == "" {
		return false
	}
	return t.member.get(Key{GR: namespaces(), Name: t.key.Namespace}).seen.deleting
}

// mayPrune says whether the deletion of a held object was approved.
func (m *member) mayPrune(key Key, uid types.UID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return uid != "" && m.approved[key] == uid
}

func namespaces() schema.GroupResource { return schema.GroupResource{Resource: "namespaces"} }
