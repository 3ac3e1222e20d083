package survive

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// namedReasons bounds how many reasons a condition names.
const namedReasons = 3

// Figure is what the loss of a cluster, region or provider would do, as a metric.
type Figure struct {
	Name
	// Unplaced replicas would have no place, Unanswered Services and hostnames no answer; QuorumLost is how many
	// StatefulSets would have lost their quorum.
	Unplaced, Unanswered, QuorumLost int
}

// Figures are one for each name of each scenario.
func (r *Report) Figures() (all []Figure) {
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		for _, name := range s.Names() {
			all = append(all, Figure{name, int(s.Unplaced), s.UnansweredServices + s.UnansweredHostnames, s.QuorumLost})
		}
	}
	return all
}

// Conditions are the Clusters', of type v1alpha1.ConditionFailoverReady, by name.
func (r *Report) Conditions() map[string]*metav1.Condition {
	all := map[string]*metav1.Condition{}
	for i := range r.Scenarios {
		if s := &r.Scenarios[i]; s.Kind == KindCluster {
			all[s.Name] = s.condition()
		}
	}
	return all
}

func (s *Scenario) condition() *metav1.Condition {
	c := &metav1.Condition{Type: v1alpha1.ConditionFailoverReady, Status: metav1.ConditionFalse}
	switch {
	case s.Survives && s.Affected == 0:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonPlaceElsewhere, "nothing runs here that would have to go elsewhere"
		return c
	case s.Survives:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonPlaceElsewhere, "everything that runs here would have a place elsewhere"
		return c
	case s.Unplaced > 0:
		c.Reason = v1alpha1.ReasonNoPlaceElsewhere
	case s.QuorumLost > 0:
		c.Reason = v1alpha1.ReasonQuorumLost
	default:
		c.Reason = v1alpha1.ReasonUnanswered
	}
	c.Message = "if this cluster were lost: " + s.Summary()
	var reasons []string
	for i := range s.Workloads {
		if w := &s.Workloads[i]; !w.Survives && len(reasons) < namedReasons {
			reasons = append(reasons, w.Said())
		}
	}
	if len(reasons) > 0 {
		c.Message += ". " + strings.Join(reasons, "; ")
	}
	return c
}

// Summary is what would not survive, in words; empty: all would.
func (s *Scenario) Summary() string {
	var said []string
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			said = append(said, "1 "+one)
		case n > 1:
			said = append(said, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(int(s.Unplaced), "replica without a place", "replicas without a place")
	add(s.QuorumLost, "StatefulSet without its quorum", "StatefulSets without their quorum")
	add(s.UnansweredServices, "Service without an answer", "Services without an answer")
	add(s.UnansweredHostnames, "hostname without an answer", "hostnames without an answer")
	return strings.Join(said, ", ")
}

// Said is what would become of a workload that would not survive, in words.
func (w *Workload) Said() string {
	name := strings.ToLower(w.Kind) + " " + w.Namespace + "/" + w.Name + ": "
	var said []string
	if w.Unplaced > w.AlreadyUnplaced {
		said = append(said, fmt.Sprintf("%d of %s without a place: %s", w.Unplaced, counted(w.Replicas), w.Reason))
	}
	if w.QuorumLost {
		said = append(said, fmt.Sprintf("%d of %s would be left, which is no quorum", w.Kept, counted(w.Replicas)))
	}
	return name + strings.Join(said, ", ")
}

func counted(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}
