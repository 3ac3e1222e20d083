package decide

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
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
	o.a = a
}

// tell is an event about an object.
func (w *World) tell(t *template.Template, kind, reason, message string) {
	w.out.others = append(w.out.others, Tell{Template: t, Type: kind, Reason: reason, Message: message})
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
		w.facts = w.newFacts()
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
		members := o.force || concernsMembers(b, a)
		if members {
			deliver = append(deliver, o.key)
		}
		if members || o.show || concernsPlacement(b, a) {
			changed = append(changed, o.key)
		}
		w.out.count = w.out.count || concernsPolicies(b, a)
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

// concernsMembers says whether members have to look at an object again: not for what was changed at the hub only, as its
// status, and not before its decision is recorded.
func concernsMembers(b, a *Assignment) bool {
	switch {
	case b == a:
		return false
	case b == nil || a == nil:
		return b != nil || !a.Undecided
	case a.Undecided:
		return false
	}
	return b.Undecided || b.UID != a.UID || b.AwaitsNamespace != a.AwaitsNamespace || b.Content != a.Content || b.Going != a.Going ||
		b.FollowsMembers != a.FollowsMembers || b.Withheld() != a.Withheld() || b.RolloutRevision() != a.RolloutRevision() ||
		!sameMap(b.Shares, a.Shares) || !maps.Equal(b.Now, a.Now) || !sameShapes(b.Shapes, a.Shapes) || !sameTurns(b.Turns, a.Turns) ||
		b.Finished() != a.Finished() || !sameMetadata(b, a, "annotations", v1alpha1.AnnotationConflict)
}

// concernsPlacement says whether a Placement may be another, beyond what concerns members.
func concernsPlacement(b, a *Assignment) bool {
	if b == a {
		return false
	}
	if b == nil || a == nil || b.Undecided != a.Undecided || b.Policy != a.Policy || b.Progress != a.Progress || b.Progressed != a.Progressed {
		return true
	}
	return b.Object.GetGeneration() != a.Object.GetGeneration() || !sameMetadata(b, a, "labels") ||
		!sameDecision(&b.Decision, &a.Decision) || !sameSlice(b.Decision.Shares, a.Decision.Shares) || !sameSlice(b.Decision.Rejected, a.Decision.Rejected)
}

// sameMap compares maps that are the same one more often than not.
func sameMap[V comparable](a, b map[string]V) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer() || maps.Equal(a, b)
}

// sameSlice compares slices that are the same one more often than not.
func sameSlice[V comparable](a, b []V) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// sameMetadata compares the labels or annotations of two objects, only those with some names if any are given, without a copy of
// either.
func sameMetadata(a, b *Assignment, field string, names ...string) bool {
	if a.Object == b.Object {
		return true
	}
	x, y := metadata(a, field), metadata(b, field)
	if len(names) == 0 {
		return maps.EqualFunc(x, y, func(v, w any) bool { return v == w })
	}
	return !slices.ContainsFunc(names, func(name string) bool { return x[name] != y[name] })
}

func metadata(a *Assignment, field string) map[string]any {
	m, _ := a.Object.Object["metadata"].(map[string]any)
	all, _ := m[field].(map[string]any)
	return all
}

// concernsPolicies says whether what policies apply to may have changed.
func concernsPolicies(b, a *Assignment) bool {
	return b != a && (b == nil || a == nil || b.UID != a.UID || b.Policy != a.Policy || !sameMetadata(b, a, "labels"))
}

func sameTurns(a, b map[string]template.Turn) bool {
	return maps.EqualFunc(a, b, func(x, y template.Turn) bool {
		return x.Revision == y.Revision && x.AsIs == y.AsIs && x.Waits == y.Waits && (x.Template == nil) == (y.Template == nil)
	})
}
