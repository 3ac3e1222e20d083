package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/autoscale"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// scaler is what a template that is a HorizontalPodAutoscaler has besides.
type scaler struct {
	target scaleTarget
	of     Key  // the target, if it is of a kind that is divided
	divide bool // it is
	// least and most are the bounds of the whole.
	least, most int32
	// bounds by cluster, as recorded at the hub; nil: not divided so far.
	bounds map[string]autoscale.Bounds
}

// newScaler is nil for what is no autoscaler.
func newScaler(gr schema.GroupResource, object map[string]any) *scaler {
	if gr != autoscalersResource().GroupResource() {
		return nil
	}
	obj := &unstructured.Unstructured{Object: object}
	s := &scaler{target: targetOf(obj), least: 1}
	s.of, s.divide = s.target.key()
	if n, found, _ := unstructured.NestedInt64(object, "spec", "minReplicas"); found {
		s.least = int32(n)
	}
	n, _, _ := unstructured.NestedInt64(object, "spec", "maxReplicas")
	s.most = int32(n)
	return s
}

// key is where objects of the target's kind are, if they are divided.
func (t scaleTarget) key() (key Key, divided bool) {
	for _, gr := range scalable() {
		if gr.Group == t.group && gr.Resource == strings.ToLower(t.kind)+"s" {
			return Key{GR: gr, Namespace: t.namespace, Name: t.name}, true
		}
	}
	return Key{}, false
}

func (t scaleTarget) String() string { return strings.ToLower(t.kind) + "/" + t.name }

// readBounds takes over what is recorded at the hub.
func (t *template) readBounds(annotations map[string]string) error {
	value, ok := annotations[v1alpha1.AnnotationBounds]
	if t.scaler == nil || !ok {
		return nil
	}
	bounds, err := autoscale.Parse(value)
	if err == nil {
		t.scaler.bounds = bounds
	}
	return err
}

// targetKnown says whether the target is at the hub, and whether that is known.
// Engine.mu is held at least for reading.
func (e *Engine) targetKnown(s *scaler) (there, known bool) {
	r := e.resources[s.of.GR]
	if r == nil || !r.synced {
		return false, false
	}
	return r.templates[types.NamespacedName{Namespace: s.of.Namespace, Name: s.of.Name}] != nil, true
}

// bounded is the decision about an autoscaler: where it has bounds, if its target is
// divided. Engine.mu is held at least for reading.
func (e *Engine) bounded(t *template, d schedule.Decision) schedule.Decision {
	s := t.scaler
	there, known := e.targetKnown(s)
	switch {
	case s.bounds != nil && s.divide:
	case !s.divide, known && !there:
		d.Reason = fmt.Sprintf("%s is not divided by the hub: each cluster has the autoscaler with the whole bounds", s.target)
		return d
	default:
		d.Reason = fmt.Sprintf("its bounds are being divided over the clusters that have %s", s.target)
		return d
	}
	var shares []schedule.Share
	for _, sh := range d.Shares {
		b := s.bounds[sh.Cluster]
		if b.Max == 0 {
			d.Rejected = append(d.Rejected, schedule.Rejection{Cluster: sh.Cluster, Reason: fmt.Sprintf("has no replicas of %s to scale", s.target)})
			continue
		}
		sh.Reason = fmt.Sprintf("%d to %d of %d to %d replicas", b.Min, b.Max, s.least, s.most)
		shares = append(shares, sh)
	}
	d.Shares = shares
	return d
}

// boundsLater has the bounds of an autoscaler divided, if need be: of t, or of the one
// that t is the target of. An autoscaler whose target is divided waits for that.
// Engine.mu is held.
func (e *Engine) boundsLater(t *template) {
	if t.scaler == nil {
		if key, ok := e.scalers.Load(t.key); ok {
			e.bounds.AddAfter(key.(Key), statusDelay)
		}
		return
	}
	if !t.scaler.divide {
		return
	}
	there, known := e.targetKnown(t.scaler)
	t.undecided = t.scaler.bounds == nil && (there || !known)
	e.scalers.Store(t.scaler.of, t.key)
	e.bounds.AddAfter(t.key, statusDelay)
}

// allBoundsLater is boundsLater for every autoscaler. Engine.mu is held.
func (e *Engine) allBoundsLater() {
	if r := e.resources[autoscalersResource().GroupResource()]; r != nil {
		for _, t := range r.templates {
			e.bounds.AddAfter(t.key, statusDelay)
		}
	}
}

// scalerOf is the autoscaler at the hub that has key as its target, nil if there is
// none.
func (e *Engine) scalerOf(key Key) *scaler {
	by, ok := e.scalers.Load(key)
	if !ok {
		return nil
	}
	if t, _ := e.template(by.(Key)); t != nil && t.scaler != nil && t.scaler.of == key {
		return t.scaler
	}
	return nil
}

// divideBounds records the bounds that the clusters' autoscalers are to have now, at
// the hub's. The hub's watch then brings the template back, with them. It is
// idempotent: what has to be known of the past is recorded with the bounds.
func (e *Engine) divideBounds(ctx context.Context, key Key) error {
	t, _ := e.template(key)
	if t == nil || t.scaler == nil || !t.scaler.divide {
		return nil
	}
	target, known := e.template(t.scaler.of)
	switch {
	case known && target == nil && t.undecided:
		e.redecide(key)
		return nil
	case target == nil || target.undecided:
		return nil // it is queued again with it
	case target.total > 0 && target.total < t.scaler.least:
		return e.raiseTotal(ctx, target, t.scaler.least)
	}
	bounds := e.newBounds(t, target)
	if t.scaler.bounds != nil && maps.Equal(bounds, t.scaler.bounds) {
		if e.scaledBefore(target) {
			e.toMembers(target.key)
		}
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": t.uid, "resourceVersion": t.obj.GetResourceVersion(),
		"annotations": map[string]any{v1alpha1.AnnotationBounds: autoscale.Format(bounds)},
	}})
	if err != nil {
		return fmt.Errorf("encode the bounds of %s: %w", key, err)
	}
	return e.patchAtHub(ctx, key, patch)
}

// scaledBefore says whether some member's autoscaler has scaled the target, and nobody
// has looked at that as what the total is to follow: the hub has just started, and read
// the target first.
func (e *Engine) scaledBefore(target *template) bool {
	return slices.ContainsFunc(e.sortedMembers(), func(m *member) bool {
		rec := m.get(target.key)
		sh, placed := target.shares[m.name]
		return placed && rec.own == nil && rec.seen.replicas != nil && *rec.seen.replicas != sh.replicas
	})
}

// raiseTotal gives the target as many replicas as its autoscaler wants at least,
// which are then divided as ever; each cluster's autoscaler alone would raise those
// that it has, in few clusters.
func (e *Engine) raiseTotal(ctx context.Context, target *template, least int32) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": target.uid, "resourceVersion": target.obj.GetResourceVersion()},
		"spec":     map[string]any{"replicas": least},
	})
	if err != nil {
		return fmt.Errorf("encode the total of %s: %w", target.key, err)
	}
	return e.patchAtHub(ctx, target.key, patch)
}

// patchAtHub writes unless somebody else has written since; then the hub's watch
// brings what that was, and the key is queued with it.
func (e *Engine) patchAtHub(ctx context.Context, key Key, patch []byte) error {
	r := e.resource(key.GR)
	if r == nil {
		return nil
	}
	_, err := e.hub.Resource(r.gvr).Namespace(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("write %s at the hub: %w", key, err)
	}
	return nil
}

// redecide decides again about one object, whose surroundings are known now.
func (e *Engine) redecide(key Key) {
	e.locked(func() {
		changed := e.decideSome(func(t *template) bool { return t.key == key })
		if r := e.resources[key.GR]; r != nil {
			name := types.NamespacedName{Namespace: key.Namespace, Name: key.Name}
			if t := r.templates[name]; t != nil && t.undecided && len(changed) == 0 {
				decided := *t
				e.persistLater(&decided)
				r.templates[name] = &decided
			}
		}
	})
	e.toMembers(key)
	e.changes.notify(key)
}

// newBounds works out the bounds from what the members say.
func (e *Engine) newBounds(t, target *template) map[string]autoscale.Bounds {
	var clusters []autoscale.Cluster
	for _, m := range e.sortedMembers() {
		c := e.scaledCluster(t, target, m)
		if c.Away && c.Replicas == 0 {
			continue // lost: what it had is the others'
		}
		clusters = append(clusters, c)
	}
	bounds := autoscale.Divide(t.scaler.least, t.scaler.most, clusters)
	allowed := e.allowed(target, bounds)
	limited := false
	for i := range clusters {
		if n := allowed[clusters[i].Name]; n > 0 && n < bounds[clusters[i].Name].Max {
			clusters[i].Limit, limited = n, true
		}
	}
	if limited {
		bounds = autoscale.Divide(t.scaler.least, t.scaler.most, clusters)
	}
	return bounds
}

// scaledCluster is what is known of an autoscaler in one member.
func (e *Engine) scaledCluster(t, target *template, m *member) autoscale.Cluster {
	rec := m.get(t.key)
	c := autoscale.Cluster{Name: m.name, Bounds: t.scaler.bounds[m.name], Away: !m.reachable()}
	if _, ok := e.permitted(t)[m.name]; ok {
		c.Replicas = target.shares[m.name].replicas
	}
	c.Confirmed = e.synced(t, m, rec)
	if c.Bounds.Max == 0 {
		c.Confirmed = !rec.seen.exists()
	}
	current, _ := rec.seen.status["currentReplicas"].(int64)
	desired, _ := rec.seen.status["desiredReplicas"].(int64)
	c.Uses = toInt32(max(current, desired))
	c.Wants = c.Bounds.Max > 0 && desired >= int64(c.Bounds.Max) && wantsMore(rec.seen.status)
	return c
}

// wantsMore says whether an autoscaler that is at its maximum would go beyond it, by
// its own word if there is one: at the minimum, which may be the same, it is limited
// too.
func wantsMore(status map[string]any) bool {
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "ScalingLimited" {
			return m["status"] == "True" && m["reason"] == "TooManyReplicas"
		}
	}
	return true
}

// permitted are the clusters that the autoscaler may be in, by its own rules.
func (e *Engine) permitted(t *template) map[string]bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	whole := *t
	whole.scaler = nil
	in := map[string]bool{}
	for _, s := range e.decide(&whole, nil).Shares {
		in[s.Cluster] = true
	}
	return in
}

// allowed is how many replicas the rules for the target let each cluster have if all
// its autoscalers went to their maxima.
func (e *Engine) allowed(target *template, bounds map[string]autoscale.Bounds) map[string]int32 {
	asked := *target
	asked.recorded, asked.total = map[string]int32{}, 0
	for name, b := range bounds {
		asked.recorded[name] = b.Max
		asked.total += b.Max
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.decide(&asked, nil).Division()
}

// setBounds writes a member's part of an autoscaler's bounds into desired, whose
// spec is the caller's.
func setBounds(desired map[string]any, sh share) {
	if spec, ok := desired["spec"].(map[string]any); ok && sh.most > 0 {
		spec["minReplicas"], spec["maxReplicas"] = int64(sh.least), int64(sh.most)
	}
}
