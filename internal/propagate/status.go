package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/aggregate"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// Members' statuses change many times while a workload starts. A merged status
// waits a little for the others, and one object's is written at most once in
// statusInterval, whatever the number of members: that bounds the hub's writes.
const (
	statusDelay    = 50 * time.Millisecond
	statusInterval = time.Second
)

// statusSoon has the status of an object at the hub written before long.
func (e *Engine) statusSoon(key Key) {
	e.rolloutsSoon(key)
	delay := statusDelay
	if at, ok := e.written.Load(key); ok {
		delay = max(delay, time.Until(at.(time.Time).Add(statusInterval)))
	}
	e.statuses.AddAfter(key, delay)
}

// writeStatus merges what the members say of an object and writes it at the
// hub if it differs from what is there. It is idempotent.
func (e *Engine) writeStatus(ctx context.Context, key Key) error {
	t, _ := e.template(key)
	r := e.resource(key.GR)
	if t == nil || r == nil {
		return nil
	}
	if t.scaler != nil {
		e.bounds.Add(key) // what the members say of it may move headroom
	}
	if rest := e.awaitsMembers(t); rest > 0 {
		e.statuses.AddAfter(key, rest)
		return nil
	}
	members, now := e.statusesOf(t), time.Now()
	merged, err := e.merged(t, r.gvk.GroupKind(), members)
	if err != nil {
		return fmt.Errorf("merge the statuses of %s: %w", key, err)
	}
	merged = t.withProblem(t.withReached(merged, members, now), now)
	if merged == nil {
		return nil
	}
	before, _ := t.obj.Object["status"].(map[string]any)
	turnNow(before, merged, now)
	patch, _ := fieldmerge.Patch(map[string]any{"of": before}, map[string]any{"of": merged})
	if patch == nil {
		return nil
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": t.uid}, "status": patch["of"]})
	if err != nil {
		return fmt.Errorf("encode the status of %s: %w", key, err)
	}
	e.written.Store(key, time.Now())
	_, err = e.hub.Resource(r.gvr).Namespace(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, body,
		metav1.PatchOptions{FieldManager: v1alpha1.FieldManager}, "status")
	switch {
	case apierrors.IsNotFound(err): // the object is gone, or its kind has no status
		return nil
	case apierrors.IsConflict(err): // a namesake took its place
		return nil
	case err != nil:
		return fmt.Errorf("write the status of %s at the hub: %w", key, err)
	}
	return nil
}

// turnNow lets conditions that turn out other than they were told before have done so
// now, where members know of nothing later: it is the cluster that went away or came back.
func turnNow(before, merged map[string]any, now time.Time) {
	list, _ := merged["conditions"].([]any)
	told, _ := before["conditions"].([]any)
	for _, e := range list {
		c, _ := e.(map[string]any)
		at := slices.IndexFunc(told, func(e any) bool {
			was, ok := e.(map[string]any)
			return ok && was["type"] == c["type"]
		})
		if at < 0 || c["lastTransitionTime"] == nil {
			continue
		}
		was := told[at].(map[string]any)
		then, _ := was["lastTransitionTime"].(string)
		since, _ := c["lastTransitionTime"].(string)
		if was["status"] != c["status"] && since <= then { // RFC 3339 in UTC, both
			c["lastTransitionTime"] = now.UTC().Format(time.RFC3339)
		}
	}
}

// statusesOf is what the members where t is placed say of it, by name.
func (e *Engine) statusesOf(t *template) []aggregate.MemberStatus {
	var out []aggregate.MemberStatus
	for _, m := range e.sortedMembers() {
		r := m.get(t.key)
		if _, placed := t.shares[m.name]; placed || r.seen.exists() && r.seen.mark.Origin.Template == t.uid {
			out = append(out, e.statusOf(t, m, r))
		}
	}
	return out
}

func (e *Engine) statusOf(t *template, m *member, r record) aggregate.MemberStatus {
	s := aggregate.MemberStatus{
		Cluster:    m.name,
		Generation: r.seen.generation, ObservedGeneration: r.seen.observed,
		Synced:    e.synced(t, m, r) && m.unread(t.key.GR) == nil,
		Reachable: m.heard(t.key.GR),
		Lost:      e.notCounted(m, t.policy),
		Status:    r.seen.status,
	}
	if r.left != nil {
		s.Spec, _ = r.left.desired["spec"].(map[string]any)
	}
	if r.seen.replicas != nil { // an autoscaler's, perhaps
		s.Spec = withField(s.Spec, "replicas", int64(*r.seen.replicas))
	}
	if t.division != kinds.Everywhere {
		n := t.runs(m.name)
		s.Replicas = &n
	}
	return s
}

// synced says whether the object in the member is known to be what the hub
// wants now.
func (e *Engine) synced(t *template, m *member, r record) bool {
	return r.seen.exists() && !r.seen.deleting && r.fault == nil && r.left != nil &&
		r.left.hash == r.seen.hash && r.left.target == t.target(m.name) && !t.undecided
}
