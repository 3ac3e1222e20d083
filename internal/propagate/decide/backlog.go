package decide

import (
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// A slice of the backlog is sliceSize decisions, or fewer where each of them looks at many clusters.
const (
	sliceSize     = 200
	sliceClusters = 10_000 // clusters that the decisions of a slice look at
)

// slice works off some of the backlog.
func (w *World) slice() {
	n := max(1, min(sliceSize, sliceClusters/max(1, len(w.clusters))))
	for range n {
		key, what, ok := w.backlog.Take()
		if !ok {
			return
		}
		w.doWork(key, what)
	}
}

// settle does what waits for one object now, because something else comes up with it.
func (w *World) settle(key template.Key) {
	if what, waits := w.backlog.TakeOf(key); waits {
		w.doWork(key, what)
	}
}

func (w *World) doWork(key template.Key, what agenda.Work) {
	if w.at(key) == nil {
		return
	}
	o := w.own(key)
	switch {
	case what.Match && w.match(o):
	case what.Decide:
		w.renew(o)
	case what.Look:
		w.look(o, false)
	}
}
