package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/aggregate"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

// withPlaced is the status of an object with its condition v1alpha1.ConditionPlaced, which is there as long as there is
// something to say. nil leaves the status alone.
func withPlaced(a *decide.Assignment, merged map[string]any, now time.Time) map[string]any {
	return withCondition(a, merged, v1alpha1.ConditionPlaced, metav1.ConditionFalse, a.Concern(), now)
}

// withReached is the status of an object with its condition v1alpha1.ConditionReached. nil leaves the status alone.
func withReached(a *decide.Assignment, merged map[string]any, members []aggregate.MemberStatus, now time.Time) map[string]any {
	var said []string
	is, status := decide.Concern{}, metav1.ConditionUnknown
	for _, s := range members {
		if s.Reachable || s.Replicas != nil && *s.Replicas == 0 || a.Finished() {
			continue
		}
		said = append(said, unreached(a, s))
		switch {
		case s.Lost:
			is.Reason, status = v1alpha1.ReasonClusterLost, metav1.ConditionFalse
		case is.Reason == "":
			is.Reason = v1alpha1.ReasonClusterAway
		}
	}
	is.Message = strings.Join(said, "; ")
	return withCondition(a, merged, v1alpha1.ConditionReached, status, is, now)
}

// unreached says what is not known of a cluster that does not answer.
func unreached(a *decide.Assignment, s aggregate.MemberStatus) string {
	what := "what it runs"
	if s.Replicas != nil {
		what = replicas(*s.Replicas) + " there"
	}
	switch {
	case !s.Lost:
		return fmt.Sprintf("%s is out of reach: %s counted as last seen", s.Cluster, isOrAre(what, s.Replicas))
	case a.Division == kinds.Completions || a.Division == kinds.One:
		return fmt.Sprintf("%s is lost: the state of its pods is unknown, and their work is not repeated elsewhere", s.Cluster)
	case s.Replicas == nil:
		return fmt.Sprintf("%s is lost: %s not counted", s.Cluster, isOrAre(what, nil))
	}
	return fmt.Sprintf("%s is lost: %s not ready", s.Cluster, isOrAre(what, s.Replicas))
}

func isOrAre(what string, n *int32) string {
	if n == nil || *n == 1 {
		return what + " is"
	}
	return what + " are"
}

func replicas(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}

// withCondition is the status with a condition of Hanse's own; of the zero Concern there is none. nil leaves the
// status alone.
func withCondition(a *decide.Assignment, merged map[string]any, conditionType string, status metav1.ConditionStatus, is decide.Concern, now time.Time) map[string]any {
	isIt := func(c any) bool {
		m, ok := c.(map[string]any)
		return ok && m["type"] == conditionType
	}
	before, _, _ := unstructured.NestedSlice(a.Object.Object, "status", "conditions")
	at := slices.IndexFunc(before, isIt)
	if is == (decide.Concern{}) && at < 0 || !hasConditions(a) {
		return merged
	}
	if merged == nil {
		status, _ := a.Object.Object["status"].(map[string]any)
		if merged = maps.Clone(status); merged == nil {
			merged = map[string]any{}
		}
	}
	conditions, _ := merged["conditions"].([]any)
	conditions = slices.DeleteFunc(slices.Clone(conditions), isIt)
	if is != (decide.Concern{}) {
		since := now.UTC().Format(time.RFC3339)
		if at >= 0 && before[at].(map[string]any)["status"] == string(status) {
			since, _ = before[at].(map[string]any)["lastTransitionTime"].(string)
		}
		conditions = append(conditions, map[string]any{
			"type": conditionType, "status": string(status),
			"reason": is.Reason, "message": is.Message, "lastTransitionTime": since,
		})
	}
	merged["conditions"] = conditions
	return merged
}

// hasConditions says whether the kind's status has conditions of the usual form; for kinds that Hanse does not know nobody
// can tell.
func hasConditions(a *decide.Assignment) bool {
	switch a.Key.GR.Group {
	case "apps":
		return true
	case "batch":
		return a.Division == kinds.Completions || a.Division == kinds.One
	case "":
		return a.Key.GR.Resource == "replicationcontrollers"
	}
	return false
}
