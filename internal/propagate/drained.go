package propagate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// leftover is a workload of which there is something in a cluster that is drained.
type leftover struct {
	name    string
	why     string
	blocked bool // it will stay unless something changes
}

// shownLeftovers bounds a condition's message.
const shownLeftovers = 5

// drained is the condition of a cluster that is being drained, nil of any other.
func (e *Engine) drained(name string) *metav1.Condition {
	e.mu.RLock()
	m, draining := e.members[name], e.drains.clusters[name]
	var left []leftover
	if m != nil && draining {
		left = e.leftIn(m)
	}
	turn := e.drains.turn
	e.mu.RUnlock()
	if m == nil || !draining {
		return nil
	}
	c := &metav1.Condition{Type: v1alpha1.ConditionDrained, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEmpty,
		Message: "no pods of workloads that are divided remain; what runs in every cluster, as DaemonSets, stays"}
	if len(left) == 0 {
		return c
	}
	c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonBlocked
	if slices.ContainsFunc(left, func(l leftover) bool { return !l.blocked }) {
		c.Reason = v1alpha1.ReasonDraining
	}
	// What moves is said first.
	slices.SortFunc(left, func(a, b leftover) int {
		if a.blocked != b.blocked {
			if b.blocked {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.name, b.name)
	})
	var said []string
	for _, l := range left[:min(len(left), shownLeftovers)] {
		said = append(said, l.name+": "+l.why)
	}
	c.Message = fmt.Sprintf("%d workloads are left: %s", len(left), strings.Join(said, "; "))
	if len(left) == 1 {
		c.Message = "1 workload is left: " + said[0]
	}
	if more := len(left) - shownLeftovers; more > 0 {
		c.Message += fmt.Sprintf("; and %d more", more)
	}
	if turn.Name != "" {
		c.Message += ". In motion is PodDisruptionBudget " + turn.String()
	}
	return c
}

// leftIn is what is left of workloads in a member. Engine.mu is held at least for
// reading.
func (e *Engine) leftIn(m *member) (left []leftover) {
	for _, r := range e.resources {
		for _, t := range r.templates {
			if t.division == kinds.Everywhere || t.division == kinds.OneActive {
				continue
			}
			rec := m.get(t.key)
			if l, ok := e.leftOf(t, &rec, m.name); ok {
				l.name = strings.ToLower(r.gvk.Kind) + " " + t.key.Namespace + "/" + t.key.Name
				left = append(left, l)
			}
		}
	}
	return left
}

func (e *Engine) leftOf(t *template, rec *record, cluster string) (l leftover, ok bool) {
	given, there := t.shares[cluster].replicas, rec.running()
	switch {
	case staysPut(t.division):
		if given == 0 || !rec.seen.exists() || t.finished() {
			return l, false
		}
		return leftover{why: "not moved, its work must not be done twice", blocked: true}, true
	case given == 0 && there == 0:
		return l, false
	case e.awaitsTurn(t):
		budget, _ := e.budgetOf(t)
		return leftover{why: fmt.Sprintf("%d, when it is the turn of PodDisruptionBudget %s", given, budget.Name)}, true
	case given > 0 && !t.undecided:
		why := t.decision.Reason
		if why == "" {
			why = "no other cluster can take them"
		}
		return leftover{why: fmt.Sprintf("%d cannot be moved: %s", given, why), blocked: true}, true
	}
	return leftover{why: fmt.Sprintf("%d, until others are ready", max(given, there))}, true
}

// running is how many replicas the member was told to run, or runs still.
func (r *record) running() (n int32) {
	if !r.seen.exists() {
		return 0
	}
	if r.seen.replicas != nil {
		n = *r.seen.replicas
	}
	if pods, ok := r.seen.status["replicas"].(int64); ok {
		n = max(n, toInt32(pods))
	}
	return n
}
