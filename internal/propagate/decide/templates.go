package decide

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
	"github.com/hanse-dev/hanse/internal/schedule"
)

const (
	replicas    = kinds.Replicas
	completions = kinds.Completions
)

// list takes over all templates of a resource.
func (w *World) list(in Listed) {
	r := w.ownResource(in.GR)
	if r == nil {
		return
	}
	there := make(map[template.Key]bool, len(in.Templates))
	for _, t := range in.Templates {
		there[t.Key] = true
		w.write(t)
	}
	for _, key := range w.keys(func(o *object) bool { return o.key.GR == in.GR && !there[o.key] }) {
		w.gone(w.own(key))
	}
	if !r.synced {
		r.synced = true
		w.out.count = true
		w.steers(in.GR)
		w.readMore()
	}
	w.boundsSoon() // they may have waited for this
}

// write takes over a template. Where nothing that decides is different, nothing is decided.
func (w *World) write(t *template.Template) {
	o := w.own(t.Key)
	if o == nil {
		return
	}
	w.touch(o)
	o.written = true
	if o.a != nil && o.a.UID != t.UID {
		w.forgetPast(o)
		*o = object{owner: o.owner, key: o.key, a: o.a, seen: o.seen, touched: true, written: true, before: o.before}
	}
	if b := o.a; b != nil && b.UID == t.UID {
		if same := o.carry(t, b.Policy); template.SameInput(b.Template, same) {
			next := *b
			next.Template = same
			if o.lateFor == b.Template {
				o.lateFor = same
			}
			w.put(o, &next)
			if same.Quota != nil {
				w.status(o.key, 0) // the hub's own controller counts what is at the hub
			}
			if b.Recording == nil {
				return
			}
			w.look(o, false)
			return
		}
	}
	w.settle(t.Key)
	w.decideWritten(o, t)
	w.steers(t.Key.GR)
}

func (w *World) decideWritten(o *object, t *template.Template) {
	b := o.a
	a := &Assignment{Template: t, Policy: w.policies.For(t)}
	known := b != nil && b.UID == t.UID
	if known {
		a.Template = o.carry(t, a.Policy)
		if rollout.Rolls(t.Key.GR) && b.Content.Revision != t.Content.Revision {
			w.out.first = append(w.out.first, KeepRevision{b.Template})
			w.asked(b)
		}
	}
	a.Template = w.recovered(a.Template)
	d := w.decide(a, b)
	if known {
		d.Shares = assignment.LastingReasons(b.Decision.Shares, d.Shares)
	}
	w.assign(o, a, d)
	if b == nil || b.Object.GetGeneration() != t.Object.GetGeneration() {
		w.status(o.key, 0)
	}
}

// assign has an object be decided as d says.
func (w *World) assign(o *object, a *Assignment, d schedule.Decision) {
	b := o.a
	if b != nil && b.UID == a.UID && b.Division == replicas && a.Division == replicas && assignment.SameShares(&b.Decision, &d) {
		a.Decision, a.Shares = d, b.Shares
	} else {
		a.SetDecision(d)
		a.Shares = w.workShares(o, a)
	}
	a.Shapes = w.shapes(a)
	a.AwaitsNamespace = w.policies.AwaitsNamespace(a.Template)
	w.persist(a)
	w.scale(o, a)
	w.allot(b, a)
	w.announce(b, a)
	w.expire(a)
	w.refresh(o, a, false)
	w.put(o, a)
	w.drains.Changed(w.now)
	if a.FollowsMembers && o.hasOwn() {
		w.followSoon(o)
	}
	if s := a.Scaler; s != nil && s.Divide {
		w.lookAt(s.Of) // its total follows, or not
		w.alarms.Set(w.now.Add(lookDelay), agenda.Alarm{Key: s.Of})
	}
}

// carry is t with what the hub's object does not say, but did before or will again. p is the policy that applies.
func (o *object) carry(t *template.Template, p *policy.Policy) *template.Template {
	b := o.a
	if o.aside != nil && !maps.Equal(t.Recorded, o.aside) {
		o.aside = nil
	}
	state, hold := t.Progress.State, t.Progress.Hold
	if governs(p, t.Key.GR) {
		switch {
		case t.Progress.Kept == "" && b.Progress.State != nil: // replaced by one without annotations: they are written again
			state, hold = b.Progress.State, b.Progress.Hold
		case state == nil && b.Content.Revision != t.Content.Revision: // the first change, before anything was recorded
			state = &rollout.State{Revision: b.Content.Revision, Done: true}
		}
	}
	if o.aside == nil && state == t.Progress.State && hold == t.Progress.Hold {
		return t
	}
	next := *t
	next.Progress.State, next.Progress.Hold = state, hold
	if o.aside != nil {
		next.Recorded = nil
	}
	return &next
}

func governs(p *policy.Policy, gr schema.GroupResource) bool {
	return p != nil && p.Rollout != nil && rollout.Rolls(gr)
}

func (w *World) remove(in Deleted) {
	a := w.at(in.Key)
	if a == nil || in.UID != "" && a.UID != in.UID {
		return
	}
	w.gone(w.own(in.Key))
	w.steers(in.Key.GR)
}

// gone forgets a template. What members show of the object is remembered.
func (w *World) gone(o *object) {
	a := o.a
	w.forgetPast(o)
	w.put(o, nil)
	w.room.Ungrant(o.key, w.now)
	w.stuck.ceilings.Forget(o.key)
	w.backlog.TakeOf(o.key)
	*o = object{owner: o.owner, key: o.key, seen: o.seen, touched: true, force: o.force, before: o.before}
	if a.Quota != nil {
		w.forgetQuota(o.key)
	}
	if s := a.Scaler; s != nil && w.scalers[s.Of] == o.key {
		delete(w.scalers, s.Of)
		w.lookAt(s.Of)
	}
	if by, scaled := w.scalers[o.key]; scaled {
		w.alarms.Set(w.now.Add(lookDelay), agenda.Alarm{Key: by})
	}
	w.drains.Changed(w.now)
}

func (w *World) forgetPast(o *object) {
	delete(w.pasts, o.a.UID)
	delete(w.moving, o.key)
}

// steers has decisions go by the objects of a resource that others depend on.
func (w *World) steers(gr schema.GroupResource) {
	switch gr {
	case template.Budgets():
		w.drains.Changed(w.now)
	case template.PriorityClasses():
		w.priorities = nil
		w.room.Changed()
	}
}

// persist says whether the division of a has to be recorded, where the formula would not say the same after a restart, and
// reserves what a is given.
func (w *World) persist(a *Assignment) {
	w.grant(a)
	a.Undecided = w.unrecorded(a)
}

func (w *World) unrecorded(a *Assignment) bool {
	d := &a.Decision
	switch same := d.Kept || a.Recorded != nil && assignment.SameAsRecorded(d, a.Recorded); {
	case same && a.Lapsed:
		return true
	case d.Hold || !d.Divided || same:
		return false
	case d.Unplaced > 0 && a.Placed() == 0:
		// After a restart it would be taken for divided by the formula, in clusters that were closed to it.
		o := w.outlook(a.Policy)
		return a.Recorded == nil && a.Division == replicas && (o.Closed || a.Under(o.Policy) != nil)
	case a.Recorded != nil || a.StaysPut() || w.steered(a):
		// What steers it, as the clusters' labels and policies, may be other after a restart. So may those be between
		// which and the hub's end work that stays put has begun.
		return true
	}
	// If nothing is known but which clusters there were when it was made, the formula has to say the same.
	return !schedule.IsEven(a.Key.String(), a.Total, w.roll().JoinedBy(a.Created), d.Shares)
}

// renew has an object decided as the clusters ask for now.
func (w *World) renew(o *object) {
	a := o.a
	if t := w.recovered(a.Template); t != a.Template {
		next := *a
		next.Template = t
		w.assign(o, &next, w.decide(&next, a))
		return
	}
	d, shapes := w.decide(a, a), w.shapes(a)
	same := assignment.SameDecision(&a.Decision, &d) && assignment.SameShapes(a.Shapes, shapes) && assignment.SameMap(a.Shares, w.workShares(o, a))
	if same && assignment.SameStates(a.Decision.Shares, d.Shares) && slices.Equal(a.Decision.Rejected, d.Rejected) {
		w.grant(a)
		w.expire(a)
		w.look(o, false)
		return
	}
	next := *a
	d.Shares = assignment.LastingReasons(a.Decision.Shares, d.Shares)
	w.assign(o, &next, d)
}

// lookAt looks at an object, if there is a template of it.
func (w *World) lookAt(key template.Key) {
	if w.at(key) != nil {
		w.look(w.own(key), false)
	}
}

// look works out again what follows from what members show, without deciding. With full also what is done only now and
// then is worked out: see refresh.
func (w *World) look(o *object, full bool) {
	a := o.a
	next := *a
	if a.Division == completions {
		if next.Shares = w.workShares(o, a); !maps.Equal(a.Shares, next.Shares) {
			w.grant(&next)
		}
	}
	w.refresh(o, &next, full)
	if !assignment.SameMap(a.Shares, next.Shares) || !maps.Equal(a.Now, next.Now) || !assignment.SameTurns(a.Turns, next.Turns) || a.Undecided != next.Undecided ||
		a.FollowsMembers != next.FollowsMembers || !assignment.SameRecording(a.Recording, next.Recording) || !a.Progressed.Equal(next.Progressed) {
		w.put(o, &next)
	}
}

// refresh fills in what of an Assignment follows from what members show. With full that is also what is recorded at most now
// and then: bounds of autoscalers, and totals.
func (w *World) refresh(o *object, a *Assignment, full bool) {
	a.FollowsMembers = w.follows(a)
	if a.Undecided && a.Scaler == nil && a.Quota == nil {
		a.Now, a.Turns = nil, nil // nothing is written
	} else {
		a.Now, a.Turns = w.move(o, a), w.turns(o, a)
	}
	if full {
		o.late, o.lateFor = w.lateRecording(o, a), a.Template
	}
	r := Recording{}
	if a.Undecided && a.Scaler == nil && a.Quota == nil {
		value := schedule.FormatDivision(a.ToRecord())
		r.Division = &value
	}
	w.rollOn(o, a, &r)
	if late := o.late; late != nil && o.lateFor == a.Template && a.Revision >= o.outdated {
		r.Add(late)
	}
	a.Recording = nil
	if !r.Empty() {
		a.Recording = &r
	}
}

// announce says by an event on the hub's object that a problem began, or changed, or is over, and what a change did not do to work
// that has begun.
func (w *World) announce(before, after *Assignment) {
	w.announceLosses(before, after)
	was, is := Concern{}, after.Concern()
	if before != nil && before.UID == after.UID {
		was = before.Concern()
	}
	if notice := after.Notice(); notice != "" && before != nil && before.Notice() != notice {
		w.tell(after.Template, corev1.EventTypeNormal, reasonKept, notice)
	}
	if was == is {
		return
	}
	w.status(after.Key, 0) // its condition
	if is == (Concern{}) {
		w.tell(after.Template, corev1.EventTypeNormal, v1alpha1.ReasonPlaced, "all of it is placed: "+after.Decision.String())
		return
	}
	w.tell(after.Template, corev1.EventTypeWarning, is.Reason, is.Message)
}

// reasonKept is that of an event.
const reasonKept = "Kept"
