package decide

import (
	"reflect"
	"time"

	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// effects is what comes of one Apply.
type effects struct {
	touched []*object // whose Assignment may be another than before, or that are to be shown or delivered
	first   []Effect  // before anything is published
	others  []Effect
	facts   bool
	count   bool
	verdict *Verdict
}

func (w *World) touch(o *object) {
	if !o.touched {
		o.touched, o.before = true, o.a
		w.out.touched = append(w.out.touched, o)
	}
}

// put has an object be decided so from now on; nil: there is no template of it.
func (w *World) put(o *object, a *Assignment) {
	w.touch(o)
	w.named(o, a)
	o.a = a
}

// tell is an event about an object.
func (w *World) tell(t *template.Template, kind, reason, message string) {
	w.out.others = append(w.out.others, Tell{Event{Template: t, Type: kind, Reason: reason, Message: message}})
}

func (w *World) status(key template.Key, after time.Duration) {
	w.out.others = append(w.out.others, Status{Key: key, After: after})
}

// deliver has the members look at an object even if nothing is different for them.
func (w *World) deliver(o *object) {
	w.touch(o)
	o.force = true
}

// show says that the Placement of an object may be another.
func (w *World) show(o *object) {
	w.touch(o)
	o.show = true
}

// finish is the effects of an Apply, in the order in which they are to be carried out.
func (w *World) finish() []Effect {
	out := w.out.first
	if w.out.facts {
		w.facts = assignment.NewFacts(w.clusters, w.losses.Lost(), &w.policies)
		out = append(out, PublishFacts{w.facts})
	}
	var record []Effect
	var deliver, changed []template.Key
	for _, o := range w.out.touched {
		a, b := o.a, o.before
		if a != b {
			if a != nil {
				a.OfItself = ofItself(b, a)
			}
			out = append(out, Publish{o.key, a})
		}
		members := o.force || assignment.ConcernsMembers(b, a)
		if members {
			deliver = append(deliver, o.key)
		}
		if members || o.show || assignment.ConcernsPlacement(b, a) {
			changed = append(changed, o.key)
		}
		w.out.count = w.out.count || assignment.ConcernsPolicies(b, a)
		if a != nil && a.Recording != nil && a.Revision >= o.outdated && (o.written || b == nil || !reflect.DeepEqual(a.Recording, b.Recording)) {
			record = append(record, Record{o.key})
		}
		o.touched, o.force, o.show, o.written, o.before = false, false, false, false, nil
		w.forgetEmpty(o)
	}
	out = append(append(out, w.out.others...), record...)
	if len(deliver) > 0 {
		out = append(out, Deliver{deliver})
	}
	if len(changed) > 0 {
		out = append(out, Changed{changed})
	}
	if w.out.count {
		out = append(out, CountPolicies{})
	}
	if w.out.verdict != nil {
		out = append(out, *w.out.verdict)
	}
	if next := w.next(); !next.IsZero() {
		out = append(out, At{next})
	}
	if w.backlog.Some() {
		out = append(out, More{})
	}
	clear(w.out.touched)
	w.out = effects{touched: w.out.touched[:0]}
	return out
}
