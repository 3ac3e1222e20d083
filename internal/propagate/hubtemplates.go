package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// template is an object at the hub that is propagated, with its decision. It
// is not changed once it is in a resource's templates, only replaced.
type template struct {
	key     Key
	uid     types.UID
	rv      uint64
	created time.Time
	obj     *unstructured.Unstructured // without managedFields
	content *content

	division kinds.Division
	total    int32
	recorded map[string]int32 // AnnotationDivision, nil without
	lapsed   bool             // it was taken off work that stays put, and is to be written again
	// constraints is what its pod template says of where it may run, nil: anywhere.
	constraints *corev1.PodTemplateSpec
	demand      *demand        // what it asks of what members have free, nil: nothing
	policy      *policy.Policy // policies.none where none applies
	// shapes is how the policy changes it for single clusters.
	shapes   map[string]shape
	follows  bool             // AnnotationReplicas
	taken    map[string]int32 // AnnotationTaken
	mistake  string           // in an annotation that is passed over
	progress progress         // of its rollout
	scaler   *scaler          // nil: it is no autoscaler
	decision schedule.Decision
	shares   map[string]share
	// undecided: the decision has to be recorded at the hub before anything is
	// written to a member.
	undecided bool
	// awaitsNamespace: a policy may select it by the labels of its Namespace, which
	// are not known so far.
	awaitsNamespace bool
	going           bool // a Namespace that is being deleted
}

// content is what members are to have. The same content is the same pointer.
type content struct {
	object   map[string]any
	hash     uint64
	revision string // of the pod template, empty for kinds without a rollout
}

// share is a member's part of a template that is divided; of a Job, as it was when the
// Job was made.
type share struct {
	replicas int32
	before   int32 // sum of the shares of clusters that come before, by name
	total    int32
	// parallelism is how many pods of a Job the member is to run at once now.
	parallelism int32
	// least and most are bounds of an autoscaler, 0: those of the whole.
	least, most int32
}

func (t *template) setDecision(d schedule.Decision) {
	t.decision = d
	t.shares = make(map[string]share, len(d.Shares))
	var total, before int32
	for _, s := range d.Shares {
		total += s.Replicas
	}
	for _, s := range d.Shares {
		t.shares[s.Cluster] = share{replicas: s.Replicas, before: before, total: total}
		before += s.Replicas
	}
	if t.division == kinds.Completions {
		t.cutWork()
	}
	if t.scaler == nil {
		return
	}
	for cluster, b := range t.scaler.bounds {
		if _, in := t.shares[cluster]; in {
			t.shares[cluster] = share{least: b.Min, most: b.Max}
		}
	}
}

// divided is the division as it is recorded: that of work which has begun is the one that
// it began with.
func (t *template) divided() map[string]int32 {
	if t.decision.Kept {
		return t.recorded
	}
	return t.decision.Division()
}

// placed is how many replicas some cluster has been given.
func (t *template) placed() (n int32) {
	for _, s := range t.decision.Shares {
		n += s.Replicas
	}
	return n
}

// templateSink takes in a resource's objects at the hub.
type templateSink struct {
	engine   *Engine
	resource *resource
	log      klog.Logger
}

func (s *templateSink) replace(objs []*unstructured.Unstructured) {
	e := s.engine
	next := make(map[types.NamespacedName]*template, len(objs))
	var keys []Key
	var members []*member
	e.locked(func() {
		for _, obj := range objs {
			name := nameOf(obj)
			if t := s.build(obj, s.resource.templates[name]); t != nil {
				next[name] = t
				keys = append(keys, t.key)
			}
		}
		for name, t := range s.resource.templates {
			if next[name] == nil {
				e.ungrant(t.key)
				keys = append(keys, t.key)
			}
		}
		s.resource.templates = next
		s.resource.synced = true
		e.allBoundsLater() // they may have waited for this
		for _, m := range e.members {
			members = append(members, m)
		}
	})
	for _, m := range members {
		m.enqueue(m.keysOf(s.resource.gvr.GroupResource())...) // what has no template any more
		m.enqueue(keys...)
	}
	e.rolloutsSoon(keys...)
	e.changes.notify(keys...)
	e.policiesSoon()
	if isCRD(s.resource.gvr.GroupResource()) {
		e.rediscoverSoon()
	}
}

func (s *templateSink) apply(obj *unstructured.Unstructured) {
	e := s.engine
	name := nameOf(obj)
	var before, t *template
	e.locked(func() {
		before = s.resource.templates[name]
		t = s.build(obj, before)
		if t == nil {
			delete(s.resource.templates, name)
			e.ungrant(s.key(name))
		} else {
			s.resource.templates[name] = t
		}
	})
	key := s.key(name)
	if changesMembers(before, t) {
		e.toMembers(key)
		e.policiesSoon()
	}
	if t != nil && (before == nil || before.obj.GetGeneration() != t.obj.GetGeneration()) {
		e.statusSoon(key)
	}
	e.changes.notify(key)
	if isCRD(key.GR) {
		e.rediscoverSoon()
	}
}

func (s *templateSink) remove(obj *unstructured.Unstructured) {
	e := s.engine
	name := nameOf(obj)
	e.mu.Lock()
	delete(s.resource.templates, name)
	e.ungrant(s.key(name))
	e.mu.Unlock()
	key := s.key(name)
	e.written.Delete(key)
	e.followed.Delete(key)
	if scaler := newScaler(key.GR, obj.Object); scaler != nil {
		e.scalers.CompareAndDelete(scaler.of, key)
	}
	e.rollouts.forget(key, obj.GetUID())
	e.toMembers(key)
	e.policiesSoon()
	e.changes.notify(key)
	if isCRD(key.GR) {
		e.rediscoverSoon()
	}
}

// changesMembers says whether members have to look at the object again: not
// for what changed at the hub only, as its status.
func changesMembers(before, after *template) bool {
	if before == nil || after == nil {
		return true
	}
	return before.content != after.content || before.uid != after.uid || before.going != after.going ||
		before.undecided != after.undecided || before.decision.String() != after.decision.String() || before.policy != after.policy ||
		before.follows != after.follows || !maps.Equal(before.shares, after.shares) || before.progress.differs(after.progress) ||
		before.obj.GetAnnotations()[v1alpha1.AnnotationConflict] != after.obj.GetAnnotations()[v1alpha1.AnnotationConflict]
}

func (s *templateSink) key(name types.NamespacedName) Key {
	return Key{GR: s.resource.gvr.GroupResource(), Namespace: name.Namespace, Name: name.Name}
}

// build makes the template of obj, nil if it stays at the hub. before, the
// template so far, lends its content if that has not changed. Engine.mu is
// held.
func (s *templateSink) build(obj *unstructured.Unstructured, before *template) *template {
	gr := s.resource.gvr.GroupResource()
	if _, stays := s.engine.table.Stays(gr, obj); stays {
		return nil
	}
	t := newTemplate(gr, obj)
	t.content.hash = s.engine.hasher.Content(t.content.object)
	if before != nil && before.uid == t.uid && before.content.hash == t.content.hash {
		t.content = before.content
	}
	if value, ok := obj.GetAnnotations()[v1alpha1.AnnotationDivision]; ok && t.division != kinds.Everywhere {
		recorded, err := schedule.ParseDivision(value)
		if err != nil {
			s.log.Info("Annotation is not understood and will be written again", "key", t.key.String(), "reason", err.Error())
		} else {
			t.recorded = recorded
		}
	}
	if t.recorded == nil && staysPut(t.division) && before != nil && before.uid == t.uid && before.recorded != nil {
		t.recorded, t.lapsed = before.recorded, true
	}
	if err := t.readBounds(obj.GetAnnotations()); err != nil {
		s.log.Info("Annotation is not understood and will be written again", "key", t.key.String(), "reason", err.Error())
	}
	t.readFollowing(obj.GetAnnotations())
	t.policy = s.engine.policyFor(t)
	s.engine.readRollout(t, before)
	d := s.engine.decide(t, before)
	if before != nil && before.uid == t.uid {
		d.Shares = lastingReasons(before.decision.Shares, d.Shares)
	}
	t.setDecision(d)
	t.shares = s.engine.workShares(t)
	t.shapes = s.engine.outlook(t.policy).shapes
	s.engine.persistLater(t)
	t.awaitsNamespace = s.engine.awaitsNamespace(t)
	s.engine.announce(before, t, s.resource)
	return t
}

// newTemplate is obj as a template, without its decision. It takes obj over.
func newTemplate(gr schema.GroupResource, obj *unstructured.Unstructured) *template {
	object := kinds.Template(gr, obj) // reads managedFields
	unstructured.RemoveNestedField(obj.Object, "metadata", "managedFields")
	t := &template{
		key:     Key{GR: gr, Namespace: obj.GetNamespace(), Name: obj.GetName()},
		uid:     obj.GetUID(),
		rv:      revision(obj.GetResourceVersion()),
		created: obj.GetCreationTimestamp().Time,
		obj:     obj,
		content: &content{object: object},
		going:   isNamespace(gr) && obj.GetDeletionTimestamp() != nil,
	}
	t.division = kinds.DivisionOf(gr, object)
	t.total = kinds.Total(t.division, object)
	if t.division != kinds.Everywhere {
		t.constraints, t.demand = constraintsOf(object), demandOf(object)
	}
	t.scaler = newScaler(gr, object)
	return t
}

// persistLater marks t as undecided, and has its division recorded, where the
// formula would not say the same after a restart. Engine.mu is held.
func (e *Engine) persistLater(t *template) {
	t.undecided = false
	e.grant(t)
	defer e.boundsLater(t)
	division := t.decision.Division()
	switch same := t.decision.Kept || t.recorded != nil && sameDivision(division, t.recorded); {
	case same && t.lapsed:
		t.undecided = true
		e.divisions.Add(t.key)
		return
	case t.decision.Hold || division == nil || t.decision.Unplaced > 0 && t.placed() == 0 || same:
		return
	}
	// What steers it, as the clusters' labels and policies, may be other after a restart.
	// So may those be between which and the hub's end work that stays put has begun.
	if t.recorded == nil && !staysPut(t.division) && !e.steered(t) {
		var joined []schedule.Cluster
		for _, c := range e.clusters {
			if !c.joined.After(t.created) {
				joined = append(joined, schedule.Cluster{Name: c.name, Ready: true})
			}
		}
		formula := schedule.Even(schedule.Workload{Key: t.key.String(), Divided: true, Total: t.total}, joined)
		if sameDivision(formula, division) {
			return
		}
	}
	t.undecided = true
	e.divisions.Add(t.key)
}

// sameDivision compares two divisions; a cluster with 0 is as one without.
func sameDivision(a, b map[string]int32) bool {
	nonzero := func(m map[string]int32) map[string]int32 {
		out := maps.Clone(m)
		maps.DeleteFunc(out, func(_ string, n int32) bool { return n == 0 })
		if out == nil {
			out = map[string]int32{}
		}
		return out
	}
	return maps.Equal(nonzero(a), nonzero(b))
}

// persistDivision records a division at the hub. The hub's watch then brings
// the template back, decided.
func (e *Engine) persistDivision(ctx context.Context, key Key) error {
	t, _ := e.template(key)
	if t == nil || !t.undecided {
		return nil
	}
	value := schedule.FormatDivision(t.divided())
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": t.uid, // not a namesake that was created since
		// Nor a version that somebody has divided otherwise since.
		"resourceVersion": t.obj.GetResourceVersion(),
		"annotations":     map[string]any{v1alpha1.AnnotationDivision: value},
	}})
	if err != nil {
		return fmt.Errorf("encode the division of %s: %w", key, err)
	}
	r := e.resource(key.GR)
	if r == nil {
		return nil
	}
	_, err = e.hub.Resource(r.gvr).Namespace(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record the division of %s: %w", key, err)
	}
	return nil
}

func (e *Engine) rediscoverSoon() {
	select {
	case e.rediscover <- struct{}{}:
	default:
	}
}

func nameOf(obj *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
}
