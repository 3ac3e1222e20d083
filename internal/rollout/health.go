package rollout

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Workload is a workload as it is in one member.
type Workload struct {
	Kind schema.GroupKind
	// Replicas that it is to have there; of no account for a DaemonSet.
	Replicas int64
	// Generation of the object, and the one that its controller has seen.
	Generation, Observed int64
	// Spec and Status are the member's object's, nil where not known.
	Spec, Status map[string]any
}

// Health is how far a workload's pods follow its template.
type Health struct {
	// Updated, Ready and Total count pods: of the newest revision, available, and
	// wanted.
	Updated, Ready, Total int64
	// Done: all pods are of the newest revision and available.
	Done bool
	// Failed is what the member says that it does not get on with, empty: nothing.
	Failed string
}

// Rolls says whether the kind has pods that follow a template step by step:
// Deployments, StatefulSets and DaemonSets do. A change of any other kind goes
// everywhere at once.
func Rolls(gr schema.GroupResource) bool {
	if gr.Group != "apps" {
		return false
	}
	return gr.Resource == "deployments" || gr.Resource == "statefulsets" || gr.Resource == "daemonsets"
}

// HealthOf reads a workload's health. It goes by the same fields as kubectl
// rollout status.
func HealthOf(w Workload) Health {
	switch w.Kind.Kind {
	case "Deployment":
		return w.deployment()
	case "StatefulSet":
		return w.statefulSet()
	case "DaemonSet":
		return w.daemonSet()
	}
	return Health{}
}

func (w Workload) observed() bool { return w.Status != nil && w.Observed >= w.Generation }

func (w Workload) deployment() Health {
	h := Health{Updated: number(w.Status, "updatedReplicas"), Ready: number(w.Status, "availableReplicas"), Total: w.Replicas}
	h.Done = w.observed() && h.Updated == w.Replicas && number(w.Status, "replicas") == h.Updated && h.Ready >= h.Updated
	c := progressing(w.Status)
	if c["status"] == "False" && c["reason"] == "ProgressDeadlineExceeded" && w.observed() {
		h.Failed = strings.TrimSuffix(text(c, "message"), ".")
	}
	if h.Failed == "" {
		return h
	}
	// Says what the Deployment's own message does not.
	if c := condition(w.Status, "ReplicaFailure"); c["status"] == "True" {
		h.Failed += ": " + text(c, "message")
	}
	return h
}

// SaidAt is when a Deployment last said how it gets on, by its member's clock; empty
// where it did not, and for other kinds.
func SaidAt(status map[string]any) string { return text(progressing(status), "lastUpdateTime") }

func progressing(status map[string]any) map[string]any { return condition(status, "Progressing") }

func condition(status map[string]any, typ string) map[string]any {
	conditions, _ := status["conditions"].([]any)
	for _, item := range conditions {
		if c, _ := item.(map[string]any); c["type"] == typ {
			return c
		}
	}
	return nil
}

// statefulSet is done when all pods above the partition are updated; with
// updateStrategy OnDelete whoever deletes the pods decides when.
func (w Workload) statefulSet() Health {
	h := Health{Updated: number(w.Status, "updatedReplicas"), Ready: number(w.Status, "readyReplicas"), Total: w.Replicas}
	strategy, _ := w.Spec["updateStrategy"].(map[string]any)
	updated := max(0, w.Replicas-partition(strategy))
	if strategy["type"] == "OnDelete" {
		updated = 0
	}
	h.Done = w.observed() && h.Updated >= updated && h.Ready >= w.Replicas && number(w.Status, "replicas") == w.Replicas
	return h
}

func partition(strategy map[string]any) int64 {
	rolling, _ := strategy["rollingUpdate"].(map[string]any)
	return number(rolling, "partition")
}

func (w Workload) daemonSet() Health {
	wanted := number(w.Status, "desiredNumberScheduled")
	h := Health{Updated: number(w.Status, "updatedNumberScheduled"), Ready: number(w.Status, "numberAvailable"), Total: wanted}
	strategy, _ := w.Spec["updateStrategy"].(map[string]any)
	h.Done = w.observed() && (h.Updated >= wanted || strategy["type"] == "OnDelete") && h.Ready >= wanted
	return h
}

// String is the health in numbers.
func (h Health) String() string {
	return fmt.Sprintf("%d of %d updated, %d ready", h.Updated, h.Total, h.Ready)
}

func number(m map[string]any, field string) int64 {
	switch n := m[field].(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 0
}

func text(m map[string]any, field string) string {
	s, _ := m[field].(string)
	return s
}
