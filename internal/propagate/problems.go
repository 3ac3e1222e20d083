package propagate

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// problem is what somebody has to be told about where an object is; the zero problem
// is none.
type problem struct{ reason, message string }

// problem of a template: something that makes no sense, or replicas without a place.
func (t *template) problem() problem {
	d := &t.decision
	switch {
	case d.Problem != "":
		return problem{v1alpha1.ReasonPlacementProblem, d.Problem}
	case d.Hold:
		return problem{} // until members have been read, in a moment
	case d.Unplaced > 0:
		return problem{v1alpha1.ReasonUnplaced, d.Reason}
	case d.Unmet != "":
		return problem{v1alpha1.ReasonSpreadUnmet, d.Unmet}
	}
	return problem{}
}

// announce says by an event on the hub's object that a problem began, or changed, or
// is over. It does not block. Engine.mu is held.
func (e *Engine) announce(before, after *template, r *resource) {
	was, is := problem{}, after.problem()
	if before != nil && before.uid == after.uid {
		was = before.problem()
	}
	if was == is {
		return
	}
	e.statusSoon(after.key) // its condition
	ref := &corev1.ObjectReference{
		APIVersion: r.gvk.GroupVersion().String(), Kind: r.gvk.Kind,
		Namespace: after.key.Namespace, Name: after.key.Name, UID: after.uid,
	}
	if is == (problem{}) {
		e.events.event(ref, corev1.EventTypeNormal, v1alpha1.ReasonPlaced, "all of it is placed: "+after.decision.String())
		return
	}
	e.events.event(ref, corev1.EventTypeWarning, is.reason, is.message)
}

// withProblem is the status of a template's object with its condition
// v1alpha1.ConditionPlaced, which is there as long as there is something to say. nil
// leaves the status alone.
func (t *template) withProblem(merged map[string]any, now time.Time) map[string]any {
	is := t.problem()
	before, _, _ := unstructured.NestedSlice(t.obj.Object, "status", "conditions")
	at := slices.IndexFunc(before, isPlacedCondition)
	if is == (problem{}) && at < 0 || !t.hasConditions() {
		return merged
	}
	if merged == nil {
		status, _ := t.obj.Object["status"].(map[string]any)
		if merged = maps.Clone(status); merged == nil {
			merged = map[string]any{}
		}
	}
	conditions, _ := merged["conditions"].([]any)
	conditions = slices.DeleteFunc(slices.Clone(conditions), isPlacedCondition)
	if is != (problem{}) {
		since := now.UTC().Format(time.RFC3339)
		if at >= 0 {
			since, _ = before[at].(map[string]any)["lastTransitionTime"].(string)
		}
		conditions = append(conditions, map[string]any{
			"type": v1alpha1.ConditionPlaced, "status": string(metav1.ConditionFalse),
			"reason": is.reason, "message": is.message, "lastTransitionTime": since,
		})
	}
	merged["conditions"] = conditions
	return merged
}

// hasConditions says whether the kind's status has conditions of the usual form, for
// which kinds Hanse does not know nobody can tell.
func (t *template) hasConditions() bool {
	switch t.key.GR.Group {
	case "apps":
		return true
	case "batch":
		return t.division == kinds.Completions || t.division == kinds.One
	case "":
		return t.key.GR.Resource == "replicationcontrollers"
	}
	return false
}

func isPlacedCondition(c any) bool {
	m, ok := c.(map[string]any)
	return ok && m["type"] == v1alpha1.ConditionPlaced
}
