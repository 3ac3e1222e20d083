package propagate

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// patience is how long a decision about resources waits until the nodes and pods of a
// member that answers have been read. A hub that has just started knows of none, and
// would fill clusters that are full. One whose nodes or pods it may not read holds
// nothing up for longer: such a cluster then has no limit.
const patience = 10 * time.Second

// surroundings is what members have free and what runs in them, as decisions see it.
type surroundings struct {
	watcher *capacity.Watcher // nil: nothing is known of any cluster
	news    chan struct{}     // some View is new, or a wait is over

	// mu is taken after Engine.mu.
	mu      sync.Mutex
	dirty   map[string]bool           // clusters whose View is to be taken over
	views   map[string]*capacity.View // as decisions see them, until the next news
	asked   map[string]time.Time      // since when a View is waited for
	granted map[string]map[Key]grant  // by cluster
	rooms   map[roomKey][]schedule.Domain
	ready   map[snapshotKey]*schedule.Snapshot
	short   map[Key]bool // workloads that clusters may have room for later, or other clusters
	// demanding are those that were granted something once.
	demanding map[Key]bool
}

// roomKey is a cluster and a profile of pods.
type roomKey struct{ cluster, profile string }

// snapshotKey is what snapshots differ by.
type snapshotKey struct {
	plain      *schedule.Snapshot
	profile    string
	room, pods bool
}

func newSurroundings() *surroundings {
	return &surroundings{
		news: make(chan struct{}, 1), dirty: map[string]bool{}, views: map[string]*capacity.View{}, asked: map[string]time.Time{},
		granted: map[string]map[Key]grant{}, rooms: map[roomKey][]schedule.Domain{},
		ready: map[snapshotKey]*schedule.Snapshot{}, short: map[Key]bool{}, demanding: map[Key]bool{},
	}
}

// demanded is plain with what is known of the members' nodes and pods, and w with all that
// its pods ask for, if they ask for anything or the policy divides by what is free. Else
// it is plain. Engine.mu is held at least for reading.
func (e *Engine) demanded(t *template, o *outlook, plain *schedule.Snapshot, w *schedule.Workload) *schedule.Snapshot {
	d := t.demandUnder(o.policy)
	switch {
	case d == nil:
		return plain
	case e.around.watcher == nil:
		return e.planned(d, plain, w)
	}
	profile, err := capacity.NewProfile(&d.template.Spec, e.priorityOf(&d.template.Spec))
	if err != nil {
		return plain // the API server would not have let it in
	}
	w.Template = d.template
	s := e.around
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withdraw(t.key, w.Current)
	s.useVolumes(t, w)
	key := snapshotKey{plain: plain, profile: profile.Key(), room: d.room, pods: d.pods}
	if s.ready[key] == nil {
		if len(s.ready) >= maxSnapshots {
			clear(s.ready)
		}
		around := plain.Surroundings
		around.PriorityClasses = e.priorityClasses()
		s.ready[key] = schedule.NewSnapshot(s.clusters(plain.Clusters(), d, profile, e.elastic), around)
	}
	return s.ready[key]
}

// maxSnapshots bounds the memory of workloads that all ask for other nodes.
const maxSnapshots = 16

// demandUnder is what t asks for under a policy: one that divides by what is free looks
// at places for pods where nothing else is asked for.
func (t *template) demandUnder(p *schedule.Policy) *demand {
	if p == nil || p.Strategy != schedule.FreeCapacity && p.Strategy != schedule.Pack || t.demand != nil && t.demand.room {
		return t.demand
	}
	d := &demand{room: true, template: t.constraints}
	if t.demand != nil {
		d.template, d.pods, d.claims = t.demand.template, t.demand.pods, t.demand.claims
	}
	if d.template == nil {
		d.template = &corev1.PodTemplateSpec{}
	}
	d.request = schedule.RequestOf(d.template)
	return d
}

// clusters adds what is known of them.
func (s *surroundings) clusters(plain []schedule.Cluster, d *demand, profile *capacity.Profile, elastic func(cluster string) bool) []schedule.Cluster {
	clusters := slices.Clone(plain)
	for i := range clusters {
		c := &clusters[i]
		view := s.views[c.Name]
		if view == nil {
			continue
		}
		c.Pods = view.Pods(!d.pods)
		if d.pods {
			c.Pods = append(c.Pods, s.promised(c.Name, view)...)
		}
		if view.Nodes() == 0 {
			continue
		}
		c.Domains = s.room(c, view, profile)
		if !d.room || elastic(c.Name) {
			c.Domains = withoutLimits(c.Domains)
		}
	}
	return clusters
}

// elastic says whether what a cluster has free is no limit.
func (e *Engine) elastic(cluster string) bool { return e.clusters[cluster].elastic }

// withoutLimits is domains of which it is not known what they have free.
func withoutLimits(domains []schedule.Domain) []schedule.Domain {
	out := make([]schedule.Domain, len(domains))
	for i := range domains {
		out[i].Labels = domains[i].Labels
	}
	return out
}

// room is what a cluster has free, less what is granted there.
func (s *surroundings) room(c *schedule.Cluster, view *capacity.View, profile *capacity.Profile) []schedule.Domain {
	key := roomKey{c.Name, profile.Key()}
	if domains, ok := s.rooms[key]; ok {
		return domains
	}
	if len(s.rooms) >= maxSnapshots*(len(s.views)+1) {
		clear(s.rooms)
	}
	domains := view.Room(profile, c.Labels)
	for _, o := range s.outstanding(c.Name, view) {
		domains, _ = capacity.Take(domains, &o.demand.request, o.replicas)
	}
	s.rooms[key] = domains
	return domains
}

// forgetRooms is for when what clusters have free is another than before.
func (s *surroundings) forgetRooms(of func(cluster string) bool) {
	for key := range s.rooms {
		if of(key.cluster) {
			delete(s.rooms, key)
		}
	}
	clear(s.ready)
}

// unread are the clusters that answer and of which what d is about will soon be known.
func (e *Engine) unread(d *demand) string {
	s := e.around
	if s.watcher == nil {
		return ""
	}
	s.watcher.Want()
	if len(d.claims) > 0 {
		s.watcher.WantVolumes()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, c := range e.clusters {
		if view := s.views[name]; !c.ready || view != nil && (len(d.claims) == 0 || view.Volumes()) {
			continue
		}
		since, asked := s.asked[name]
		if !asked {
			since = time.Now()
			s.asked[name] = since
			time.AfterFunc(patience, s.wake)
		}
		if time.Since(since) < patience {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// forget drops what is known of a cluster that left.
func (s *surroundings) forget(cluster string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.views, cluster)
	delete(s.asked, cluster)
	delete(s.granted, cluster)
	if s.watcher != nil {
		s.watcher.Forget(cluster)
	}
}

func (s *surroundings) wake() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// Values of the PriorityClasses that every cluster has.
const (
	systemClusterCritical = 2000000000
	systemNodeCritical    = 2000001000
)

// priorityOf is the priority of pods for preemption: the least for those that preempt
// nobody. Engine.mu is held at least for reading.
func (e *Engine) priorityOf(spec *corev1.PodSpec) int32 {
	if spec.PreemptionPolicy != nil && *spec.PreemptionPolicy == corev1.PreemptNever {
		return math.MinInt32
	}
	if spec.Priority != nil {
		return *spec.Priority
	}
	return e.priorityClasses()[spec.PriorityClassName]
}

// priorityClasses is the value of each PriorityClass at the hub; that without a name is
// of pods that name none.
func (e *Engine) priorityClasses() map[string]int32 {
	out := map[string]int32{"system-cluster-critical": systemClusterCritical, "system-node-critical": systemNodeCritical}
	r := e.resources[schema.GroupResource{Group: "scheduling.k8s.io", Resource: "priorityclasses"}]
	if r == nil {
		return out
	}
	for name, t := range r.templates {
		value, _ := t.content.object["value"].(int64)
		out[name.Name] = int32(value)
		if byDefault, _ := t.content.object["globalDefault"].(bool); byDefault {
			out[""] = int32(value)
		}
	}
	return out
}
