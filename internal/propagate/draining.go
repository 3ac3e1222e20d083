package propagate

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/internal/kinds"
)

// drains is how far the drains of clusters have come. It is guarded by Engine.mu.
// Workloads that one PodDisruptionBudget selects are in motion together, those of
// the next one only when these are ready elsewhere; what no budget selects is moved
// at once. After a restart it begins with the first budget again, whose workloads
// have gone: that takes no time.
type drains struct {
	clusters map[string]bool // that are being drained
	turn     types.NamespacedName
	done     map[types.NamespacedName]bool
	budgets  map[string][]budget // by namespace
	known    bool                // whether budgets have been read
}

// drainInterval is how often it is looked whether it is the next budget's turn, while
// something is drained.
const drainInterval = 200 * time.Millisecond

func budgetsResource() schema.GroupResource {
	return schema.GroupResource{Group: "policy", Resource: "poddisruptionbudgets"}
}

// keepDrains begins and ends drains as the clusters' specs say. Engine.mu is held.
func (e *Engine) keepDrains(clusters map[string]*cluster) {
	now := map[string]bool{}
	for name, c := range clusters {
		if c.drained {
			now[name] = true
		}
	}
	if !maps.Equal(now, e.drains.clusters) {
		e.drains = drains{clusters: now, done: map[types.NamespacedName]bool{}}
		e.drains.budgets, e.drains.known = e.readBudgets()
		wake(e.draining)
	}
}

// wake sends on a channel of capacity 1.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// watchDrains lets budgets have their turns until ctx ends.
func (e *Engine) watchDrains(ctx context.Context) {
	ticker := time.NewTicker(drainInterval)
	defer ticker.Stop()
	for {
		ticker.Stop()
		if e.stepDrains() {
			ticker.Reset(drainInterval)
		}
		select {
		case <-ctx.Done():
			return
		case <-e.draining:
		case <-ticker.C:
		}
	}
}

// stepDrains lets the next budget have its turn if the one before has had it, and
// says whether there is anything to drain.
func (e *Engine) stepDrains() bool {
	var keys []Key
	draining := false
	e.locked(func() {
		if draining = len(e.drains.clusters) > 0; !draining {
			return
		}
		before := e.drains.known
		if e.drains.budgets, e.drains.known = e.readBudgets(); e.drains.known {
			if !before {
				keys = e.decideAll() // what no budget selects need not wait
			}
			keys = append(keys, e.nextTurn()...)
		}
	})
	if !draining {
		return false
	}
	e.toMembers(keys...)
	e.changes.notify(keys...)
	return true
}

// nextTurn is what was decided again because it is its budget's turn. Engine.mu is held.
func (e *Engine) nextTurn() []Key {
	waiting := map[types.NamespacedName]bool{}
	resting := true // whether the turn that is, has been had
	for _, r := range e.resources {
		for _, t := range r.templates {
			budget, ok := e.budgetOf(t)
			switch {
			case !ok || e.drains.done[budget]:
			case budget == e.drains.turn:
				resting = resting && !t.undecided && e.moved(t)
			case e.runsInDrained(t):
				waiting[budget] = true
			}
		}
	}
	if !resting {
		return nil
	}
	if e.drains.turn.Name != "" {
		e.drains.done[e.drains.turn] = true
		e.drains.turn = types.NamespacedName{}
	}
	next := slices.SortedFunc(maps.Keys(waiting), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	if len(next) == 0 {
		return nil
	}
	e.drains.turn = next[0]
	return e.decideSome(func(t *template) bool {
		budget, ok := e.budgetOf(t)
		return ok && budget == next[0]
	})
}

// runsInDrained says whether t has replicas in a cluster that is being drained.
func (e *Engine) runsInDrained(t *template) bool {
	for name := range e.drains.clusters {
		if t.shares[name].replicas > 0 {
			return true
		}
	}
	return false
}

// awaitsTurn says whether a drain is not to move t so far. Engine.mu is held at least
// for reading.
func (e *Engine) awaitsTurn(t *template) bool {
	if len(e.drains.clusters) == 0 || t.division != kinds.Replicas {
		return false
	}
	if !e.drains.known {
		return true
	}
	budget, ok := e.budgetOf(t)
	return ok && budget != e.drains.turn && !e.drains.done[budget]
}

// budgetOf is the PodDisruptionBudget at the hub that selects the pods of t, the
// first by name if there are several. Engine.mu is held at least for reading.
func (e *Engine) budgetOf(t *template) (name types.NamespacedName, ok bool) {
	budgets := e.drains.budgets[t.key.Namespace]
	if len(budgets) == 0 || t.division != kinds.Replicas {
		return name, false
	}
	pods, _, _ := unstructured.NestedStringMap(t.content.object, "spec", "template", "metadata", "labels")
	for _, b := range budgets {
		if b.pods.Matches(labels.Set(pods)) {
			return types.NamespacedName{Namespace: t.key.Namespace, Name: b.name}, true
		}
	}
	return name, false
}

// budget is a PodDisruptionBudget.
type budget struct {
	name string
	pods labels.Selector
}

// readBudgets is the hub's budgets by namespace, each by name. known is false while
// they have not been read. Engine.mu is held at least for reading.
func (e *Engine) readBudgets() (all map[string][]budget, known bool) {
	r := e.resources[budgetsResource()]
	if r == nil || !r.synced {
		return nil, false
	}
	all = map[string][]budget{}
	for at, t := range r.templates {
		if pods := selectorOf(t); pods != nil {
			all[at.Namespace] = append(all[at.Namespace], budget{at.Name, pods})
		}
	}
	for _, budgets := range all {
		slices.SortFunc(budgets, func(a, b budget) int { return strings.Compare(a.name, b.name) })
	}
	return all, true
}

// selectorOf is the selector of a budget, nil if it selects nothing.
func selectorOf(t *template) labels.Selector {
	raw, found, _ := unstructured.NestedMap(t.content.object, "spec", "selector")
	if !found {
		return nil // so in policy/v1
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return nil
	}
	s, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return nil
	}
	return s
}
