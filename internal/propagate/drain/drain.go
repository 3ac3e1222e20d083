// Package drain is how far the drains of clusters have come. Workloads that one PodDisruptionBudget selects are in motion together,
// those of the next one only when these are ready elsewhere; what no budget selects is moved at once. It is pure.
package drain

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
)

// interval is how often it is looked at most whether it is the next budget's turn.
const interval = 200 * time.Millisecond

// Drains is which clusters are being drained, and whose turn it is. After a restart it begins with the first budget again, whose
// workloads have gone: that takes no time. Its maps are replaced, never changed, so that a copy of it is a clone. The zero Drains are none.
type Drains struct {
	clusters map[string]bool // that are being drained
	turn     types.NamespacedName
	done     map[types.NamespacedName]bool
	budgets  Budgets
	known    bool      // whether budgets have been read
	next     time.Time // when to look whose turn it is
}

// Some says whether any cluster is being drained.
func (d *Drains) Some() bool { return len(d.clusters) > 0 }

// Drains says whether a cluster is being drained.
func (d *Drains) Drains(cluster string) bool { return d.clusters[cluster] }

// Keep is told which clusters are being drained. It says whether others are than before: then all begins again, and Read has to be called.
func (d *Drains) Keep(clusters map[string]bool, now time.Time) (changed bool) {
	if maps.Equal(clusters, d.clusters) {
		return false
	}
	*d = Drains{clusters: clusters}
	if len(clusters) > 0 {
		d.next = now
	}
	return true
}

// Read takes over the hub's budgets; known is false while the hub's have not been read. first says that they are known for the first time.
func (d *Drains) Read(budgets Budgets, known bool) (first bool) {
	first = known && !d.known
	d.budgets, d.known = budgets, known
	return first
}

// Known says whether the budgets have been read.
func (d *Drains) Known() bool { return d.known }

// Changed has it looked before long whose turn it is: something changed that this may depend on.
func (d *Drains) Changed(now time.Time) {
	if d.Some() && d.next.IsZero() {
		d.next = now.Add(interval)
	}
}

// Next is when to look whose turn it is, zero if nothing is to be waited for.
func (d *Drains) Next() time.Time { return d.next }

// Due says whether to look now whose turn it is, once.
func (d *Drains) Due(now time.Time) bool {
	if !agenda.Due(d.next, now) {
		return false
	}
	d.next = time.Time{}
	return true
}

// NextTurn lets the next budget have its turn if the one before has had it: all that it selects has moved. It says whether a turn
// begins. moved is asked of what is decided and not to be recorded any more.
func (d *Drains) NextTurn(all iter.Seq[*assignment.Assignment], moved func(a *assignment.Assignment) bool) (begins bool) {
	waiting := map[types.NamespacedName]bool{}
	resting := true // whether the turn that is, has been had
	for a := range all {
		budget, ok := d.budgetOf(a)
		switch {
		case !ok || d.done[budget]:
		case budget == d.turn:
			resting = resting && !a.Undecided && moved(a)
		case d.runsInDrained(a):
			waiting[budget] = true
		}
	}
	if !resting {
		return false
	}
	if d.turn.Name != "" {
		done := maps.Clone(d.done)
		if done == nil {
			done = map[types.NamespacedName]bool{}
		}
		done[d.turn] = true
		d.done, d.turn = done, types.NamespacedName{}
	}
	if len(waiting) == 0 {
		return false
	}
	d.turn = slices.MinFunc(slices.Collect(maps.Keys(waiting)), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	return true
}

// HasTurn says whether it is the turn of the budget that selects the pods of a.
func (d *Drains) HasTurn(a *assignment.Assignment) bool {
	budget, ok := d.budgetOf(a)
	return ok && budget == d.turn
}

// runsInDrained says whether a has replicas in a cluster that is being drained.
func (d *Drains) runsInDrained(a *assignment.Assignment) bool {
	for name := range d.clusters {
		if a.Shares[name].Replicas > 0 {
			return true
		}
	}
	return false
}

// Waits says whether a drain is not to move a yet.
func (d *Drains) Waits(a *assignment.Assignment) bool {
	if !d.Some() || a.Division != kinds.Replicas {
		return false
	}
	if !d.known {
		return true
	}
	budget, ok := d.budgetOf(a)
	return ok && budget != d.turn && !d.done[budget]
}

// budgetOf is the PodDisruptionBudget at the hub that selects the pods of a, the first by name if there are several.
func (d *Drains) budgetOf(a *assignment.Assignment) (name types.NamespacedName, ok bool) {
	budgets := d.budgets[a.Key.Namespace]
	if len(budgets) == 0 || a.Division != kinds.Replicas {
		return name, false
	}
	pods, _, _ := unstructured.NestedStringMap(a.Content.Object, "spec", "template", "metadata", "labels")
	for _, b := range budgets {
		if b.pods.Matches(labels.Set(pods)) {
			return types.NamespacedName{Namespace: a.Key.Namespace, Name: b.name}, true
		}
	}
	return name, false
}

// State is what Drains know beside budgets and clusters, as plain data.
type State struct {
	Turn        types.NamespacedName
	Done        []types.NamespacedName
	DrainsKnown bool
	DrainsNext  time.Time
}

// Remember is what d knows.
func (d *Drains) Remember() State {
	return State{Turn: d.turn, Done: slices.Collect(maps.Keys(d.done)), DrainsKnown: d.known, DrainsNext: d.next}
}

// Restore has d know what in says of these clusters. Read has to be called after it.
func (d *Drains) Restore(in State) {
	d.turn, d.known, d.next, d.done = in.Turn, in.DrainsKnown, in.DrainsNext, nil
	if len(in.Done) > 0 {
		d.done = map[types.NamespacedName]bool{}
	}
	for _, name := range in.Done {
		d.done[name] = true
	}
}
