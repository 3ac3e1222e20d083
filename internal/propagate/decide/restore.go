package decide

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// restore takes in what another World remembered. The effects are a Publish of each object, and of what is known beside them.
func (w *World) restore(in Remembered) (effects []Effect) {
	if in.Clusters != nil {
		w.restoreClusters(in.Clusters)
	}
	for i := range in.Objects {
		if o := w.restoreObject(&in.Objects[i]); o != nil && o.a != nil {
			effects = append(effects, Publish{o.key, o.a})
		}
	}
	if in.Rest != nil {
		w.restoreRest(in.Rest)
		w.facts = assignment.NewFacts(w.clusters, w.losses.Lost(), &w.policies)
		effects = append(effects, PublishFacts{w.facts})
		if next := w.next(); !next.IsZero() {
			effects = append(effects, At{next})
		}
	}
	return effects
}

func (w *World) restoreClusters(in *RememberedClusters) {
	for _, c := range in.Clusters {
		w.clusters[c.Name] = c
	}
	for name, m := range in.Members {
		next := &member{engaged: m.Engaged}
		for _, gr := range m.Read {
			if next.read == nil {
				next.read = map[schema.GroupResource]bool{}
			}
			next.read[gr] = true
		}
		w.members[name] = next
	}
	w.nameMembers()
	w.room.RestoreViews(in.Views)
	w.drains.Keep(w.drained(), w.now)
	w.surroundingsChanged()
}

func (w *World) restoreObject(in *RememberedObject) *object {
	o := w.own(in.Key)
	if o == nil {
		return nil
	}
	o.seen, o.told, o.begun, o.aside, o.late = in.Seen, in.Told, in.Begun, in.Aside, in.Late
	o.outdated, o.followed, o.keeping = in.Outdated, in.Followed, in.Keeping
	o.progress = milestone{in.Milestone.Revision, in.Milestone.Count, in.Milestone.At}
	if in.Template == nil {
		return o
	}
	a := &Assignment{
		Template: in.Template, Policy: w.policies.For(in.Template), Decision: in.Decision, Shares: in.Shares, Now: in.Now, Turns: in.Turns,
		Undecided: in.Undecided, AwaitsNamespace: in.AwaitsNamespace, FollowsMembers: in.FollowsMembers,
		Progressed: in.Progressed, Recording: in.Recording,
	}
	a.Shapes = w.shapes(a)
	if a.Quota != nil {
		w.quotas[a.Key.Namespace] = append(slices.Clip(w.quotas[a.Key.Namespace]), a.Key)
	}
	w.needed.Set(o.key, assignment.Naming(a))
	if o.a = a; in.LateNow {
		o.lateFor = a.Template
	}
	return o
}

func (w *World) restoreRest(in *RememberedRest) {
	w.now = in.Now
	for _, gr := range in.Synced {
		if r := w.ownResource(gr); r != nil {
			r.synced = true
		}
	}
	w.unready = orEmpty(in.Unready)
	w.losses.Restore(in.Losses)
	w.drains.Restore(in.State)
	w.rereadBudgets()
	w.stuck.unready, w.stuck.next = in.Unwell, in.StuckNext
	w.stuck.ceilings.Restore(in.Ceilings)
	w.room.Restore(in.Remembered, func(key template.Key) *template.Demand {
		a := w.at(key)
		if a == nil {
			return nil
		}
		return a.Under(w.outlook(a.Policy).Policy)
	})
	for of, by := range in.Scalers {
		if key, ok := template.ParseKey(of); ok {
			w.scalers[key], _ = template.ParseKey(by)
		}
	}
	for uid, p := range in.Pasts {
		key, _ := template.ParseKey(p.Key)
		w.pasts[uid] = past{key, p.History, p.Loaded}
	}
	w.moving = template.KeySet(in.Moving)
	for _, one := range in.Alarms {
		if key, ok := template.ParseKey(one.Key); ok {
			w.alarms.Set(one.At, agenda.Alarm{Key: key, Decide: one.Decide})
		}
	}
	w.surroundingsChanged()
	w.room.Renew(w.now)
}

func orEmpty[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}
