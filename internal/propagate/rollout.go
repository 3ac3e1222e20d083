package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// rollouts takes changes of pod templates from step to step. One worker at a time
// looks at a workload, writes how far it has gone at the hub, and only then do the
// members' workers act upon it.
type rollouts struct {
	queue workqueue.TypedRateLimitingInterface[Key]
	*rolloutMemory
}

// rolloutMemory is what need not survive a restart.
type rolloutMemory struct {
	mu      sync.Mutex
	pending map[Key][]*template           // replaced, their pod templates are to be kept
	pasts   map[types.UID]rollout.History // as read from the hub
	seen    map[Key]milestone
	wrote   map[Key]uint64 // the hub's object as of the last write of its state
}

// milestone is when a rollout was last seen to come nearer to its goal.
type milestone struct {
	revision string
	count    int64
	at       time.Time
}

func newRollouts() rollouts {
	return rollouts{queue: newQueue(), rolloutMemory: &rolloutMemory{
		pending: map[Key][]*template{}, pasts: map[types.UID]rollout.History{},
		seen: map[Key]milestone{}, wrote: map[Key]uint64{},
	}}
}

func (r rollouts) forget(key Key, uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, key)
	delete(r.seen, key)
	delete(r.wrote, key)
	delete(r.pasts, uid)
}

// progressed is when count, of pods that are as they should be, last changed. A hub
// that has just started gives every step its deadline again.
func (r rollouts) progressed(key Key, revision string, count int64, now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.seen[key]
	if !known || last.revision != revision || last.count != count {
		last = milestone{revision: revision, count: count, at: now}
		r.seen[key] = last
	}
	return last.at
}

// rolloutsSoon has those of the workloads looked at whose changes may be on their way.
// It may be called with or without Engine.mu, and takes it not.
func (e *Engine) rolloutsSoon(keys ...Key) {
	for _, key := range keys {
		if rollout.Rolls(key.GR) {
			e.rollouts.queue.Add(key)
		}
	}
}

// rolloutInterval is how often a rollout that is on its way is looked at even if
// nothing was heard of it: clusters go away and come back.
const rolloutInterval = 5 * time.Second

// advanceRollout takes a workload's change as far as it goes now. It is idempotent.
func (e *Engine) advanceRollout(ctx context.Context, key Key) error {
	t, _ := e.template(key)
	r := e.resource(key.GR)
	if t == nil || r == nil || e.rollouts.outdated(t) {
		return nil // the hub's watch queues it again
	}
	if err := e.keepRevisions(ctx, t, r); err != nil {
		return err
	}
	switch {
	case t.settled():
		return nil
	case !t.governed():
		return e.writeProgress(ctx, t, nil)
	}
	out := rollout.Advance(t.progress.state, e.rolloutInput(t, e.rolling(t, r.gvk.GroupKind()), t.policy.Rollout, time.Now()))
	if out.State.String() != t.progress.kept || holdOf(t, out.State) != t.obj.GetAnnotations()[v1alpha1.AnnotationRollout] {
		if err := e.writeProgress(ctx, t, out.State); err != nil {
			return err
		}
		e.tellRollout(t, r, out.Events)
		return nil
	}
	if !out.State.Done && out.Phase != rollout.Stopped {
		again := rolloutInterval
		if out.Again > 0 {
			again = min(again, out.Again)
		}
		e.rollouts.queue.AddAfter(key, again)
	}
	return nil
}

// outdated says whether t is older than what was written last.
func (r rollouts) outdated(t *template) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return t.rv < r.wrote[t.key]
}

// holdOf is what AnnotationRollout has to say: the hub sets and takes off its own
// value only.
func holdOf(t *template, state *rollout.State) string {
	switch {
	case state != nil && state.Stopped != "":
		return v1alpha1.RolloutStopped
	case t.progress.hold == v1alpha1.RolloutStopped:
		return ""
	}
	return t.progress.hold
}

// writeProgress records the state at the hub, nil to take it off. The hub's watch then
// brings the template back with it.
func (e *Engine) writeProgress(ctx context.Context, t *template, state *rollout.State) error {
	annotations := map[string]any{v1alpha1.AnnotationRolloutState: nil, v1alpha1.AnnotationRollout: nil}
	if state != nil {
		annotations[v1alpha1.AnnotationRolloutState] = state.String()
	}
	if hold := holdOf(t, state); hold != "" {
		annotations[v1alpha1.AnnotationRollout] = hold
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": t.uid, "annotations": annotations}})
	if err != nil {
		return fmt.Errorf("encode the state of the rollout of %s: %w", t.key, err)
	}
	r := e.resource(t.key.GR)
	if r == nil {
		return nil
	}
	made, err := e.hub.Resource(r.gvr).Namespace(t.key.Namespace).Patch(ctx, t.key.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record the state of the rollout of %s: %w", t.key, err)
	}
	e.rollouts.mu.Lock()
	e.rollouts.wrote[t.key] = revision(made.GetResourceVersion())
	e.rollouts.mu.Unlock()
	return nil
}

// rolloutInput is what a rollout depends on.
func (e *Engine) rolloutInput(t *template, clusters []rollingCluster, p *policy.Rollout, now time.Time) rollout.Input {
	in := rollout.Input{
		Revision: t.content.revision, Clusters: plainClusters(clusters), Now: now,
		Held: t.progress.hold != "", Paused: p.Paused || t.progress.hold == v1alpha1.RolloutPaused,
		Wait: p.Wait, Deadline: p.ProgressDeadline, Stop: p.Stop,
	}
	var count int64
	for _, c := range clusters {
		if c.Updated {
			count += 1 + c.health.Updated + c.health.Ready
		}
	}
	in.Progress = e.rollouts.progressed(t.key, in.Revision, count, now)
	if paused, _, _ := unstructured.NestedBool(t.content.object, "spec", "paused"); paused {
		in.Progress = now // by kubectl rollout pause, which is in the members too: no pods follow
	}
	e.mu.RLock()
	facts := e.facts()
	e.mu.RUnlock()
	for _, s := range p.Steps(facts) {
		in.Steps = append(in.Steps, rollout.Step(s))
	}
	return in
}

// rollingCluster is a cluster with how its pods are doing.
type rollingCluster struct {
	rollout.Cluster
	health   rollout.Health
	revision string
}

// rolling is the clusters that have the workload or are to have it, by name.
func (e *Engine) rolling(t *template, kind schema.GroupKind) []rollingCluster {
	e.mu.RLock()
	ready := make(map[string]bool, len(e.clusters))
	for name, c := range e.clusters {
		ready[name] = c.ready
	}
	e.mu.RUnlock()
	var out []rollingCluster
	for _, m := range e.sortedMembers() {
		rec := m.get(t.key)
		there := rec.seen.exists() && rec.seen.ours(e.hubUID) && rec.seen.mark.Origin.Template == t.uid
		if _, placed := t.shares[m.name]; !placed && !there {
			continue
		}
		c := rollingCluster{Cluster: rollout.Cluster{Name: m.name, Away: !ready[m.name]}, revision: rec.seen.revision}
		if s := e.statusOf(t, m, rec); there {
			c.health = rollout.HealthOf(rollout.Workload{
				Kind: kind, Replicas: replicasOf(rec.seen), Generation: s.Generation, Observed: s.ObservedGeneration, Spec: s.Spec, Status: s.Status,
			})
			c.Updated = s.Synced || t.governed() && rec.seen.revision == t.content.revision
			c.Ready = s.Synced && c.health.Done
		}
		c.Note = c.health.String()
		if c.Updated && (rec.outlived == "" || rec.outlived != rollout.SaidAt(rec.seen.status)) {
			c.Failed = c.health.Failed
		}
		if rec.fault != nil {
			c.Note = rec.fault.message
		}
		out = append(out, c)
	}
	return out
}

// replicasOf is what the member's object asks for, 1 by the API's default.
func replicasOf(seen observation) int64 {
	if seen.replicas == nil {
		return 1
	}
	return int64(*seen.replicas)
}

// tellRollout makes events about the hub's object.
func (e *Engine) tellRollout(t *template, r *resource, events []rollout.Event) {
	ref := &corev1.ObjectReference{APIVersion: r.gvk.GroupVersion().String(), Kind: r.gvk.Kind, Namespace: t.key.Namespace, Name: t.key.Name, UID: t.uid}
	for _, event := range events {
		kind := corev1.EventTypeNormal
		if event.Warning {
			kind = corev1.EventTypeWarning
		}
		e.events.event(ref, kind, event.Reason, event.Message)
	}
}
