package decide

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// Apply takes in what happened, and says what follows from it. Nothing else changes a World. It does not block, and takes some
// milliseconds at most; only Listed has as many decisions made as there are templates that changed. What was not worked off says
// More.
func (w *World) Apply(in Input, now time.Time) []Effect {
	w.now = now
	if past, ok := in.(Remembered); ok {
		return w.restore(past)
	}
	waited := w.backlog.Some()
	_, tick := in.(Tick)
	w.take(in)
	w.timely()
	if tick || !waited {
		w.slice()
	}
	return w.finish()
}

func (w *World) take(in Input) {
	switch in := in.(type) {
	case Served:
		w.serve(in)
	case Unserved:
		w.unserve(in.GR)
	case Listed:
		w.list(in)
	case Written:
		w.write(in.Template)
	case Deleted:
		w.remove(in)
	case ClustersListed, ClusterWritten, ClusterDeleted:
		w.setClusters(w.clustersAfter(in))
	case NamespacesListed, NamespaceWritten, NamespaceDeleted:
		w.setNamespaces(w.namespacesAfter(in))
	case PoliciesChanged:
		w.changePolicies(in.Written, in.Gone)
	case Looked:
		w.looked(in)
	case Measured:
		w.measured(in)
	case Engaged:
		w.engage(in)
	case Read:
		w.read(in)
	case Seen:
		w.see(in)
	case Begins:
		w.out.verdict = &Verdict{GoAhead: w.begins(in)}
	case Lowers:
		w.see(Seen{Cluster: in.Cluster, Key: in.Key, Observed: in.Observed})
		w.out.verdict = &Verdict{GoAhead: w.lowers(in)}
	case Revised:
		w.revised(in)
	case Recorded:
		w.recorded(in)
	}
}

// timely does what is due.
func (w *World) timely() {
	if agenda.Due(w.losses.Next(), w.now) {
		w.weigh()
	}
	w.stepDrains()
	w.stepStuck()
	w.stepRoom()
	ended := false
	for _, one := range w.alarms.Due(w.now, sliceSize) {
		if w.at(one.Key) == nil {
			continue
		}
		if one.Decide {
			if !ended {
				w.surroundingsChanged() // they know the time, too
			}
			ended = true
			w.renew(w.own(one.Key))
		} else {
			w.ring(w.own(one.Key))
		}
	}
}

// ring looks at an object whose time has come.
func (w *World) ring(o *object) {
	if s := o.a.Scaler; s != nil && s.Divide && o.a.Undecided {
		if there, known := w.targetKnown(s); known && !there {
			next := *o.a // there is nothing to be divided
			w.assign(o, &next, w.decide(&next, o.a))
			return
		}
	}
	w.look(o, true)
}

// next is when something is due, zero if nothing is.
func (w *World) next() (next time.Time) {
	return agenda.Earliest(w.losses.Next(), w.drains.Next(), w.stuck.next, w.room.Next(w.now), w.alarms.Next())
}

func (w *World) serve(in Served) {
	gr := in.GVR.GroupResource()
	if w.resources[gr] == nil {
		w.resources[gr] = &resource{owner: w.owner, gvk: in.GVK, objects: map[types.NamespacedName]*object{}}
	}
}

func (w *World) unserve(gr schema.GroupResource) {
	r := w.ownResource(gr)
	if r == nil {
		return
	}
	for _, key := range w.keys(func(o *object) bool { return o.key.GR == gr }) {
		w.gone(w.own(key))
	}
	for name := range w.members {
		for _, o := range r.objects {
			w.noteUnready(name, o.seen[name], nil)
		}
	}
	delete(w.resources, gr)
	w.readMore()
}

func (w *World) engage(in Engaged) {
	if w.members[in.Cluster] == nil && !in.Engaged {
		return
	}
	w.setMember(in.Cluster, &member{engaged: in.Engaged})
	for key := range w.moving { // whether it did what it was told is seen when it is read
		if _, told := w.stored(key).told[in.Cluster]; told {
			o := w.own(key)
			o.told = maps.Clone(o.told)
			delete(o.told, in.Cluster)
		}
	}
	w.backlog.Hurry(template.SortedKeys(w.moving), agenda.Work{Look: true})
	w.lookAtJobs(in.Cluster)
	w.boundsSoon()
	w.drains.Changed(w.now)
	w.stuckChanged()
}

func (w *World) setMember(name string, m *member) {
	_, known := w.members[name]
	w.members[name] = m
	if !known {
		w.nameMembers()
	}
}

func (w *World) read(in Read) {
	m := w.members[in.Cluster]
	if m == nil || m.read[in.GR] == in.Read {
		return
	}
	next := &member{engaged: m.engaged, read: maps.Clone(m.read)}
	if next.read == nil {
		next.read = map[schema.GroupResource]bool{}
	}
	if next.read[in.GR] = in.Read; !in.Read {
		delete(next.read, in.GR)
	}
	w.members[in.Cluster] = next
	moves := func(unplaced bool) func(*object) bool {
		return func(o *object) bool {
			return o.key.GR == in.GR && w.moving[o.key] && (o.a.Decision.Unplaced > 0) == unplaced
		}
	}
	w.backlog.Hurry(w.keys(moves(true)), agenda.Work{Decide: true}) // it may have a place where it runs
	w.backlog.Hurry(w.keys(moves(false)), agenda.Work{Look: true})
	if in.GR == template.Jobs() {
		w.lookAtJobs(in.Cluster)
	}
	// Work that is for a cluster where it may not be made is for others, once it is known not to have begun there.
	w.backlog.Hurry(w.keys(func(o *object) bool {
		_, share := o.a.Shares[in.Cluster]
		return share && o.key.GR == in.GR && o.a.StaysPut() && w.keptOut(o.a, in.Cluster)
	}), agenda.Work{Decide: true})
	if w.Restored {
		w.backlog.Hurry(w.keys(func(o *object) bool { return o.key.GR == in.GR && w.mayHaveLapsed(o.a.Template) }), agenda.Work{Decide: true})
	}
}

// keptOut says whether a Residency does not let an object be in a cluster.
func (w *World) keptOut(a *Assignment, cluster string) bool {
	c, namespace := w.clusters[cluster], policies.NamespaceOf(a.Key)
	return c != nil && namespace != "" && w.policies.Index().Outside(namespace, w.policies.Namespaces()[namespace], &c.Facts) != ""
}

// lookAtJobs is for when it is another question what a cluster has of Jobs.
func (w *World) lookAtJobs(cluster string) {
	w.backlog.Hurry(w.keys(func(o *object) bool {
		_, placed := o.a.Shares[cluster]
		return placed && o.key.GR == template.Jobs() && !o.a.Finished()
	}), agenda.Work{Look: true})
}

func (w *World) see(in Seen) {
	if w.members[in.Cluster] == nil {
		return
	}
	o := w.own(in.Key)
	if o == nil {
		return
	}
	before := o.seen[in.Cluster]
	w.noteUnready(in.Cluster, before, in.Observed)
	delete(o.begun, in.Cluster)
	if in.Observed == nil {
		delete(o.seen, in.Cluster)
	} else {
		if o.seen == nil {
			o.seen = map[string]*Observed{}
		}
		o.seen[in.Cluster] = in.Observed
	}
	if o.a == nil {
		w.forgetEmpty(o)
		return
	}
	w.drains.Changed(w.now)
	if o.a.Scaler != nil {
		w.alarms.Set(w.now.Add(lookDelay), agenda.Alarm{Key: o.key}) // what it says of it may move headroom
	}
	if o.a.Quota != nil {
		w.alarms.Set(w.now.Add(quotaDelay), agenda.Alarm{Key: o.key})
	}
	if in.Observed != nil && in.Observed.Own != nil {
		w.followSoon(o)
	}
	switch {
	case o.a.Decision.Unplaced > 0 && w.withRunning(o.a, o.a.Decision.Division(), o.a.Decision.Unplaced) != nil:
		w.renew(o)
	case w.concerned(o, in.Cluster):
		w.look(o, false)
	}
}

// concerned says whether what a member shows of an object may have others told something else.
func (w *World) concerned(o *object, cluster string) bool {
	a := o.a
	return a.Governed() || a.Division == completions || o.told != nil ||
		a.Division == replicas && o.seen[cluster].RunsMore(a, a.Shares[cluster].Replicas)
}

// forgetEmpty forgets a key of which nothing is known.
func (w *World) forgetEmpty(o *object) {
	if r := w.resources[o.key.GR]; r != nil && o.a == nil && len(o.seen) == 0 && !o.touched {
		delete(r.objects, o.key.NamespacedName())
	}
}

func (w *World) revised(in Revised) {
	past, asked := w.pasts[in.UID]
	if !asked {
		return
	}
	past.history, past.loaded = in.History, true
	w.pasts[in.UID] = past
	if a := w.at(past.key); a != nil && a.UID == in.UID {
		w.look(w.own(past.key), false)
	}
}

func (w *World) recorded(in Recorded) {
	a := w.at(in.Key)
	if a == nil || a.UID != in.UID {
		return
	}
	o := w.own(in.Key)
	o.outdated = max(o.outdated, in.Revision)
	if r := a.Recording; r != nil && r.Taken != nil {
		o.followed = w.now
	}
}

// past is the earlier pod templates of a workload.
type past struct {
	key     template.Key
	history rollout.History
	loaded  bool
}
