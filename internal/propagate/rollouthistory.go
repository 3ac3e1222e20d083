package propagate

import (
	"context"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// Earlier pod templates are kept as ControllerRevisions at the hub, in the form that
// kubectl rollout history and undo read for StatefulSets and DaemonSets; they go with
// the workload. Where no policy governs the rollout one is written when the pod
// template is replaced, so that creating a workload costs no write; where one does,
// before anything is sent, so that what a member has is never unknown.

// defaultHistoryLimit is what apps/v1 has for spec.revisionHistoryLimit.
const defaultHistoryLimit = 10

func controllerRevisions() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "controllerrevisions"}
}

// keepLater has the pod template of a template that was replaced written down.
func (r rollouts) keepLater(t *template) {
	r.mu.Lock()
	r.pending[t.key] = append(r.pending[t.key], t)
	r.mu.Unlock()
	r.queue.Add(t.key)
}

// past is an earlier pod template, nil if it is not known; loaded says whether the
// earlier ones have been read.
func (r rollouts) past(uid types.UID, revision string) (template map[string]any, loaded bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	history, loaded := r.pasts[uid]
	if entry := history.Find(revision); entry != nil {
		return entry.Template, loaded
	}
	return nil, loaded
}

// keepRevisions writes down the pod templates that were replaced and, where a policy
// governs the rollout, the one in force. Only the workload's worker calls it.
func (e *Engine) keepRevisions(ctx context.Context, t *template, r *resource) error {
	e.rollouts.mu.Lock()
	pending := e.rollouts.pending[t.key]
	e.rollouts.mu.Unlock()
	wanted := pending
	if t.governed() && !t.settled() {
		wanted = append(pending[:len(pending):len(pending)], t)
	}
	if len(wanted) == 0 {
		return nil
	}
	history, err := e.loadHistory(ctx, t)
	if err != nil {
		return err
	}
	client := e.hub.Resource(controllerRevisions()).Namespace(t.key.Namespace)
	for _, w := range wanted {
		if w.uid != t.uid {
			continue
		}
		if history, err = keepRevision(ctx, client, history, w, r.gvk); err != nil {
			return fmt.Errorf("keep a revision of %s: %w", t.key, err)
		}
	}
	if history, err = e.prune(ctx, client, history, t); err != nil {
		return fmt.Errorf("delete old revisions of %s: %w", t.key, err)
	}
	e.rollouts.mu.Lock()
	defer e.rollouts.mu.Unlock()
	e.rollouts.pasts[t.uid] = history
	if e.rollouts.pending[t.key] = e.rollouts.pending[t.key][len(pending):]; len(e.rollouts.pending[t.key]) == 0 {
		delete(e.rollouts.pending, t.key)
	}
	return nil
}

// loadHistory reads the earlier pod templates, unless they have been read.
func (e *Engine) loadHistory(ctx context.Context, t *template) (rollout.History, error) {
	e.rollouts.mu.Lock()
	history, loaded := e.rollouts.pasts[t.uid]
	e.rollouts.mu.Unlock()
	if loaded {
		return history, nil
	}
	list, err := e.hub.Resource(controllerRevisions()).Namespace(t.key.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: v1alpha1.LabelRevisionOf + "=" + string(t.uid),
	})
	if err != nil {
		return nil, fmt.Errorf("read the revisions of %s: %w", t.key, err)
	}
	for i := range list.Items {
		if entry, ok := rollout.ReadEntry(&list.Items[i]); ok {
			history = append(history, entry)
		}
	}
	history.Sort()
	e.rollouts.mu.Lock()
	e.rollouts.pasts[t.uid] = history
	e.rollouts.mu.Unlock()
	e.toMembers(t.key)
	return history, nil
}

// keepRevision puts a pod template last in the history.
func keepRevision(ctx context.Context, client dynamic.ResourceInterface, history rollout.History, t *template, kind schema.GroupVersionKind) (rollout.History, error) {
	number := history.Next(t.content.revision)
	if entry := history.Find(t.content.revision); entry != nil {
		if entry.Number == number {
			return history, nil
		}
		patch := fmt.Appendf(nil, `{"revision":%d}`, number)
		_, err := client.Patch(ctx, entry.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
		if err == nil {
			next := append(rollout.History{}, history...)
			next.Find(t.content.revision).Number = number
			next.Sort()
			return next, nil
		}
		if !apierrors.IsNotFound(err) {
			return history, err
		}
		history = without(history, entry.Name) // somebody deleted it
	}
	obj := newRevision(t, kind, number)
	_, err := client.Create(ctx, obj, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return history, err
	}
	entry, _ := rollout.ReadEntry(obj)
	return append(history[:len(history):len(history)], entry), nil
}

// newRevision is the ControllerRevision of a pod template.
func newRevision(t *template, kind schema.GroupVersionKind, number int64) *unstructured.Unstructured {
	template := podTemplate(t.content.object)
	labels := map[string]any{}
	if meta, ok := template["metadata"].(map[string]any); ok {
		if of, ok := meta["labels"].(map[string]any); ok {
			maps.Copy(labels, of) // kubectl finds them by the workload's selector
		}
	}
	labels[v1alpha1.LabelRevisionOf] = string(t.uid)
	annotations := map[string]any{v1alpha1.AnnotationRevision: t.content.revision}
	if cause := t.obj.GetAnnotations()[rollout.ChangeCause]; cause != "" {
		annotations[rollout.ChangeCause] = cause
	}
	obj := map[string]any{
		"apiVersion": "apps/v1", "kind": "ControllerRevision",
		"metadata": map[string]any{
			"name": revisionName(t), "namespace": t.key.Namespace, "labels": labels, "annotations": annotations,
			"ownerReferences": []any{map[string]any{
				"apiVersion": kind.GroupVersion().String(), "kind": kind.Kind, "name": t.key.Name, "uid": string(t.uid), "controller": true,
			}},
		},
		"revision": number,
		"data":     map[string]any{"spec": map[string]any{"template": withField(template, "$patch", "replace")}},
	}
	return &unstructured.Unstructured{Object: runtime.DeepCopyJSON(obj)}
}

// revisionName differs between namesakes of which one was deleted a moment ago.
func revisionName(t *template) string {
	name, uid := t.key.Name, string(t.uid)
	return name[:min(len(name), 220)] + "-" + uid[:min(len(uid), 8)] + "-" + t.content.revision
}

// prune deletes what is beyond spec.revisionHistoryLimit, but nothing that a member
// has or may be given.
func (e *Engine) prune(ctx context.Context, client dynamic.ResourceInterface, history rollout.History, t *template) (rollout.History, error) {
	limit, found, err := unstructured.NestedInt64(t.content.object, "spec", "revisionHistoryLimit")
	if err != nil || !found {
		limit = defaultHistoryLimit
	}
	inUse := map[string]bool{t.content.revision: true}
	if t.progress.state != nil {
		inUse[t.progress.state.Proven], inUse[t.progress.state.Revision] = true, true
	}
	for _, m := range e.sortedMembers() {
		inUse[m.get(t.key).seen.revision] = true
	}
	for _, entry := range history.Surplus(int(limit), inUse) {
		if err := client.Delete(ctx, entry.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return history, err
		}
		history = without(history, entry.Name)
	}
	return history, nil
}

func without(history rollout.History, name string) rollout.History {
	var out rollout.History
	for _, entry := range history {
		if entry.Name != name {
			out = append(out, entry)
		}
	}
	return out
}
