package decide

import (
	"iter"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/drain"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// keepDrains begins and ends drains as the clusters' specs say.
func (w *World) keepDrains() {
	if w.drains.Keep(w.drained(), w.now) {
		w.drains.Read(w.readBudgets())
	}
}

// drained are the clusters that are to be drained.
func (w *World) drained() map[string]bool {
	all := map[string]bool{}
	for name, c := range w.clusters {
		if c.Drained {
			all[name] = true
		}
	}
	return all
}

// stepDrains lets the next budget have its turn if the one before has had it.
func (w *World) stepDrains() {
	d := &w.drains
	if !d.Due(w.now) {
		return
	}
	if w.backlog.Some() {
		d.Changed(w.now) // what is decided is not as it was asked for yet
		return
	}
	if d.Read(w.readBudgets()) { // what no budget selects need not wait
		w.backlog.Add(w.keys(func(*object) bool { return true }), agenda.Work{Decide: true})
		d.Changed(w.now)
		return
	}
	if !d.Known() {
		return
	}
	if d.NextTurn(w.assignments(), func(a *Assignment) bool { return w.moved(w.stored(a.Key), a) }) {
		w.backlog.Hurry(w.keys(func(o *object) bool { return d.HasTurn(o.a) }), agenda.Work{Decide: true})
		d.Changed(w.now)
	}
}

// assignments are all there are, in no order.
func (w *World) assignments() iter.Seq[*Assignment] {
	return func(yield func(*Assignment) bool) {
		for _, r := range w.resources {
			for _, o := range r.objects {
				if o.a != nil && !yield(o.a) {
					return
				}
			}
		}
	}
}

// readBudgets is the hub's budgets. known is false while they have not been read.
func (w *World) readBudgets() (all drain.Budgets, known bool) {
	r := w.resources[template.Budgets()]
	if r == nil || !r.synced {
		return nil, false
	}
	return drain.ReadBudgets(func(yield func(*template.Template) bool) {
		for _, o := range r.objects {
			if o.a != nil && !yield(o.a.Template) {
				return
			}
		}
	}), true
}

// drainedCondition is the condition of a cluster that is being drained, nil of any other.
func (w *World) drainedCondition(name string) *metav1.Condition {
	if w.clusters[name] == nil || !w.drains.Drains(name) {
		return nil
	}
	var left []drain.Leftover
	for _, r := range w.resources {
		for _, o := range r.objects {
			if o.a == nil {
				continue
			}
			if l, ok := w.drains.LeftOf(o.a, name, o.seen[name]); ok {
				l.Name = strings.ToLower(r.gvk.Kind) + " " + o.key.Namespace + "/" + o.key.Name
				left = append(left, l)
			}
		}
	}
	return w.drains.Condition(left)
}
