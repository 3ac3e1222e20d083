package decide

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// patience is how long a decision about resources waits until the nodes and pods of a member that answers have been measured. A
// hub that has just started knows of none, and would fill clusters that are full. One whose nodes or pods it may not
// read holds nothing up for longer: such a cluster then has no limit.
const patience = 10 * time.Second

// surroundings is what members have free and what runs in them, as decisions see it.
type surroundings struct {
	views    map[string]*capacity.View
	asked    map[string]time.Time // since when a View is waited for
	accounts map[string]*account  // what was reserved, by cluster
	cache    *roomCache
	// short are the workloads that clusters may have room for later, or other clusters.
	short map[template.Key]bool
	// demanding are those that something was reserved for once.
	demanding map[template.Key]bool
	// priorities is the value of each PriorityClass; nil: to be read again.
	priorities map[string]int32

	watching, watchingVolumes bool // Watch was told
	// news is when to look again at what is short, zero if there is none; rest is until when it is not looked at again.
	news, rest time.Time
	patience   time.Time // when the next wait for a View is over
	anyway     time.Time // when to look again without news
}

// roomCache is what was worked out of views and reservations.
type roomCache struct {
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

func newSurroundings() surroundings {
	return surroundings{
		views: map[string]*capacity.View{}, asked: map[string]time.Time{}, accounts: map[string]*account{},
		cache: &roomCache{rooms: map[roomKey][]schedule.Domain{}, ready: map[snapshotKey]*schedule.Snapshot{}},
		short: map[template.Key]bool{}, demanding: map[template.Key]bool{},
	}
}

// cached is the cache, to be changed.
func (s *surroundings) cached(by *owner) *roomCache {
	if s.cache.owner != by {
		s.cache = &roomCache{owner: by, made: s.cache.made, rooms: maps.Clone(s.cache.rooms), ready: maps.Clone(s.cache.ready)}
	}
	return s.cache
}

// forgetRooms is for when what clusters have free is another than before; nil: what all have.
func (s *surroundings) forgetRooms(by *owner, of func(cluster string) bool) {
	if len(s.cache.rooms) == 0 && len(s.cache.ready) == 0 {
		return
	}
	c := s.cached(by)
	maps.DeleteFunc(c.rooms, func(key roomKey, _ []schedule.Domain) bool { return of == nil || of(key.cluster) })
	clear(c.ready)
}

// demanded is plain with what is known of the members' nodes and pods, and wl with all that its pods ask for, if they ask for
// anything or the policy divides by what is free. Else it is plain.
func (w *World) demanded(a *Assignment, o *outlook, plain *schedule.Snapshot, wl *schedule.Workload) *schedule.Snapshot {
	d := a.Under(o.policy)
	switch {
	case d == nil:
		return plain
	case !w.Measures:
		return w.planned(d, plain, wl)
	}
	profile, err := capacity.NewProfile(&d.Template.Spec, w.priorityOf(&d.Template.Spec))
	if err != nil {
		return plain // the API server would not have let it in
	}
	wl.Template = d.Template
	w.withdraw(a.Key, wl.Current)
	w.useVolumes(a, wl)
	if w.now.Sub(w.around.cache.made) >= lookAnyway { // reservations end
		w.around.forgetRooms(w.owner, nil)
		w.around.cached(w.owner).made = w.now
	}
	key := snapshotKey{plain: plain, profile: profile.Key(), room: d.Room, pods: d.Pods}
	if snapshot := w.around.cache.ready[key]; snapshot != nil {
		return snapshot
	}
	cache := w.around.cached(w.owner)
	if len(cache.ready) >= maxSnapshots {
		clear(cache.ready)
	}
	around := plain.Surroundings
	around.PriorityClasses = w.priorityClasses()
	cache.ready[key] = schedule.NewSnapshot(w.measuredClusters(plain.Clusters(), d, profile), around)
	return cache.ready[key]
}

// measuredClusters adds what is known of them.
func (w *World) measuredClusters(plain []schedule.Cluster, d *template.Demand, profile *capacity.Profile) []schedule.Cluster {
	clusters := slices.Clone(plain)
	for i := range clusters {
		c := &clusters[i]
		view := w.around.views[c.Name]
		if view == nil {
			continue
		}
		c.Pods = view.Pods(!d.Pods)
		if d.Pods {
			c.Pods = append(slices.Clip(c.Pods), w.reservedPods(c.Name, view)...)
		}
		if view.Nodes() == 0 {
			continue
		}
		c.Domains = w.room(c, view, profile)
		if !d.Room || w.clusters[c.Name].Elastic {
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

// room is what a cluster has free, less what is reserved there.
func (w *World) room(c *schedule.Cluster, view *capacity.View, profile *capacity.Profile) []schedule.Domain {
	key := roomKey{c.Name, profile.Key()}
	cache := w.around.cached(w.owner)
	if domains, ok := cache.rooms[key]; ok {
		return domains
	}
	if len(cache.rooms) >= maxSnapshots*(len(w.around.views)+1) {
		clear(cache.rooms)
	}
	domains := view.Room(profile, c.Labels)
	for _, o := range w.outstanding(c.Name, view) {
		domains, _ = capacity.Take(domains, &o.demand.Request, o.replicas)
	}
	cache.rooms[key] = domains
	return domains
}

// unread are the clusters that answer and of which what d is about will soon be known.
func (w *World) unread(d *template.Demand) string {
	if !w.Measures {
		return ""
	}
	w.watch(len(d.Claims) > 0)
	s := &w.around
	var names []string
	for name, c := range w.clusters {
		if view := s.views[name]; !c.Ready || view != nil && (len(d.Claims) == 0 || view.Volumes()) {
			continue
		}
		since, asked := s.asked[name]
		if !asked {
			since = w.now
			s.asked[name] = since
			s.waitsUntil(since.Add(patience), w.now)
		}
		if w.now.Sub(since) < patience {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// watch has members measured from now on.
func (w *World) watch(volumes bool) {
	s := &w.around
	if s.watching && (s.watchingVolumes || !volumes) {
		return
	}
	s.watching, s.watchingVolumes = true, s.watchingVolumes || volumes
	w.out.others = append(w.out.others, Watch{Volumes: s.watchingVolumes})
}

// forgetMeasures drops what is known of a cluster that left.
func (w *World) forgetMeasures(cluster string) {
	delete(w.around.views, cluster)
	delete(w.around.asked, cluster)
	delete(w.around.accounts, cluster)
}

// Values of the PriorityClasses that every cluster has.
const (
	systemClusterCritical = 2000000000
	systemNodeCritical    = 2000001000
)

// priorityOf is the priority of pods for preemption: the least for those that preempt nobody.
func (w *World) priorityOf(spec *corev1.PodSpec) int32 {
	if spec.PreemptionPolicy != nil && *spec.PreemptionPolicy == corev1.PreemptNever {
		return math.MinInt32
	}
	if spec.Priority != nil {
		return *spec.Priority
	}
	return w.priorityClasses()[spec.PriorityClassName]
}

// priorityClasses is the value of each PriorityClass at the hub; that without a name is of pods that name none.
func (w *World) priorityClasses() map[string]int32 {
	if w.around.priorities != nil {
		return w.around.priorities
	}
	out := map[string]int32{"system-cluster-critical": systemClusterCritical, "system-node-critical": systemNodeCritical}
	for _, key := range w.keys(func(o *object) bool { return o.key.GR == template.PriorityClasses() }) {
		object := w.at(key).Content.Object
		value, _ := object["value"].(int64)
		out[key.Name] = int32(value)
		if byDefault, _ := object["globalDefault"].(bool); byDefault {
			out[""] = int32(value)
		}
	}
	w.around.priorities = out
	return out
}

// mayRun says whether an object without a recorded division may have been divided by an earlier run of the hub: its
// pods are there, or it is older than this run and not all is known of where they might be.
func (w *World) mayRun(a *Assignment) bool {
	unknown := false
	for name, c := range w.clusters {
		view := w.around.views[name]
		if view != nil && view.Count(a.Key.String()) > 0 {
			return true
		}
		elsewhere := c.Joined.After(a.Created) || !c.Ready && !c.Since.After(a.Created)
		unknown = unknown || (view == nil || !c.Ready) && !elsewhere
	}
	return unknown && a.Created.Before(w.Began)
}
