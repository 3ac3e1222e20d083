package propagate

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// create makes the object in the member: one POST.
func (t *task) create(ctx context.Context) error {
	if t.template.finished() {
		t.forgetMe()
		return nil
	}
	if _, known := t.skip(); !known {
		return waiting{"the member's autoscalers"}
	}
	desired, err := t.desired(t.origin(), false)
	if err != nil {
		return err
	}
	made, err := t.objects().Create(ctx, &unstructured.Unstructured{Object: desired}, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	switch {
	case err == nil:
		gone := t.rec.left != nil
		t.settleWritten(made, desired)
		if isNamespace(t.key.GR) {
			t.namespaceChanged(t.key)
		}
		if gone {
			t.tell(corev1.EventTypeWarning, reasonDrift, "was deleted in the cluster, made again")
		} else {
			t.tellRestored("was gone from the cluster, made again")
		}
		return nil
	case apierrors.IsAlreadyExists(err):
		return t.meetExisting(ctx)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return waiting{"namespace " + t.key.Namespace + " in the member, which is being deleted"}
	case apierrors.IsNotFound(err):
		return t.awaitDependency(err)
	}
	return t.refused("create", err)
}

// finished says whether making the object again would do work again that the hub knows
// to be done.
func (t *template) finished() bool {
	status, _ := t.obj.Object["status"].(map[string]any)
	switch t.key.GR {
	case jobs():
		return jobEnds(status, "Complete", "Failed")
	case schema.GroupResource{Resource: "pods"}:
		return status["phase"] == string(corev1.PodSucceeded) || status["phase"] == string(corev1.PodFailed)
	}
	return false
}

// awaitDependency is for a write that came before the namespace it is in, or
// before the member serves its kind.
func (t *task) awaitDependency(err error) error {
	if t.key.Namespace == "" {
		t.refreshSoon()
		return waiting{t.key.GR.String() + " to be served"}
	}
	ns := Key{GR: namespaces(), Name: t.key.Namespace}
	if template, known := t.engine.template(ns); template != nil || !known {
		t.queue.Add(ns)
		return waiting{"namespace " + t.key.Namespace}
	}
	return t.refused("create", err)
}

// settleWritten is settle after a write.
func (t *task) settleWritten(obj *unstructured.Unstructured, desired map[string]any) {
	t.settle(obj, desired)
	t.member.update(t.key, func(r *record) { r.wrote = obj.GetUID() })
}

// settle remembers obj, the member's answer to a write, as what the hub wants.
// Whatever admission in the member made of it is thereby accepted: writing it
// again would not change it.
func (t *task) settle(obj *unstructured.Unstructured, desired map[string]any) {
	now := t.engine.observe(t.key, obj)
	dropped := t.droppedFrom(obj, desired)
	var rest *kept
	if len(t.skipped)+len(dropped) > 0 {
		rest = &kept{skipped: t.skipped, dropped: dropped, schema: t.schemaOf(t.key.GR)}
	}
	t.member.update(t.key, func(r *record) {
		r.setFault(nil)
		r.held = ""
		r.left = &left{desired: desired, target: t.target(), hash: now.hash, kept: rest}
		if r.seen.uid == now.uid && r.seen.rv > now.rv {
			return // a later version was seen meanwhile; it is compared by its hash
		}
		if now.status == nil {
			now.status = r.seen.status
		}
		r.seen = now
		r.live = nil
	})
	t.tellDropped(dropped)
	t.engine.statusSoon(t.key)
	t.engine.changes.notify(t.key)
}

// tell makes an event about the object, at the hub and in the member.
func (t *task) tell(kind, reason, what string) {
	r := t.engine.resource(t.key.GR)
	if r == nil || t.template == nil {
		return
	}
	ref := &corev1.ObjectReference{APIVersion: r.gvk.GroupVersion().String(), Kind: r.gvk.Kind, Namespace: t.key.Namespace, Name: t.key.Name}
	there := ref.DeepCopy()
	ref.UID = t.template.uid
	there.UID = t.member.get(t.key).seen.uid
	t.engine.events.event(ref, kind, reason, t.member.name+": "+what)
	t.events.event(there, kind, reason, what+" (this object is managed by the federation's hub)")
}
