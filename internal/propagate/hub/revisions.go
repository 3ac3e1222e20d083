package hub

import (
	"context"
	"fmt"
	"maps"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/propagate/work"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// defaultHistoryLimit is what apps/v1 has for spec.revisionHistoryLimit.
const defaultHistoryLimit = 10

// revisionWorkers is how many workloads' revisions are written at once.
const revisionWorkers = 4

// Revisions keeps earlier pod templates as ControllerRevisions at the hub, in the form that kubectl rollout history and undo read
// for StatefulSets and DaemonSets; they go with the workload.
type Revisions struct {
	hub       dynamic.Interface
	published Published
	into      func(decide.Input)
	queue     work.Queue

	mu      sync.Mutex
	pending map[template.Key]*pendingRevisions
	read    map[template.Key]pastOf // only a workload's worker changes what is of it
}

// pendingRevisions is what is to be done about the revisions of a workload.
type pendingRevisions struct {
	of   *template.Template   // as it was last
	keep []*template.Template // of which the pod templates are to be kept, oldest first
}

// pastOf is the revisions of a workload as they are at the hub.
type pastOf struct {
	uid     types.UID
	history rollout.History
}

// NewRevisions makes Revisions. into is told what was Revised, and must not block. m may be nil.
func NewRevisions(hub dynamic.Interface, published Published, into func(decide.Input), m *metrics.Workqueues, c clock.WithTicker) *Revisions {
	return &Revisions{
		hub: hub, published: published, into: into, queue: work.NewQueue(m.Open("revisions", ""), c),
		pending: map[template.Key]*pendingRevisions{}, read: map[template.Key]pastOf{},
	}
}

// Run reads and writes until ctx ends.
func (r *Revisions) Run(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	for range revisionWorkers {
		workers.Go(func() { work.Off(ctx, r.queue, r.work, telling(klog.FromContext(ctx), "The revisions of an object")) })
	}
	<-ctx.Done()
	r.queue.ShutDown()
}

// Keep has a pod template kept. It does not block.
func (r *Revisions) Keep(t *template.Template) {
	r.ask(t, t)
}

// Read has the earlier pod templates of a workload told. It does not block.
func (r *Revisions) Read(t *template.Template) {
	r.ask(t)
}

func (r *Revisions) ask(t *template.Template, keep ...*template.Template) {
	r.mu.Lock()
	p := r.pending[t.Key]
	if p == nil || p.of.UID != t.UID {
		p = &pendingRevisions{}
		r.pending[t.Key] = p
	}
	p.of, p.keep = t, append(p.keep, keep...)
	r.mu.Unlock()
	r.queue.Add(t.Key)
}

// Forget drops what is remembered of a workload that is gone.
func (r *Revisions) Forget(key template.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, key)
	delete(r.read, key)
}

// work does what is to be done about the revisions of a workload. It is idempotent.
func (r *Revisions) work(ctx context.Context, key template.Key) error {
	p := r.take(key)
	if p == nil {
		return nil
	}
	done := false
	defer func() {
		if !done {
			r.putBack(key, p) // also after a panic
		}
	}()
	of, a := p.of, r.published.Assignment(key)
	if a != nil {
		of = a.Template
	}
	if of.UID != p.of.UID {
		done = true // a namesake has taken its place
		return nil
	}
	history, err := r.update(ctx, of, p.keep)
	if err != nil {
		return err
	}
	done = true
	if a != nil { // or nobody would forget it
		r.mu.Lock()
		r.read[key] = pastOf{of.UID, history}
		r.mu.Unlock()
	}
	r.into(decide.Revised{UID: of.UID, History: history})
	return nil
}

func (r *Revisions) take(key template.Key) *pendingRevisions {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pending[key]
	delete(r.pending, key)
	return p
}

// putBack has what failed done again, before what has been asked for since.
func (r *Revisions) putBack(key template.Key, p *pendingRevisions) {
	r.mu.Lock()
	defer r.mu.Unlock()
	since := r.pending[key]
	switch {
	case since == nil:
		r.pending[key] = p
	case since.of.UID == p.of.UID:
		since.keep = append(p.keep[:len(p.keep):len(p.keep)], since.keep...)
	}
}

// update reads the revisions of a workload, keeps more of them and deletes what is too old.
func (r *Revisions) update(ctx context.Context, of *template.Template, keep []*template.Template) (rollout.History, error) {
	client := r.hub.Resource(controllerRevisions()).Namespace(of.Key.Namespace)
	history, err := r.load(ctx, client, of)
	if err != nil {
		return nil, fmt.Errorf("read the revisions of %s: %w", of.Key, err)
	}
	for _, t := range keep {
		if history, err = keepRevision(ctx, client, history, t); err != nil {
			return nil, fmt.Errorf("keep a revision of %s: %w", of.Key, err)
		}
	}
	if len(keep) == 0 {
		return history, nil
	}
	if history, err = r.prune(ctx, client, history, of); err != nil {
		return nil, fmt.Errorf("delete old revisions of %s: %w", of.Key, err)
	}
	return history, nil
}

// load reads the earlier pod templates, unless they have been read.
func (r *Revisions) load(ctx context.Context, client dynamic.ResourceInterface, of *template.Template) (rollout.History, error) {
	r.mu.Lock()
	known, ok := r.read[of.Key]
	r.mu.Unlock()
	if ok && known.uid == of.UID {
		return known.history, nil
	}
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.LabelRevisionOf + "=" + string(of.UID)})
	if err != nil {
		return nil, err
	}
	var history rollout.History
	for i := range list.Items {
		if entry, ok := rollout.ReadEntry(&list.Items[i]); ok {
			history = append(history, entry)
		}
	}
	history.Sort()
	return history, nil
}

// keepRevision puts a pod template last in the history.
func keepRevision(ctx context.Context, client dynamic.ResourceInterface, history rollout.History, t *template.Template) (rollout.History, error) {
	number := history.Next(t.Content.Revision)
	if entry := history.Find(t.Content.Revision); entry != nil {
		if entry.Number == number {
			return history, nil
		}
		patch := fmt.Appendf(nil, `{"revision":%d}`, number)
		_, err := client.Patch(ctx, entry.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
		if err == nil {
			next := append(rollout.History{}, history...)
			next.Find(t.Content.Revision).Number = number
			next.Sort()
			return next, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, err
		}
		history = without(history, entry.Name) // somebody deleted it
	}
	obj := newRevision(t, number)
	_, err := client.Create(ctx, obj, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, err
	}
	entry, _ := rollout.ReadEntry(obj)
	return append(history[:len(history):len(history)], entry), nil
}

// newRevision is the ControllerRevision of a pod template.
func newRevision(t *template.Template, number int64) *unstructured.Unstructured {
	pods := template.PodTemplate(t.Content.Object)
	labels := map[string]any{}
	if meta, ok := pods["metadata"].(map[string]any); ok {
		if of, ok := meta["labels"].(map[string]any); ok {
			maps.Copy(labels, of) // kubectl finds them by the workload's selector
		}
	}
	labels[v1alpha1.LabelRevisionOf] = string(t.UID)
	annotations := map[string]any{v1alpha1.AnnotationRevision: t.Content.Revision}
	if cause := t.Object.GetAnnotations()[rollout.ChangeCause]; cause != "" {
		annotations[rollout.ChangeCause] = cause
	}
	obj := map[string]any{
		"apiVersion": "apps/v1", "kind": "ControllerRevision",
		"metadata": map[string]any{
			"name": revisionName(t), "namespace": t.Key.Namespace, "labels": labels, "annotations": annotations,
			"ownerReferences": []any{map[string]any{
				"apiVersion": t.GVK.GroupVersion().String(), "kind": t.GVK.Kind, "name": t.Key.Name, "uid": string(t.UID), "controller": true,
			}},
		},
		"revision": number,
		"data":     map[string]any{"spec": map[string]any{"template": template.With(pods, "$patch", "replace")}},
	}
	return &unstructured.Unstructured{Object: runtime.DeepCopyJSON(obj)}
}

// revisionName differs between namesakes of which one was deleted a moment ago.
func revisionName(t *template.Template) string {
	name, uid := t.Key.Name, string(t.UID)
	return name[:min(len(name), 220)] + "-" + uid[:min(len(uid), 8)] + "-" + t.Content.Revision
}

// prune deletes what is beyond spec.revisionHistoryLimit, but nothing that a member has or may be given.
func (r *Revisions) prune(ctx context.Context, client dynamic.ResourceInterface, history rollout.History, of *template.Template) (rollout.History, error) {
	limit, found, err := unstructured.NestedInt64(of.Content.Object, "spec", "revisionHistoryLimit")
	if err != nil || !found {
		limit = defaultHistoryLimit
	}
	inUse := map[string]bool{of.Content.Revision: true}
	if of.Progress.State != nil {
		inUse[of.Progress.State.Proven], inUse[of.Progress.State.Revision] = true, true
	}
	for _, m := range r.published.Members() {
		if o := m.Observed(of.Key); o != nil {
			inUse[o.Revision] = true
		}
	}
	for _, entry := range history.Surplus(int(limit), inUse) {
		if err := client.Delete(ctx, entry.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return nil, err
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
