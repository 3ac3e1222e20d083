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

// notice is what somebody may want to know about work that stays where it has begun; empty
// if that is nothing, or a problem.
func (t *template) notice() string {
	if !t.decision.Kept || t.problem() != (problem{}) {
		return ""
	}
	return t.decision.Reason
}

// announce says by an event on the hub's object that a problem began, or changed, or
// is over, and what a change did not do to work that has begun. It does not block.
// Engine.mu is held.
func (e *Engine) announce(before, after *template, r *resource) {
	e.announceLosses(before, after, r)
	was, is := problem{}, after.problem()
	if before != nil && before.uid == after.uid {
		was = before.problem()
	}
	ref := after.reference(r)
	if notice := after.notice(); notice != "" && before != nil && before.notice() != notice {
		e.events.event(ref, corev1.EventTypeNormal, reasonKept, notice)
	}
	if was == is {
		return
	}
	e.statusSoon(after.key) // its condition
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
	return t.withCondition(merged, v1alpha1.ConditionPlaced, metav1.ConditionFalse, is, now)
}

// withCondition is the status with a condition of Hanse's own; of the zero problem there
// is none. nil leaves the status alone.
func (t *template) withCondition(merged map[string]any, conditionType string, status metav1.ConditionStatus, is problem, now time.Time) map[string]any {
	isIt := func(c any) bool {
		m, ok := c.(map[string]any)
		return ok && m["type"] == conditionType
	}
	before, _, _ := unstructured.NestedSlice(t.obj.Object, "status", "conditions")
	at := slices.IndexFunc(before, isIt)
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
	conditions = slices.DeleteFunc(slices.Clone(conditions), isIt)
	if is != (problem{}) {
		since := now.UTC().Format(time.RFC3339)
		if at >= 0 && before[at].(map[string]any)["status"] == string(status) {
			since, _ = before[at].(map[string]any)["lastTransitionTime"].(string)
		}
		conditions = append(conditions, map[string]any{
			"type": conditionType, "status": string(status),
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
