package room

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
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
func (r *Room) accountOf(name string) map[template.Key]reservation {
	if a := r.accounts[name]; a != nil {
		return a.of
	}
	return nil
}

// ownAccount is accountOf, to be changed.
func (r *Room) ownAccount(name string) map[template.Key]reservation {
	a := r.accounts[name]
	switch {
	case a == nil:
		a = &account{r.owner, map[template.Key]reservation{}}
	case a.owner != r.owner:
		a = &account{r.owner, maps.Clone(a.of)}
	default:
		return a.of
	}
	r.accounts[name] = a
	return a.of
}

// outstanding is what was reserved in a cluster and does not exist there as of view, in the order of keys.
func (r *Room) outstanding(name string, view *capacity.View, now time.Time) []outstanding {
	var out []outstanding
	for key, one := range r.accountOf(name) {
		if !now.Before(one.until) {
			continue
		}
		if n := one.replicas - view.Count(key.String()); n > 0 {
			out = append(out, outstanding{key, one.demand, n})
		}
	}
	slices.SortFunc(out, func(a, b outstanding) int { return cmp.Compare(a.key.String(), b.key.String()) })
	return out
}

// reservedPods is the pods that will soon be in a cluster, for affinities: of a burst of workloads that keep away from each other,
// each keeps away from those before it.
func (r *Room) reservedPods(name string, view *capacity.View, now time.Time) []schedule.PodGroup {
	var out []schedule.PodGroup
	for _, o := range r.outstanding(name, view, now) {
		g := schedule.PodGroup{Workload: o.key.String(), Namespace: o.key.Namespace, Labels: o.demand.Template.Labels, Count: o.replicas}
		if a := o.demand.Template.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
			g.AntiAffinity = a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		}
		out = append(out, g)
	}
	return out
}

// Grant notes what a workload was given in each of the clusters, so that what is decided after it finds that much less free, and
// whether it is short: it waits for room, or for room elsewhere. d is what its pods demand; nil: nothing.
func (r *Room) Grant(key template.Key, d *template.Demand, short bool, clusters map[string]*cluster.Cluster, given func(cluster string) int32, now time.Time) {
	if d == nil && !r.demanding[key] {
		return
	}
	r.demanding[key] = true
	delete(r.short, key)
	if d != nil && short {
		r.short[key] = true
	}
	freed := false
	for name := range clusters {
		n := given(name)
		freed = freed || n < r.accountOf(name)[key].replicas
		r.reserve(name, key, d, n, now)
	}
	if freed {
		r.News(now) // it may never have had pods, whose end would be seen
	}
}

// Withdraw takes back what a workload was given beyond its division: a decision that was made and is not recorded is
// made again, and finds room where it found it.
func (r *Room) Withdraw(key template.Key, current map[string]int32, now time.Time) {
	if !r.demanding[key] {
		return
	}
	for name := range r.accounts {
		if one, ok := r.accountOf(name)[key]; ok && one.replicas > current[name] {
			r.reserve(name, key, one.demand, current[name], now)
		}
	}
}

// Ungrant is Grant for what is gone.
func (r *Room) Ungrant(key template.Key, now time.Time) {
	if !r.demanding[key] {
		return
	}
	delete(r.demanding, key)
	delete(r.short, key)
	for name := range r.accounts {
		r.reserve(name, key, nil, 0, now)
	}
	r.News(now)
}

// Reserved is how many replicas of a workload have a place in a cluster, whether they have pods or not.
func (r *Room) Reserved(name string, key template.Key) int32 { return r.accountOf(name)[key].replicas }

// reserve is Grant for one cluster. More of the same is taken off what is known to be free; for anything else that is
// added up again.
func (r *Room) reserve(name string, key template.Key, d *template.Demand, replicas int32, now time.Time) {
	before, had := r.accountOf(name)[key]
	if d == nil || replicas == 0 {
		if had {
			delete(r.ownAccount(name), key)
			r.changed(name)
		}
		return
	}
	next := reservation{demand: d, replicas: replicas, until: before.until}
	if replicas > before.replicas {
		next.until = now.Add(reservationTime)
	}
	if had && next == before {
		return
	}
	r.ownAccount(name)[key] = next
	view := r.views[name]
	switch {
	case view == nil || had && before.demand == d && before.replicas == replicas:
	case had:
		r.changed(name)
	default:
		if n := replicas - view.Count(key.String()); n > 0 {
			r.take(name, d, n)
		}
	}
}
