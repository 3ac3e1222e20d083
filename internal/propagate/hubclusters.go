package propagate

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// cluster is what the hub says of a member.
type cluster struct {
	name    string
	labels  map[string]string
	zones   []string
	joined  time.Time
	ready   bool
	since   time.Time      // of ready
	facts   policy.Cluster // what policies select it by
	version string         // of Kubernetes
	// What its spec says of what may run there.
	taints            []corev1.Taint
	cordoned, drained bool
	elastic           bool
	price             schedule.Price
	size              size
}

// watchClusters keeps Engine.clusters until ctx ends. It closes seen when it
// has read them once.
func (e *Engine) watchClusters(ctx context.Context, seen chan struct{}) {
	s := &clusterSink{engine: e, log: klog.FromContext(ctx), seen: seen}
	watchInto(ctx, e.hub.Resource(v1alpha1.Resource("clusters")), "hub/clusters", "", s, nil)
}

type clusterSink struct {
	engine *Engine
	log    klog.Logger
	seen   chan struct{} // nil once closed
}

func (s *clusterSink) replace(objs []*unstructured.Unstructured) {
	clusters := make(map[string]*cluster, len(objs))
	for _, obj := range objs {
		if c := s.read(obj); c != nil {
			clusters[c.name] = c
		}
	}
	s.engine.setClusters(clusters)
	if s.seen != nil {
		close(s.seen)
		s.seen = nil
	}
}

func (s *clusterSink) apply(obj *unstructured.Unstructured) {
	if c := s.read(obj); c != nil {
		s.engine.changeClusters(func(all map[string]*cluster) { all[c.name] = c })
	}
}

func (s *clusterSink) remove(obj *unstructured.Unstructured) {
	s.engine.changeClusters(func(all map[string]*cluster) { delete(all, obj.GetName()) })
}

func (s *clusterSink) read(obj *unstructured.Unstructured) *cluster {
	var c v1alpha1.Cluster
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &c); err != nil {
		s.log.Error(err, "Cluster cannot be read", "cluster", obj.GetName())
		return nil
	}
	return newCluster(&c)
}

func newCluster(c *v1alpha1.Cluster) *cluster {
	out := &cluster{name: c.Name, labels: c.Labels, zones: c.Status.Zones, joined: c.CreationTimestamp.Time, facts: policy.ClusterOf(c), version: c.Status.Version}
	for _, t := range c.Spec.Taints {
		out.taints = append(out.taints, corev1.Taint{Key: t.Key, Value: string(t.Value), Effect: t.Effect, TimeAdded: t.TimeAdded})
	}
	out.elastic, out.price, out.size = c.Spec.Elastic, priceOf(c.Spec.Price), sizeOf(c)
	out.drained = c.Spec.Drain
	out.cordoned = c.Spec.Unschedulable || c.Spec.Drain
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		out.ready = ready.Status == metav1.ConditionTrue
		out.since = ready.LastTransitionTime.Time
	}
	if c.DeletionTimestamp != nil {
		out.ready = false
	}
	return out
}

func (e *Engine) changeClusters(change func(map[string]*cluster)) {
	e.mu.RLock()
	next := make(map[string]*cluster, len(e.clusters)+1)
	for name, c := range e.clusters {
		next[name] = c
	}
	e.mu.RUnlock()
	change(next)
	e.setClusters(next)
}

// setClusters takes over the clusters and decides again about everything that
// is divided. Only the clusters' watch calls it, so it does not race itself.
func (e *Engine) setClusters(next map[string]*cluster) {
	var gone []*member
	var changed []Key
	e.locked(func() {
		before := e.clusters
		e.clusters = next
		e.losses.keepClusters(next, e.clock())
		e.keepDrains(next)
		for name := range next {
			if e.members[name] == nil {
				e.members[name] = newMember(name)
			}
		}
		for name, m := range e.members {
			if next[name] == nil {
				gone = append(gone, m)
				delete(e.members, name)
			}
		}
		if !sameForScheduling(before, next) {
			e.surroundingsChanged()
			changed = e.decideAll()
			e.allBoundsLater()
		}
	})
	for _, m := range gone {
		m.disengage()
		e.around.forget(m.name)
	}
	e.toMembers(changed...)
	e.changes.notify(changed...)
	e.policiesSoon()
}

func sameForScheduling(a, b map[string]*cluster) bool {
	if len(a) != len(b) {
		return false
	}
	for name, c := range a {
		d := b[name]
		if d == nil || c.ready != d.ready || !c.joined.Equal(d.joined) ||
			!maps.Equal(c.labels, d.labels) || !slices.Equal(c.zones, d.zones) || !reflect.DeepEqual(c.facts, d.facts) ||
			c.elastic != d.elastic || c.price != d.price || c.cordoned != d.cordoned || c.drained != d.drained || !reflect.DeepEqual(c.taints, d.taints) {
			return false
		}
	}
	return true
}

// decideAll renews the decision of every template. Engine.mu is held.
func (e *Engine) decideAll() (changed []Key) {
	return e.decideSome(func(*template) bool { return true })
}

// decideSome renews the decision of the templates that which selects. Engine.mu is
// held.
func (e *Engine) decideSome(which func(*template) bool) (changed []Key) {
	for _, r := range e.resources {
		for _, t := range r.templates {
			if which(t) && e.renew(r, t) {
				changed = append(changed, t.key)
			}
		}
	}
	return changed
}

// renew has t decided as the clusters ask for now, and says whether that is something
// else than before. Engine.mu is held.
func (e *Engine) renew(r *resource, t *template) (differs bool) {
	d, shapes := e.decide(t, t), e.outlook(t.policy).shapes
	same := sameDecision(&t.decision, &d) && sameShapes(t.shapes, shapes) && maps.Equal(t.shares, e.workShares(t))
	if same && sameStates(t.decision.Shares, d.Shares) && slices.Equal(t.decision.Rejected, d.Rejected) {
		e.grant(t)
		return false
	}
	next := *t
	d.Shares = lastingReasons(t.decision.Shares, d.Shares)
	next.setDecision(d)
	next.shares = e.workShares(&next)
	next.shapes = shapes
	e.persistLater(&next)
	e.announce(t, &next, r)
	r.templates[types.NamespacedName{Namespace: t.key.Namespace, Name: t.key.Name}] = &next
	if same {
		e.changes.notify(t.key) // for whoever looks at Placements; members have nothing to do
	}
	return !same
}

// sameDecision compares what is told about decisions as a whole, and what is done.
func sameDecision(a, b *schedule.Decision) bool {
	return a.String() == b.String() && a.Reason == b.Reason && a.Unplaced == b.Unplaced && a.Problem == b.Problem &&
		a.Hold == b.Hold && a.Kept == b.Kept && a.Waits == b.Waits
}

// sameStates compares the reasons that are states of clusters. Others are not compared:
// a decision that is made again finds all "as before", and why it came to be so is the
// reason that was found first.
func sameStates(a, b []schedule.Share) bool {
	return slices.EqualFunc(a, b, func(x, y schedule.Share) bool {
		return x.Passing == y.Passing && (!x.Passing || x.Reason == y.Reason)
	})
}

// lastingReasons is after, with the reasons of before where a share is as it was, and was
// not given because of a state that is over.
func lastingReasons(before, after []schedule.Share) []schedule.Share {
	out := slices.Clone(after)
	for i := range out {
		at := slices.IndexFunc(before, func(s schedule.Share) bool { return s.Cluster == out[i].Cluster })
		if at >= 0 && out[i].Reason == schedule.AsBefore && before[at].Replicas == out[i].Replicas && !before[at].Passing {
			out[i].Reason = before[at].Reason
		}
	}
	return out
}
