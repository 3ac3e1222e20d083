package decide

import (
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

func newCluster(c *v1alpha1.Cluster) *Cluster {
	out := &Cluster{Name: c.Name, Labels: c.Labels, Zones: c.Status.Zones, Joined: c.CreationTimestamp.Time, Facts: policy.ClusterOf(c), Version: c.Status.Version}
	for _, t := range c.Spec.Taints {
		out.Taints = append(out.Taints, corev1.Taint{Key: t.Key, Value: string(t.Value), Effect: t.Effect, TimeAdded: t.TimeAdded})
	}
	out.Elastic, out.Price, out.size = c.Spec.Elastic, priceOf(c.Spec.Price), sizeOf(c)
	out.Drained = c.Spec.Drain
	out.Cordoned = c.Spec.Unschedulable || c.Spec.Drain
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		out.Ready = ready.Status == metav1.ConditionTrue
		out.Since = ready.LastTransitionTime.Time
	}
	if c.DeletionTimestamp != nil {
		out.Ready = false
	}
	return out
}

// clustersAfter is the clusters as they are after an input about them. What is the same is the same pointer.
func (w *World) clustersAfter(in Input) map[string]*Cluster {
	next := maps.Clone(w.clusters)
	put := func(c *v1alpha1.Cluster) {
		if now := newCluster(c); !reflect.DeepEqual(now, next[c.Name]) {
			next[c.Name] = now
		}
	}
	switch in := in.(type) {
	case ClustersListed:
		there := map[string]bool{}
		for _, c := range in.Clusters {
			there[c.Name] = true
			put(c)
		}
		maps.DeleteFunc(next, func(name string, _ *Cluster) bool { return !there[name] })
	case ClusterWritten:
		put(in.Cluster)
	case ClusterDeleted:
		delete(next, in.Name)
	}
	return next
}

// setClusters takes over the clusters and has everything that is divided decided again, if they are different for that.
func (w *World) setClusters(next map[string]*Cluster) {
	before := w.clusters
	if maps.Equal(before, next) {
		return
	}
	w.clusters = next
	w.out.facts = true
	w.losses.keepClusters(next, w.now)
	w.keepDrains()
	for name := range next {
		if w.members[name] == nil {
			w.members[name] = &member{}
		}
	}
	for name := range before {
		if next[name] == nil {
			w.left(name)
		}
	}
	w.nameMembers()
	if !sameForScheduling(before, next) {
		w.surroundingsChanged()
		w.backlog.Add(w.keys(func(*object) bool { return true }), agenda.Work{Decide: true})
		w.boundsSoon()
		w.out.count = true
	}
	w.weigh()
}

// nameMembers keeps the names of members, sorted.
func (w *World) nameMembers() { w.names = slices.Sorted(maps.Keys(w.members)) }

// left forgets a member, and what it showed.
func (w *World) left(name string) {
	delete(w.members, name)
	delete(w.unready, name)
	w.forgetMeasures(name)
	for gr := range w.resources {
		for _, key := range w.shown(gr, name) {
			o := w.own(key)
			delete(o.seen, name)
			delete(o.begun, name)
			if o.a != nil {
				w.show(o)
			}
			w.forgetEmpty(o)
		}
	}
}

// shown are the objects of a resource of which a member shows something, or may.
func (w *World) shown(gr schema.GroupResource, cluster string) (keys []template.Key) {
	for _, o := range w.resources[gr].objects {
		_, begun := o.begun[cluster]
		if begun || o.seen[cluster] != nil {
			keys = append(keys, o.key)
		}
	}
	sortKeys(keys)
	return keys
}

func sameForScheduling(a, b map[string]*Cluster) bool {
	return maps.EqualFunc(a, b, func(c, d *Cluster) bool {
		return c == d || c.Ready == d.Ready && c.Joined.Equal(d.Joined) &&
			maps.Equal(c.Labels, d.Labels) && slices.Equal(c.Zones, d.Zones) && reflect.DeepEqual(c.Facts, d.Facts) &&
			c.Elastic == d.Elastic && c.Price == d.Price && c.Cordoned == d.Cordoned && c.Drained == d.Drained && reflect.DeepEqual(c.Taints, d.Taints)
	})
}

// size is what a Cluster's status says of its nodes: all that is known where nobody measures.
type size struct {
	nodes int32
	node  *schedule.Resources // of one, on the average; nil: not known
}

func sizeOf(c *v1alpha1.Cluster) size {
	s := size{nodes: c.Status.Nodes}
	if s.nodes <= 0 || len(c.Status.Allocatable) == 0 {
		return s
	}
	all := schedule.NewResources(c.Status.Allocatable)
	n := int64(s.nodes)
	s.node = &schedule.Resources{MilliCPU: all.MilliCPU / n, Memory: all.Memory / n, Pods: all.Pods / n}
	for name, q := range all.Extended {
		if s.node.Extended == nil {
			s.node.Extended = map[corev1.ResourceName]int64{}
		}
		s.node.Extended[name] = (q + n - 1) / n // not every node has one
	}
	return s
}

// fill has the nodes spread over a cluster's domains.
func (s size) fill(domains []schedule.Domain) []schedule.Domain {
	if s.node == nil {
		return domains
	}
	if len(domains) == 0 {
		domains = make([]schedule.Domain, 1)
	}
	out := make([]schedule.Domain, len(domains))
	for i := range domains {
		count := s.nodes / int32(len(domains))
		if i < int(s.nodes)%len(domains) {
			count++
		}
		out[i] = schedule.Domain{Labels: domains[i].Labels, Nodes: []schedule.NodeGroup{{Count: count, Free: *s.node}}}
	}
	return out
}

// planned is demanded where nobody measures: with what nodes are to have, as if nothing ran there. Of pods of other workloads
// nothing is known.
func (w *World) planned(d *template.Demand, plain *schedule.Snapshot, wl *schedule.Workload) *schedule.Snapshot {
	wl.Template = d.Template.DeepCopy()
	if a := wl.Template.Spec.Affinity; a != nil {
		template.OwnPodsOnly(a, wl.Template.Labels)
	}
	clusters := slices.Clone(plain.Clusters())
	for i := range clusters {
		if c := w.clusters[clusters[i].Name]; d.Room && !c.Elastic {
			clusters[i].Domains = c.size.fill(clusters[i].Domains)
		}
	}
	return schedule.NewSnapshot(clusters, plain.Surroundings)
}

func priceOf(p *v1alpha1.ClusterPrice) schedule.Price {
	amount := func(q *quantity.Quantity) float64 {
		if q == nil {
			return 0
		}
		return max(0, q.AsApproximateFloat64())
	}
	if p == nil {
		return schedule.Price{}
	}
	return schedule.Price{CPU: amount(p.CPU), GiB: amount(p.MemoryGiB)}
}
