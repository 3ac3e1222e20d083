package drain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
)

// Leftover is a workload of which there is something in a cluster that is drained.
type Leftover struct {
	Name    string
	why     string
	blocked bool // it will stay unless something changes
}

// shownLeftovers bounds a condition's message.
const shownLeftovers = 5

// Condition is the condition of a cluster that is being drained and of which that is left.
func (d *Drains) Condition(left []Leftover) *metav1.Condition {
	c := &metav1.Condition{Type: v1alpha1.ConditionDrained, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEmpty,
		Message: "no pods of divided workloads remain; what runs in every cluster, such as DaemonSets, stays"}
	if len(left) == 0 {
		return c
	}
	c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonBlocked
	if slices.ContainsFunc(left, func(l Leftover) bool { return !l.blocked }) {
		c.Reason = v1alpha1.ReasonDraining
	}
	slices.SortFunc(left, func(a, b Leftover) int { // what moves is said first
		switch {
		case a.blocked == b.blocked:
			return cmp.Compare(a.Name, b.Name)
		case b.blocked:
			return -1
		}
		return 1
	})
	var said []string
	for _, l := range left[:min(len(left), shownLeftovers)] {
		said = append(said, l.Name+": "+l.why)
	}
	c.Message = fmt.Sprintf("%d workloads are left: %s", len(left), strings.Join(said, "; "))
	if len(left) == 1 {
		c.Message = "1 workload is left: " + said[0]
	}
	if more := len(left) - shownLeftovers; more > 0 {
		c.Message += fmt.Sprintf("; and %d more", more)
	}
	if d.turn.Name != "" {
		c.Message += ". Moving now: PodDisruptionBudget " + d.turn.String()
	}
	return c
}

// LeftOf is what is left of a in a cluster, whose member shows that of it; ok is false if that is nothing.
func (d *Drains) LeftOf(a *assignment.Assignment, cluster string, seen *assignment.Observed) (l Leftover, ok bool) {
	if a.Division == kinds.Everywhere || a.Division == kinds.OneActive {
		return l, false
	}
	given, there := a.Shares[cluster].Replicas, seen.Running()
	switch {
	case a.StaysPut():
		if given == 0 || !seen.Exists() || a.Finished() {
			return l, false
		}
		return Leftover{why: "not moved, because its work must not be done twice", blocked: true}, true
	case given == 0 && there == 0:
		return l, false
	case d.Waits(a):
		budget, _ := d.budgetOf(a)
		return Leftover{why: fmt.Sprintf("%d wait for the turn of PodDisruptionBudget %s", given, budget.Name)}, true
	case given > 0 && !a.Undecided:
		return Leftover{why: fmt.Sprintf("%d cannot be moved: %s", given, cmp.Or(a.Decision.Reason, "no other cluster can take them")), blocked: true}, true
	}
	return Leftover{why: fmt.Sprintf("%d, until others are ready", max(given, there))}, true
}
