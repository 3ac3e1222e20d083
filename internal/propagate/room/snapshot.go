package room

import (
	"maps"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// cache is what was worked out of views and reservations.
type cache struct {
	owner *owner
	made  time.Time
	rooms map[roomKey][]schedule.Domain
	ready map[snapshotKey]*schedule.Snapshot
}

// roomKey is a cluster and a profile of pods.
type roomKey struct{ cluster, profile string }

// snapshotKey is what snapshots differ by.
type snapshotKey struct {
	plain      *schedule.Snapshot
	profile    string
	room, pods bool
}

// maxSnapshots bounds the memory of workloads that all ask for other nodes.
const maxSnapshots = 16

func newCache() *cache {
	return &cache{rooms: map[roomKey][]schedule.Domain{}, ready: map[snapshotKey]*schedule.Snapshot{}}
}

// ownCache is the cache, to be changed.
func (r *Room) ownCache() *cache {
	if r.cache.owner != r.owner {
		r.cache = &cache{owner: r.owner, made: r.cache.made, rooms: maps.Clone(r.cache.rooms), ready: maps.Clone(r.cache.ready)}
	}
	return r.cache
}

// Changed is for when what clusters have free may be another than before for any reason.
func (r *Room) Changed() {
	r.forget(func(string) bool { return true })
}

// changed is Changed for one cluster.
func (r *Room) changed(name string) {
	r.forget(func(other string) bool { return other == name })
}

func (r *Room) forget(which func(cluster string) bool) {
	if len(r.cache.rooms) == 0 && len(r.cache.ready) == 0 {
		return
	}
	c := r.ownCache()
	maps.DeleteFunc(c.rooms, func(key roomKey, _ []schedule.Domain) bool { return which(key.cluster) })
	clear(c.ready)
}

// Renew is Changed, and has what is worked out from now on be kept for as long as ever: reservations that end are seen at times only.
func (r *Room) Renew(now time.Time) {
	r.Changed()
	r.ownCache().made = now
}

// take takes replicas off the rooms of a cluster.
func (r *Room) take(name string, d *template.Demand, n int32) {
	c := r.ownCache()
	for key, domains := range c.rooms {
		if key.cluster == name {
			c.rooms[key], _ = capacity.Take(domains, &d.Request, n)
		}
	}
	clear(c.ready)
}

// Around is what decisions about room depend on beside it.
type Around struct {
	Clusters map[string]*cluster.Cluster
	// Priorities is the value of each PriorityClass; that without a name is of pods that name none.
	Priorities map[string]int32
	Now        time.Time
}

// Snapshot is plain with what is known of the members' nodes and pods for workloads that demand d, whose profile is ProfileOf it.
func (r *Room) Snapshot(plain *schedule.Snapshot, d *template.Demand, profile *capacity.Profile, around Around) *schedule.Snapshot {
	if around.Now.Sub(r.cache.made) >= lookAnyway { // reservations end
		r.Renew(around.Now)
	}
	key := snapshotKey{plain: plain, profile: profile.Key(), room: d.Room, pods: d.Pods}
	if snapshot := r.cache.ready[key]; snapshot != nil {
		return snapshot
	}
	c := r.ownCache()
	if len(c.ready) >= maxSnapshots {
		clear(c.ready)
	}
	surroundings := plain.Surroundings
	surroundings.PriorityClasses = around.Priorities
	c.ready[key] = schedule.NewSnapshot(r.measured(plain.Clusters(), d, profile, around), surroundings)
	return c.ready[key]
}

// measured adds what is known of clusters.
func (r *Room) measured(plain []schedule.Cluster, d *template.Demand, profile *capacity.Profile, around Around) []schedule.Cluster {
	clusters := slices.Clone(plain)
	for i := range clusters {
		c := &clusters[i]
		view := r.views[c.Name]
		if view == nil {
			continue
		}
		c.Pods = view.Pods(!d.Pods)
		if d.Pods {
			c.Pods = append(slices.Clip(c.Pods), r.reservedPods(c.Name, view, around.Now)...)
		}
		if view.Nodes() == 0 {
			continue
		}
		c.Domains = r.free(c, view, profile, around.Now)
		if !d.Room || around.Clusters[c.Name].Elastic {
			c.Domains = withoutLimits(c.Domains)
		}
	}
	return clusters
}

// withoutLimits is domains of which it is not known what they have free.
func withoutLimits(domains []schedule.Domain) []schedule.Domain {
	out := make([]schedule.Domain, len(domains))
	for i := range domains {
		out[i].Labels = domains[i].Labels
	}
	return out
}

// free is what a cluster has free, less what is reserved there.
func (r *Room) free(c *schedule.Cluster, view *capacity.View, profile *capacity.Profile, now time.Time) []schedule.Domain {
	key := roomKey{c.Name, profile.Key()}
	own := r.ownCache()
	if domains, ok := own.rooms[key]; ok {
		return domains
	}
	if len(own.rooms) >= maxSnapshots*(len(r.views)+1) {
		clear(own.rooms)
	}
	domains := view.Room(profile, c.Labels)
	for _, o := range r.outstanding(c.Name, view, now) {
		domains, _ = capacity.Take(domains, &o.demand.Request, o.replicas)
	}
	own.rooms[key] = domains
	return domains
}

// ProfileOf is what of nodes and pods decides about room for pods that demand d. priorities is the value of each PriorityClass.
func ProfileOf(d *template.Demand, priorities map[string]int32) (*capacity.Profile, error) {
	return capacity.NewProfile(&d.Template.Spec, priorityOf(&d.Template.Spec, priorities))
}

// priorityOf is the priority of pods for preemption: the least for those that preempt nobody.
func priorityOf(spec *corev1.PodSpec, classes map[string]int32) int32 {
	if spec.PreemptionPolicy != nil && *spec.PreemptionPolicy == corev1.PreemptNever {
		return math.MinInt32
	}
	if spec.Priority != nil {
		return *spec.Priority
	}
	return classes[spec.PriorityClassName]
}

// BySize is Snapshot where nobody measures: with what nodes are to have, as if nothing ran there. Of pods of other workloads
// nothing is known; pods is the template without what it says of them.
func BySize(plain *schedule.Snapshot, d *template.Demand, members map[string]*cluster.Cluster) (snapshot *schedule.Snapshot, pods *corev1.PodTemplateSpec) {
	pods = d.Template.DeepCopy()
	if a := pods.Spec.Affinity; a != nil {
		template.OwnPodsOnly(a, pods.Labels)
	}
	clusters := slices.Clone(plain.Clusters())
	for i := range clusters {
		if c := members[clusters[i].Name]; d.Room && !c.Elastic {
			clusters[i].Domains = c.Size.Fill(clusters[i].Domains)
		}
	}
	return schedule.NewSnapshot(clusters, plain.Surroundings), pods
}
