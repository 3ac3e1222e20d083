package propagate

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

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

// release lets go of a Namespace or CRD that was in the member before the hub
// managed it: there may be more to it than the hub put there.
func (t *task) release(ctx context.Context) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":         t.rec.seen.uid,
		"labels":      map[string]any{v1alpha1.LabelManaged: nil},
		"annotations": map[string]any{v1alpha1.AnnotationOrigin: nil, v1alpha1.AnnotationAdopted: nil},
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

// pruneApproved lets the deletions go on that are held in the member now, if
// they are no more than were approved.
func (e *Engine) pruneApproved(name string) {
	e.mu.RLock()
	m, c := e.members[name], e.clusters[name]
	e.mu.RUnlock()
	if m == nil || c == nil {
		return
	}
	m.mu.Lock()
	var held []Key
	for k, r := range m.records {
		if r.held != "" {
			held = append(held, k)
		}
	}
	if len(held) > c.prune {
		held = nil // more than somebody looked at
	}
	for _, k := range held {
		m.approved[k] = m.records[k].seen.uid
	}
	m.version++
	m.mu.Unlock()
	m.enqueue(held...)
	e.clearApproval(name)
}

// clearApproval takes the approval off the Cluster: it was for what was held
// then, and the next one has to be seen as new even if the number is the same.
func (e *Engine) clearApproval(name string) {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null}}}`, v1alpha1.AnnotationPrune)
	e.mu.RLock()
	ctx := e.running
	e.mu.RUnlock()
	go func() {
		_, err := e.hub.Resource(v1alpha1.Resource("clusters")).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
		if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "The approval of deletions could not be taken off", "cluster", name)
		}
	}()
}

func namespaces() schema.GroupResource { return schema.GroupResource{Resource: "namespaces"} }
