package propagate

import (
	"cmp"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// promiseTime is how long room is kept for pods that were decided and do not exist. A
// Deployment that is paused, a quota or a webhook may keep them away for good.
const promiseTime = time.Minute

// grant is what one workload was given in one cluster.
type grant struct {
	demand   *demand
	replicas int32
	until    time.Time // of the promise to keep room for those without a pod
}

// promise is replicas of a workload that have no pods so far.
type promise struct {
	key      Key
	demand   *demand
	replicas int32
}

// outstanding is what was granted in a cluster and does not exist there as of view, in
// the order of keys. s.mu is held.
func (s *surroundings) outstanding(cluster string, view *capacity.View) []promise {
	var out []promise
	now := time.Now()
	for key, g := range s.granted[cluster] {
		if n := g.replicas - view.Count(key.String()); n > 0 && now.Before(g.until) {
			out = append(out, promise{key, g.demand, n})
		}
	}
	slices.SortFunc(out, func(a, b promise) int { return cmp.Compare(a.key.String(), b.key.String()) })
	return out
}

// promised is the pods that will soon be in a cluster, for affinities: of a burst of
// workloads that keep away from each other, each heeds those before it. s.mu is held.
func (s *surroundings) promised(cluster string, view *capacity.View) []schedule.PodGroup {
	var out []schedule.PodGroup
	for _, o := range s.outstanding(cluster, view) {
		g := schedule.PodGroup{Workload: o.key.String(), Namespace: o.key.Namespace, Labels: o.demand.template.Labels, Count: o.replicas}
		if a := o.demand.template.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
			g.AntiAffinity = a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		}
		out = append(out, g)
	}
	return out
}

// grant notes what t was given, so that what is decided after it finds that much less
// free, and whether it waits for room, or for room elsewhere. Engine.mu is held.
func (e *Engine) grant(t *template) {
	d := t.demandUnder(e.outlook(t.policy).policy)
	s := e.around
	s.mu.Lock()
	defer s.mu.Unlock()
	if d == nil && !s.demanding[t.key] {
		return
	}
	s.demanding[t.key] = true
	delete(s.short, t.key)
	if d != nil && !t.decision.Kept && (t.decision.Unplaced > 0 || t.decision.Waits) {
		s.short[t.key] = true
	}
	freed := false
	for cluster := range e.clusters {
		n := t.promisedIn(cluster)
		freed = freed || n < s.granted[cluster][t.key].replicas
		s.grantIn(cluster, t.key, d, n)
	}
	if freed && len(s.short) > 0 {
		s.wake() // it may never have had pods, whose end would be seen
	}
}

// withdraw takes back what a workload was granted beyond its division so far: a decision
// that was made and is not recorded is made again, and finds room where it found it.
// s.mu is held.
func (s *surroundings) withdraw(key Key, current map[string]int32) {
	if !s.demanding[key] {
		return
	}
	for cluster, all := range s.granted {
		if g, ok := all[key]; ok && g.replicas > current[cluster] {
			s.grantIn(cluster, key, g.demand, current[cluster])
		}
	}
}

// promisedIn is how many replicas a cluster is to run of t.
func (t *template) promisedIn(cluster string) int32 {
	if t.going || t.finished() {
		return 0
	}
	return t.runs(cluster)
}

// ungrant is grant for what is gone. Engine.mu is held.
func (e *Engine) ungrant(key Key) {
	s := e.around
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.demanding[key] {
		return
	}
	delete(s.demanding, key)
	delete(s.short, key)
	for cluster := range s.granted {
		s.grantIn(cluster, key, nil, 0)
	}
	if len(s.short) > 0 {
		s.wake()
	}
}

// grantIn is grant for one cluster. More of the same is taken off what is known to be
// free; for anything else that is added up again.
func (s *surroundings) grantIn(cluster string, key Key, d *demand, replicas int32) {
	all := s.granted[cluster]
	before, had := all[key]
	if d == nil || replicas == 0 {
		if had {
			delete(all, key)
			s.forgetRooms(func(c string) bool { return c == cluster })
		}
		return
	}
	if all == nil {
		all = map[Key]grant{}
		s.granted[cluster] = all
	}
	next := grant{demand: d, replicas: replicas, until: before.until}
	if replicas > before.replicas {
		next.until = time.Now().Add(promiseTime)
	}
	all[key] = next
	view := s.views[cluster]
	if view == nil || had && before.demand == d && before.replicas == replicas {
		return
	}
	if had {
		s.forgetRooms(func(c string) bool { return c == cluster })
		return
	}
	if n := replicas - view.Count(key.String()); n > 0 {
		s.take(cluster, d, n)
	}
}

// take takes replicas off the rooms of a cluster.
func (s *surroundings) take(cluster string, d *demand, n int32) {
	for key, domains := range s.rooms {
		if key.cluster == cluster {
			s.rooms[key], _ = capacity.Take(domains, &d.request, n)
		}
	}
	clear(s.ready)
}
