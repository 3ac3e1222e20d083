package capacity

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// View is what was known of one cluster at one moment. It does not change, and
// may be used by any goroutine.
type View struct {
	domains       []domain
	nodes         []nodeView
	running       []schedule.PodGroup // on nodes
	repelling     []schedule.PodGroup // of these, what keeps others away
	waiting       []pods              // on none yet
	count         map[string]int32
	unschedulable map[string]Unschedulable
	volumes       map[types.NamespacedName][]string // zones by claim
	volumesRead   bool
}

// Unschedulable is pods of one workload that no node can take.
type Unschedulable struct {
	Count int32
	// Since is when the one that has waited longest was found unschedulable.
	Since time.Time
}

// domain is a zone of a cluster, or what of it is in none.
type domain struct{ zone, region string }

// nodeView is a node with what its pods leave.
type nodeView struct {
	*node
	domain int
	free   schedule.Resources
	used   []schedule.Reclaimable // by priority
}

// pods are alike and in the same domain.
type pods struct {
	*shape
	domain int
	count  int32
}

// Nodes is how many nodes the cluster has. One without any may make them as it
// needs them: nothing can be said of what it has free.
func (v *View) Nodes() int { return len(v.nodes) }

// Count is how many pods of a workload exist there, on a node or waiting for
// one.
func (v *View) Count(workload string) int32 { return v.count[workload] }

// Unschedulable is the pods of each workload, by its key, that no node can
// take; not to be modified.
func (v *View) Unschedulable() map[string]Unschedulable { return v.unschedulable }

// Pods is what runs, for schedule.Cluster, whose Domains have to be those of
// Room. With repelling, only those that keep others away. Not to be modified.
func (v *View) Pods(repelling bool) []schedule.PodGroup {
	if repelling {
		return v.repelling
	}
	return v.running
}

// NewView is what nodes, the pods on them and waiting for one, and volumes come to.
func NewView(nodes []*corev1.Node, all []*corev1.Pod, volumes ...*corev1.PersistentVolume) *View {
	s := newState()
	for _, n := range nodes {
		s.setNode(readNode(n))
	}
	for _, p := range all {
		read, counts := readPod(p)
		s.setPod(types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, read, counts)
	}
	for _, v := range volumes {
		read, bound := readVolume(v)
		s.setVolume(v.Name, read, bound)
	}
	s.volumesRead = true
	return s.newView()
}

// newView adds up. The state's lock is held; what the View refers to is not
// changed any more by anybody.
func (s *state) newView() *View {
	v := &View{count: map[string]int32{}, unschedulable: map[string]Unschedulable{},
		volumes: make(map[types.NamespacedName][]string, len(s.volumes)), volumesRead: s.volumesRead}
	for _, bound := range s.volumes {
		v.volumes[bound.claim] = bound.zones
	}
	v.findDomains(s.nodes)
	byName := make(map[string]*nodeView, len(v.nodes))
	for i := range v.nodes {
		byName[v.nodes[i].name] = &v.nodes[i]
	}
	type place struct {
		shape  *shape
		domain int
	}
	running, waiting := map[place]int32{}, map[place]int32{}
	for _, p := range s.pods {
		v.count[p.shape.workload]++
		n := byName[p.node]
		switch {
		case n != nil:
			n.take(p.shape)
			running[place{p.shape, n.domain}]++
		case p.node == "":
			waiting[place{p.shape, 0}]++
			if !p.unschedulable.IsZero() {
				v.addUnschedulable(p)
			}
		}
	}
	collect := func(all map[place]int32) []pods {
		out := make([]pods, 0, len(all))
		for at, n := range all {
			out = append(out, pods{at.shape, at.domain, n})
		}
		slices.SortFunc(out, func(a, b pods) int { return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.domain, b.domain)) })
		return out
	}
	v.waiting = collect(waiting)
	for _, p := range collect(running) {
		g := schedule.PodGroup{Workload: p.workload, Namespace: p.namespace, Labels: p.labels,
			Count: p.count, Domain: p.domain, AntiAffinity: p.antiAffinity}
		v.running = append(v.running, g)
		if len(p.antiAffinity) > 0 {
			v.repelling = append(v.repelling, g)
		}
	}
	v.running, v.repelling = slices.Clip(v.running), slices.Clip(v.repelling) // whoever appends, copies
	return v
}

func (v *View) findDomains(nodes map[string]*node) {
	for _, n := range nodes {
		v.nodes = append(v.nodes, nodeView{node: n, free: copyOf(n.allocatable)})
		if d := (domain{n.zone, n.region}); !slices.Contains(v.domains, d) {
			v.domains = append(v.domains, d)
		}
	}
	slices.SortFunc(v.domains, func(a, b domain) int { return cmp.Or(cmp.Compare(a.zone, b.zone), cmp.Compare(a.region, b.region)) })
	slices.SortFunc(v.nodes, func(a, b nodeView) int { return cmp.Compare(a.name, b.name) })
	for i := range v.nodes {
		n := &v.nodes[i]
		n.domain = slices.Index(v.domains, domain{n.zone, n.region})
	}
}

// take counts a pod that is on the node.
func (n *nodeView) take(sh *shape) {
	subtract(&n.free, &sh.request, 1)
	for i := range n.used {
		if n.used[i].Priority == sh.priority {
			subtract(&n.used[i].Used, &sh.request, -1)
			return
		}
	}
	n.used = append(n.used, schedule.Reclaimable{Priority: sh.priority, Used: copyOf(sh.request)})
}

func (v *View) addUnschedulable(p pod) {
	u := v.unschedulable[p.shape.workload]
	if u.Count == 0 || p.unschedulable.Before(u.Since) {
		u.Since = p.unschedulable
	}
	u.Count++
	v.unschedulable[p.shape.workload] = u
}
