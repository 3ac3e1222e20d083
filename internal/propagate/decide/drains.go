package decide

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// drains is how far the drains of clusters have come. Workloads that one PodDisruptionBudget selects are in motion together,
// those of the next one only when these are ready elsewhere; what no budget selects is moved at once. After a restart it
// begins with the first budget again, whose workloads have gone: that takes no time. Its maps are replaced, never
// changed.
type drains struct {
	clusters map[string]bool // that are being drained
	turn     types.NamespacedName
	done     map[types.NamespacedName]bool
	budgets  map[string][]budget // by namespace
	known    bool                // whether budgets have been read
	next     time.Time           // when to look whose turn it is
}

// drainInterval is how often it is looked at most whether it is the next budget's turn.
const drainInterval = 200 * time.Millisecond

// budget is a PodDisruptionBudget.
type budget struct {
	name string
	pods labels.Selector
}

// keepDrains begins and ends drains as the clusters' specs say.
func (w *World) keepDrains() {
	now := map[string]bool{}
	for name, c := range w.clusters {
		if c.Drained {
			now[name] = true
		}
	}
	if maps.Equal(now, w.drains.clusters) {
		return
	}
	w.drains = drains{clusters: now}
	w.drains.budgets, w.drains.known = w.readBudgets()
	if len(now) > 0 {
		w.drains.next = w.now
	}
}

// drainsChanged has it looked before long whose turn it is: something changed that this may depend on.
func (w *World) drainsChanged() {
	if len(w.drains.clusters) > 0 && w.drains.next.IsZero() {
		w.drains.next = w.now.Add(drainInterval)
	}
}

// stepDrains lets the next budget have its turn if the one before has had it.
func (w *World) stepDrains() {
	d := &w.drains
	if !agenda.Due(d.next, w.now) {
		return
	}
	d.next = time.Time{}
	if w.backlog.Some() {
		w.drainsChanged() // what is decided is not as it was asked for yet
		return
	}
	known := d.known
	if d.budgets, d.known = w.readBudgets(); !d.known {
		return
	}
	if !known { // what no budget selects need not wait
		w.backlog.Add(w.keys(func(*object) bool { return true }), agenda.Work{Decide: true})
		w.drainsChanged()
		return
	}
	w.nextTurn()
}

// nextTurn has decided again what is selected by the budget whose turn begins.
func (w *World) nextTurn() {
	d := &w.drains
	waiting := map[types.NamespacedName]bool{}
	resting := true // whether the turn that is, has been had
	for _, r := range w.resources {
		for _, o := range r.objects {
			if o.a == nil {
				continue
			}
			budget, ok := w.budgetOf(o.a)
			switch {
			case !ok || d.done[budget]:
			case budget == d.turn:
				resting = resting && !o.a.Undecided && w.moved(o, o.a)
			case w.runsInDrained(o.a):
				waiting[budget] = true
			}
		}
	}
	if !resting {
		return
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
		return
	}
	d.turn = slices.MinFunc(slices.Collect(maps.Keys(waiting)), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	w.backlog.Hurry(w.keys(func(o *object) bool {
		budget, ok := w.budgetOf(o.a)
		return ok && budget == d.turn
	}), agenda.Work{Decide: true})
	w.drainsChanged()
}

// runsInDrained says whether a has replicas in a cluster that is being drained.
func (w *World) runsInDrained(a *Assignment) bool {
	for name := range w.drains.clusters {
		if a.Shares[name].Replicas > 0 {
			return true
		}
	}
	return false
}

// awaitsTurn says whether a drain is not to move a yet.
func (w *World) awaitsTurn(a *Assignment) bool {
	if len(w.drains.clusters) == 0 || a.Division != replicas {
		return false
	}
	if !w.drains.known {
		return true
	}
	budget, ok := w.budgetOf(a)
	return ok && budget != w.drains.turn && !w.drains.done[budget]
}

// budgetOf is the PodDisruptionBudget at the hub that selects the pods of a, the first by name if there are several.
func (w *World) budgetOf(a *Assignment) (name types.NamespacedName, ok bool) {
	budgets := w.drains.budgets[a.Key.Namespace]
	if len(budgets) == 0 || a.Division != replicas {
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

// readBudgets is the hub's budgets by namespace, each by name. known is false while they have not been read.
func (w *World) readBudgets() (all map[string][]budget, known bool) {
	r := w.resources[template.Budgets()]
	if r == nil || !r.synced {
		return nil, false
	}
	all = map[string][]budget{}
	for at, o := range r.objects {
		if o.a == nil {
			continue
		}
		if pods := selectorOf(o.a.Template); pods != nil {
			all[at.Namespace] = append(all[at.Namespace], budget{at.Name, pods})
		}
	}
	for _, budgets := range all {
		slices.SortFunc(budgets, func(a, b budget) int { return strings.Compare(a.name, b.name) })
	}
	return all, true
}

// selectorOf is the selector of a budget, nil if it selects nothing.
func selectorOf(t *template.Template) labels.Selector {
	raw, found, _ := unstructured.NestedMap(t.Content.Object, "spec", "selector")
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

// leftover is a workload of which there is something in a cluster that is drained.
type leftover struct {
	name    string
	why     string
	blocked bool // it will stay unless something changes
}

// shownLeftovers bounds a condition's message.
const shownLeftovers = 5

// drained is the condition of a cluster that is being drained, nil of any other.
func (w *World) drained(name string) *metav1.Condition {
	if w.clusters[name] == nil || !w.drains.clusters[name] {
		return nil
	}
	c := &metav1.Condition{Type: v1alpha1.ConditionDrained, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEmpty,
		Message: "no pods of divided workloads remain; what runs in every cluster, such as DaemonSets, stays"}
	left := w.leftIn(name)
	if len(left) == 0 {
		return c
	}
	c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonBlocked
	if slices.ContainsFunc(left, func(l leftover) bool { return !l.blocked }) {
		c.Reason = v1alpha1.ReasonDraining
	}
	slices.SortFunc(left, func(a, b leftover) int { // what moves is said first
		switch {
		case a.blocked == b.blocked:
			return cmp.Compare(a.name, b.name)
		case b.blocked:
			return -1
		}
		return 1
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
	if turn := w.drains.turn; turn.Name != "" {
		c.Message += ". Moving now: PodDisruptionBudget " + turn.String()
	}
	return c
}

// leftIn is what is left of workloads in a member.
func (w *World) leftIn(cluster string) (left []leftover) {
	for _, r := range w.resources {
		for _, o := range r.objects {
			if o.a == nil || o.a.Division == kinds.Everywhere || o.a.Division == kinds.OneActive {
				continue
			}
			if l, ok := w.leftOf(o, cluster); ok {
				l.name = strings.ToLower(r.gvk.Kind) + " " + o.key.Namespace + "/" + o.key.Name
				left = append(left, l)
			}
		}
	}
	return left
}

func (w *World) leftOf(o *object, cluster string) (l leftover, ok bool) {
	a, seen := o.a, o.seen[cluster]
	given, there := a.Shares[cluster].Replicas, seen.Running()
	switch {
	case a.StaysPut():
		if given == 0 || !seen.Exists() || a.Finished() {
			return l, false
		}
		return leftover{why: "not moved, because its work must not be done twice", blocked: true}, true
	case given == 0 && there == 0:
		return l, false
	case w.awaitsTurn(a):
		budget, _ := w.budgetOf(a)
		return leftover{why: fmt.Sprintf("%d wait for the turn of PodDisruptionBudget %s", given, budget.Name)}, true
	case given > 0 && !a.Undecided:
		why := a.Decision.Reason
		if why == "" {
			why = "no other cluster can take them"
		}
		return leftover{why: fmt.Sprintf("%d cannot be moved: %s", given, why), blocked: true}, true
	}
	return leftover{why: fmt.Sprintf("%d, until others are ready", max(given, there))}, true
}
