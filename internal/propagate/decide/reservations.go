package decide

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// reservationTime is how long room is kept for pods that were decided and do not exist. A Deployment that is paused, a
// quota or a webhook may keep them away for good.
const reservationTime = time.Minute

// reservation is what one workload was given in one cluster.
type reservation struct {
	demand   *template.Demand
	replicas int32
	until    time.Time // for those without a pod
}

// account is what was reserved in a cluster.
type account struct {
	owner *owner
	of    map[template.Key]reservation
}

// outstanding is replicas of a workload that have no pods yet.
type outstanding struct {
	key      template.Key
	demand   *template.Demand
	replicas int32
}

// accountOf is what was reserved in a cluster, not to be changed.
func (s *surroundings) accountOf(cluster string) map[template.Key]reservation {
	if a := s.accounts[cluster]; a != nil {
		return a.of
	}
	return nil
}

// owned is accountOf, to be changed.
func (s *surroundings) owned(by *owner, cluster string) map[template.Key]reservation {
	a := s.accounts[cluster]
	switch {
	case a == nil:
		a = &account{by, map[template.Key]reservation{}}
	case a.owner != by:
		a = &account{by, maps.Clone(a.of)}
	default:
		return a.of
	}
	s.accounts[cluster] = a
	return a.of
}

// outstanding is what was reserved in a cluster and does not exist there as of view, in the order of keys.
func (w *World) outstanding(cluster string, view *capacity.View) []outstanding {
	var out []outstanding
	for key, r := range w.around.accountOf(cluster) {
		if !w.now.Before(r.until) {
			continue
		}
		if n := r.replicas - view.Count(key.String()); n > 0 {
			out = append(out, outstanding{key, r.demand, n})
		}
	}
	slices.SortFunc(out, func(a, b outstanding) int { return cmp.Compare(a.key.String(), b.key.String()) })
	return out
}

// reservedPods is the pods that will soon be in a cluster, for affinities: of a burst of workloads that keep away from each other,
// each keeps away from those before it.
func (w *World) reservedPods(cluster string, view *capacity.View) []schedule.PodGroup {
	var out []schedule.PodGroup
	for _, o := range w.outstanding(cluster, view) {
		g := schedule.PodGroup{Workload: o.key.String(), Namespace: o.key.Namespace, Labels: o.demand.Template.Labels, Count: o.replicas}
		if a := o.demand.Template.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
			g.AntiAffinity = a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		}
		out = append(out, g)
	}
	return out
}

// grant notes what a was given, so that what is decided after it finds that much less free, and whether it waits for room, or for room
// elsewhere.
func (w *World) grant(a *Assignment) {
	d := a.Under(w.outlook(a.Policy).policy)
	s := &w.around
	if d == nil && !s.demanding[a.Key] {
		return
	}
	s.demanding[a.Key] = true
	delete(s.short, a.Key)
	if d != nil && !a.Decision.Kept && (a.Decision.Unplaced > 0 || a.Decision.Waits) {
		s.short[a.Key] = true
	}
	freed := false
	for cluster := range w.clusters {
		n := a.reservedIn(cluster)
		freed = freed || n < s.accountOf(cluster)[a.Key].replicas
		w.reserve(cluster, a.Key, d, n)
	}
	if freed {
		w.roomNews() // it may never have had pods, whose end would be seen
	}
}

// withdraw takes back what a workload was given beyond its division: a decision that was made and is not recorded is
// made again, and finds room where it found it.
func (w *World) withdraw(key template.Key, current map[string]int32) {
	if !w.around.demanding[key] {
		return
	}
	for cluster := range w.around.accounts {
		if r, ok := w.around.accountOf(cluster)[key]; ok && r.replicas > current[cluster] {
			w.reserve(cluster, key, r.demand, current[cluster])
		}
	}
}

// reservedIn is how many replicas a cluster is to run of a.
func (a *Assignment) reservedIn(cluster string) int32 {
	if a.Going || a.Finished() {
		return 0
	}
	return a.Runs(cluster)
}

// ungrant is grant for what is gone.
func (w *World) ungrant(key template.Key) {
	s := &w.around
	if !s.demanding[key] {
		return
	}
	delete(s.demanding, key)
	delete(s.short, key)
	for cluster := range s.accounts {
		w.reserve(cluster, key, nil, 0)
	}
	w.roomNews()
}

// reserve is grant for one cluster. More of the same is taken off what is known to be free; for anything else that is
// added up again.
func (w *World) reserve(cluster string, key template.Key, d *template.Demand, replicas int32) {
	s := &w.around
	here := func(c string) bool { return c == cluster }
	before, had := s.accountOf(cluster)[key]
	if d == nil || replicas == 0 {
		if had {
			delete(s.owned(w.owner, cluster), key)
			s.forgetRooms(w.owner, here)
		}
		return
	}
	next := reservation{demand: d, replicas: replicas, until: before.until}
	if replicas > before.replicas {
		next.until = w.now.Add(reservationTime)
	}
	if had && next == before {
		return
	}
	s.owned(w.owner, cluster)[key] = next
	view := s.views[cluster]
	switch {
	case view == nil || had && before.demand == d && before.replicas == replicas:
	case had:
		s.forgetRooms(w.owner, here)
	default:
		if n := replicas - view.Count(key.String()); n > 0 {
			s.takeRoom(w.owner, cluster, d, n)
		}
	}
}

// takeRoom takes replicas off the rooms of a cluster.
func (s *surroundings) takeRoom(by *owner, cluster string, d *template.Demand, n int32) {
	c := s.cached(by)
	for key, domains := range c.rooms {
		if key.cluster == cluster {
			c.rooms[key], _ = capacity.Take(domains, &d.Request, n)
		}
	}
	clear(c.ready)
}
