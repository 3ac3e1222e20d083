package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// followInterval is how often an object's total is written at most while it
// follows its members.
const followInterval = time.Second

// follows says whether the object's total is the sum of what its members set:
// because the object says so, or because their autoscalers are the hub's.
func (e *Engine) follows(t *template) bool {
	if t.follows {
		return true
	}
	s := e.scalerOf(t.key)
	return s != nil && len(s.bounds) > 0
}

// readFollowing notes what the annotations of t say about members that set
// their own replicas.
func (t *template) readFollowing(annotations map[string]string) {
	if t.division != kinds.Replicas {
		return
	}
	switch value, ok := annotations[v1alpha1.AnnotationReplicas]; {
	case !ok:
	case value == v1alpha1.ReplicasMember:
		t.follows = true
	default:
		t.mistake = fmt.Sprintf("annotation %s: %q is not known, the only value is %q", v1alpha1.AnnotationReplicas, value, v1alpha1.ReplicasMember)
	}
	if value, ok := annotations[v1alpha1.AnnotationTaken]; ok {
		t.taken, _ = schedule.ParseDivision(value) // without it, an old number may be taken for a new one
	}
}

// ownCount says whether the number of replicas in the member was set there and
// is to be kept. It is noted for followMembers until the total has followed.
func (t *task) ownCount(autoscaled bool) bool {
	n := t.rec.seen.replicas
	sh, placed := t.template.shares[t.member.name]
	if !placed || n == nil || *n == sh.replicas || !t.setThere(*n, sh.replicas, autoscaled) || !t.engine.accepts(t.template, t.member.name, *n) {
		t.noteOwn(nil)
		return false
	}
	t.noteOwn(n)
	t.engine.followSoon(t.key)
	return true
}

// setThere says who set n, which is not the share that the member is to have:
// the member, or the hub before it decided for share.
func (t *task) setThere(n, share int32, autoscaled bool) bool {
	left := t.rec.left
	if autoscaled { // nothing scales from 0, nor what the hub has moved away
		return n > 0 && share > 0 && (left == nil || n != left.target.share.replicas || share < n)
	}
	if t.rec.own != nil && *t.rec.own == n {
		return true
	}
	if t.rec.live == nil || fieldmerge.ReadOwners(t.rec.live, v1alpha1.FieldManager).Mine("spec", "replicas") {
		return false
	}
	if left != nil && left.target.share.replicas == share {
		return true // what the hub wants had arrived
	}
	taken, known := t.template.taken[t.member.name]
	return !known || taken != n
}

// accepts says whether the rules for an object let a cluster have n replicas.
func (e *Engine) accepts(t *template, cluster string, n int32) bool {
	if s := e.scalerOf(t.key); s != nil && s.bounds != nil && n > max(s.bounds[cluster].Max, s.bounds[cluster].Had) {
		return false
	}
	division := t.decision.Division()
	division[cluster] = n
	total, ok := sumOf(division)
	if !ok {
		return false
	}
	asked := *t
	asked.total, asked.recorded = total, division
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.decide(&asked, nil).Division()[cluster] == n
}

// sumOf is the total of a division; ok is false if it is more than the API
// allows.
func sumOf(division map[string]int32) (total int32, ok bool) {
	var sum int64
	for _, n := range division {
		sum += int64(n)
	}
	return int32(sum), sum <= math.MaxInt32
}

func (t *task) noteOwn(n *int32) {
	if n == nil && t.rec.own == nil {
		return
	}
	t.rec.own = n
	t.member.update(t.key, func(r *record) {
		if n == nil || !t.outdated() {
			r.own = n
		}
	})
}

// outdated says whether a total was written at the hub that the template does
// not show so far.
func (t *task) outdated() bool {
	last, ok := t.engine.followed.Load(t.key)
	return ok && t.template.rv < last.(followed).revision
}

// followed is the last total that was written for an object, and when.
type followed struct {
	at       time.Time
	revision uint64
}

// followSoon has the total of an object follow its members before long.
func (e *Engine) followSoon(key Key) {
	delay := statusDelay
	if last, ok := e.followed.Load(key); ok {
		delay = max(delay, time.Until(last.(followed).at.Add(followInterval)))
	}
	e.following.AddAfter(key, delay)
}

// followMembers takes over the numbers that members have set: it writes the
// division and its sum at the hub, in one write that fails if anybody else has
// written meanwhile. It is idempotent; where the hub is killed, the members
// still have their numbers, and it begins again.
func (e *Engine) followMembers(ctx context.Context, key Key) error {
	t, _ := e.template(key)
	r := e.resource(key.GR)
	if t == nil || r == nil || t.undecided || !e.follows(t) {
		return nil
	}
	division, taken := t.decision.Division(), maps.Clone(t.taken)
	if taken == nil {
		taken = map[string]int32{}
	}
	var said []string
	members := e.sortedMembers()
	for _, m := range members {
		rec := m.get(key)
		own, there := rec.own, rec.seen.replicas
		if sh, placed := t.shares[m.name]; placed && own != nil && there != nil && *there == *own && *own != sh.replicas {
			division[m.name], taken[m.name] = *own, *own
			said = append(said, fmt.Sprintf("%s has %d", m.name, *own))
		}
	}
	total, ok := sumOf(division)
	if len(said) == 0 || !ok {
		return nil
	}
	if waiting := t.decision.Unplaced; t.follows && total <= math.MaxInt32-waiting {
		total += waiting // what no cluster has is still asked for
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": t.uid, "resourceVersion": t.obj.GetResourceVersion(), "annotations": map[string]any{
			v1alpha1.AnnotationDivision: schedule.FormatDivision(division),
			v1alpha1.AnnotationTaken:    schedule.FormatDivision(taken),
		}},
		"spec": map[string]any{"replicas": total},
	})
	if err != nil {
		return fmt.Errorf("encode the total of %s: %w", key, err)
	}
	made, err := e.hub.Resource(r.gvr).Namespace(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil: // most often a conflict: again with what was written meanwhile
		return fmt.Errorf("write the total of %s: %w", key, err)
	}
	e.followed.Store(key, followed{time.Now(), revision(made.GetResourceVersion())})
	for _, m := range members {
		m.update(key, func(r *record) { r.own = nil })
	}
	ref := &corev1.ObjectReference{APIVersion: r.gvk.GroupVersion().String(), Kind: r.gvk.Kind, Namespace: key.Namespace, Name: key.Name, UID: t.uid}
	e.events.event(ref, corev1.EventTypeNormal, reasonFollowed, fmt.Sprintf("%s by its own count; spec.replicas follows, %d", strings.Join(said, ", "), total))
	return nil
}

// scaledThere is the event for a number of replicas that a member set and the
// hub has put back to its share.
func (t *task) scaledThere(n int32) string {
	kind := t.template.obj.GetKind()
	return fmt.Sprintf("spec.replicas was set to %d in the cluster, put back to %d. Try: hanse scale %s/%s %s=%d -n %s",
		n, t.now.replicas, strings.ToLower(kind), t.key.Name, t.member.name, n, t.key.Namespace)
}
