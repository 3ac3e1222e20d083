package decide

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
	"github.com/hanse-dev/hanse/internal/transition"
)

// move is what clusters are to run now of a workload where that is not their share: more, as long as others are not ready to do
// without. What members were told last counts as done.
func (w *World) move(o *object, a *Assignment) map[string]int32 {
	if a.Division != replicas {
		return nil
	}
	if w.moved(o, a) {
		o.told = nil
		delete(w.moving, o.key)
		return nil
	}
	w.moving[o.key] = true
	told := maps.Clone(o.told)
	parts, next := w.moves(o, a, told)
	var running int32
	gains := false // some cluster is to run more, or nobody knows what it runs
	for i := range w.names {
		running += parts[i].Has
		gains = gains || parts[i].Target > parts[i].Has
	}
	var now map[string]int32
	for i, name := range w.names {
		seen, s := o.seen[name], a.Shares[name]
		switch {
		case !w.shows(name, a.Key.GR) || !seen.RunsMore(a, s.Replicas) || seen.AsWanted(s):
			continue
		case !gains && seen.Left != nil && running <= seen.Left.Share.Total && seen.Left.Share.Total > a.Total:
			continue // nothing is in motion, there are to be fewer
		}
		if told == nil {
			told = map[string]int32{}
		}
		told[name] = next[i]
		if next[i] != s.Replicas {
			if now == nil {
				now = map[string]int32{}
			}
			now[name] = next[i]
		}
	}
	o.told = told
	return now
}

// moves is each member's part in moving a, and how many replicas it is to run next. What members were told last is in told, less
// what does not count any more.
func (w *World) moves(o *object, a *Assignment, told map[string]int32) (parts []transition.Member, next []int32) {
	ordered := a.Key.GR.Resource == "statefulsets"
	parts = make([]transition.Member, len(w.names))
	for i, name := range w.names {
		parts[i] = w.part(o, a, name, told, ordered)
	}
	return parts, transition.Next(parts, ordered)
}

// shows says whether what is known of a member's objects of a resource is what it has now: not if it is from before the session.
func (w *World) shows(cluster string, gr schema.GroupResource) bool {
	return w.reached(cluster) && w.hasRead(cluster, gr)
}

// moved says whether no member in reach runs more of an object than it is to.
func (w *World) moved(o *object, a *Assignment) bool {
	for name, seen := range o.seen {
		if seen.RunsMore(a, a.Shares[name].Replicas) && w.reached(name) {
			return false
		}
	}
	return true
}

// part is a member's in moving a. What it was told does not count any more once it shows something else. Until then what it shows as
// ready is from before: with ordered, those that go may have been ready.
func (w *World) part(o *object, a *Assignment, cluster string, told map[string]int32, ordered bool) transition.Member {
	p := transition.Member{Target: a.Shares[cluster].Replicas}
	seen := o.seen[cluster]
	if !w.shows(cluster, a.Key.GR) || !seen.From(a.UID) || seen.Replicas == nil || seen.Deleting {
		return p
	}
	p.Has, p.Ready = *seen.Replicas, seen.Count("readyReplicas")
	n, ok := told[cluster]
	if !ok || n >= p.Has || n < p.Target {
		delete(told, cluster)
		return p
	}
	if ordered {
		p.Ready = max(0, p.Ready-(p.Has-n))
	}
	p.Has = n // it may not have done so
	return p
}

// lowers says whether a cluster is still to run so few replicas of an object, as is known by now of what members run.
func (w *World) lowers(in Lowers) bool {
	a := w.at(in.Key)
	if a == nil || a.UID != in.UID || a.Undecided {
		return false
	}
	w.untell(in.Cluster, in.Key)
	a = w.at(in.Key)
	n, other := a.Now[in.Cluster]
	if !other {
		n = a.Shares[in.Cluster].Replicas
	}
	return n == in.Replicas
}

// untell takes back that a member was told to run fewer if it is only about to be: what has got ready there meanwhile, or
// has failed elsewhere, counts.
func (w *World) untell(cluster string, key template.Key) {
	told := w.stored(key).told
	n, was := told[cluster]
	if !was {
		return
	}
	told = maps.Clone(told)
	delete(told, cluster)
	_, next := w.moves(w.stored(key), w.at(key), maps.Clone(told))
	if at, found := slices.BinarySearch(w.names, cluster); found && next[at] > n {
		o := w.own(key)
		o.told = told
		w.look(o, false)
	}
}

// begins notes, before a member is written to, that work which stays put begins there, or how many pods at once it is told to
// run. It is false if that is not what was decided by now: then the object is to be looked at again.
func (w *World) begins(in Begins) bool {
	a := w.at(in.Key)
	if a == nil || a.UID != in.UID || a.Undecided {
		return false
	}
	if !a.StaysPut() {
		return true
	}
	if share, placed := a.Shares[in.Cluster]; !placed || share != in.Share {
		return false
	}
	o := w.own(in.Key)
	if o.begun == nil {
		o.begun = map[string]int32{}
	}
	o.begun[in.Cluster] = in.Share.Parallelism
	return true
}

// workShares is the shares of a, for a Job with how many pods are to run at once now. It follows from the division and from
// what members show.
func (w *World) workShares(o *object, a *Assignment) map[string]template.Share {
	if a.Division != completions || len(a.Shares) == 0 {
		return a.Shares
	}
	out := maps.Clone(a.Shares)
	total := kinds.Parallelism(a.Content.Object)
	duplicate := false
	if p := w.outlook(a.Policy).Policy; p != nil {
		duplicate = p.Strategy == schedule.Duplicate
	}
	var names []string
	var parts []transition.Work
	for _, name := range slices.Sorted(maps.Keys(a.Shares)) {
		part, c := w.work(o, a, name, a.Shares[name]), w.clusters[name]
		switch {
		case duplicate:
			setParallelism(out, name, transition.Parallelism(total, []transition.Work{part})[0])
		case c != nil && w.losses.IsLost(c, a.Policy):
			setParallelism(out, name, part.Has) // the others go on without it
		default:
			names, parts = append(names, name), append(parts, part)
		}
	}
	for i, n := range transition.Parallelism(total, parts) {
		setParallelism(out, names[i], n)
	}
	return out
}

func setParallelism(shares map[string]template.Share, name string, n int32) {
	s := shares[name]
	s.Parallelism = n
	shares[name] = s
}

// work is a cluster's part in a Job, of which it has that share. o may be nil.
func (w *World) work(o *object, a *Assignment, cluster string, s template.Share) transition.Work {
	part := transition.Work{Weight: s.Replicas, Left: transition.Unlimited}
	if all := a.Completions(); all != nil {
		part.Left = int32(s.OfKind().Cut(int64(*all)))
	}
	c := w.clusters[cluster]
	part.Closed = c != nil && (c.Cordoned || c.Drained)
	seen, sending := o.sent(cluster)
	if sending != nil {
		part.Has = *sending
	}
	switch {
	case seen.From(a.UID):
		return seen.Work(part)
	case a.Finished():
		part.Left = 0
	case w.hasRead(cluster, a.Key.GR) || sending != nil || !a.Created.Before(w.Began): // it has none
	case c != nil && c.Ready:
		part.Unknown = true
	default:
		part.Has = s.Replicas // away since before the hub started
	}
	return part
}

// sent is what a member shows, and with how many pods at once it may have been told to begin since; nil: nothing.
func (o *object) sent(cluster string) (seen *Observed, sending *int32) {
	if o == nil {
		return nil, nil
	}
	if seen = o.seen[cluster]; seen != nil {
		sending = seen.Sending
	}
	if n, begun := o.begun[cluster]; begun {
		sending = &n
	}
	return seen, sending
}
