package decide

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// rolloutInterval is how often a rollout that is under way is looked at even if nothing was heard of it: clusters go away and come
// back.
const rolloutInterval = 5 * time.Second

// milestone is when a rollout was last seen to come nearer to its goal. A hub that has just started gives every step its
// deadline again.
type milestone struct {
	revision string
	count    int64 // of pods that are as they should be
	at       time.Time
}

// rollOn takes a workload's change as far as it goes now. What is to be recorded of it is added to r: only when it is, and the
// template shows it, do members act upon it.
func (w *World) rollOn(o *object, a *Assignment, r *Recording) {
	a.Progressed = time.Time{}
	switch {
	case !rollout.Rolls(a.Key.GR), a.Revision < o.outdated, a.Settled():
		return
	case !a.Governed():
		hold, none := a.HoldAfter(nil), ""
		r.State, r.Hold = &none, &hold
		return
	}
	if !w.keepsRevision(o, a) {
		return
	}
	clusters := w.rolling(o, a)
	a.Progressed = o.progressed(a.Content.Revision, clusters, w.now)
	out := rollout.Advance(a.Progress.State, assignment.RolloutInput(a, clusters, w.policyClusters(), a.Progressed, w.now))
	state, hold := out.State.String(), a.HoldAfter(out.State)
	if state == a.Progress.Kept && hold == a.Object.GetAnnotations()[v1alpha1.AnnotationRollout] {
		if !out.State.Done && out.Phase != rollout.Stopped {
			again := rolloutInterval
			if out.Again > 0 {
				again = min(again, out.Again)
			}
			w.alarms.Set(w.now.Add(again), agenda.Alarm{Key: o.key})
		}
		return
	}
	r.State, r.Hold = &state, &hold
	for _, e := range out.Events {
		kind := corev1.EventTypeNormal
		if e.Warning {
			kind = corev1.EventTypeWarning
		}
		r.Tell = append(r.Tell, Event{Template: a.Template, Type: kind, Reason: e.Reason, Message: e.Message})
	}
}

// rolling is what Rolling is for all members.
func (w *World) rolling(o *object, a *Assignment) (out []assignment.RollingCluster) {
	for _, name := range w.names {
		if one, part := assignment.RollingIn(a, name, o.seen[name]); part {
			c := w.clusters[name]
			one.Away = c == nil || !c.Ready
			out = append(out, one)
		}
	}
	return out
}

// progressed is when what counts of a rollout last changed.
func (o *object) progressed(revision string, clusters []assignment.RollingCluster, now time.Time) time.Time {
	var count int64
	for _, c := range clusters {
		if c.Updated {
			count += 1 + c.Health.Updated + c.Health.Ready
		}
	}
	if o.progress.at.IsZero() || o.progress.revision != revision || o.progress.count != count {
		o.progress = milestone{revision: revision, count: count, at: now}
	}
	return o.progress.at
}

// keepsRevision says whether the pod template of a is kept at the hub as the last of its revisions. If not it has it kept: what
// a member has must never be unknown.
func (w *World) keepsRevision(o *object, a *Assignment) bool {
	past := w.pasts[a.UID]
	if entry := past.history.Find(a.Content.Revision); past.loaded && entry != nil && entry.Number == past.history.Next(a.Content.Revision) {
		o.keeping = ""
		return true
	}
	if o.keeping != a.Content.Revision {
		o.keeping = a.Content.Revision
		w.asked(a)
		w.out.others = append(w.out.others, KeepRevision{a.Template})
	}
	return false
}

// asked notes that the answer of what was asked about the revisions of a will be a Revised. It says whether that is new.
func (w *World) asked(a *Assignment) bool {
	_, was := w.pasts[a.UID]
	if !was {
		w.pasts[a.UID] = past{key: a.Key}
	}
	return !was
}

// turns is which pod template clusters are to have that is not the hub's. One whose turn it is not keeps the one that it has. An
// object that is not there (the cluster is new, or somebody deleted it) is made with the pod template that went everywhere
// before; with the hub's where that is not known.
func (w *World) turns(o *object, a *Assignment) map[string]template.Turn {
	if !a.Governed() {
		return nil
	}
	var out map[string]template.Turn
	for _, name := range w.names {
		seen := o.seen[name]
		there := seen.Has(a)
		if _, placed := a.Shares[name]; !placed && !there {
			continue
		}
		if turn, other := w.turn(a, name, seen, there); other {
			if out == nil {
				out = map[string]template.Turn{}
			}
			out[name] = turn
		}
	}
	return out
}

// turn is what turns says of one cluster.
func (w *World) turn(a *Assignment, cluster string, seen *Observed, there bool) (turn template.Turn, other bool) {
	target, state := a.Content.Revision, a.Progress.State
	if state.Opens(cluster, target) || there && seen.Revision == target {
		return turn, false
	}
	has := ""
	if there {
		has = seen.Revision
	} else if state != nil {
		has = state.Proven
	}
	past := w.pasts[a.UID]
	entry := past.history.Find(has)
	if !past.loaded && w.asked(a) {
		w.out.others = append(w.out.others, ReadRevisions{a.Template})
	}
	switch {
	case entry != nil && entry.Template != nil:
		return template.Turn{Revision: has, Template: entry.Template}, true
	case there:
		return template.Turn{Revision: has, AsIs: true}, true
	case !past.loaded && has != "":
		return template.Turn{Waits: "the earlier revisions of the object"}, true
	}
	return turn, false
}
