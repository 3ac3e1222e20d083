package propagate

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
)

// policies is the hub's placement policies of both kinds. Guarded by Engine.mu.
type policies struct {
	none  *policy.Policy // what holds where none applies
	index *policy.Index
	all   map[types.UID]heldPolicy
}

// heldPolicy is a policy as it was last written, and as it is heeded: where a change
// makes no sense, as it was before that.
type heldPolicy struct {
	obj     *unstructured.Unstructured
	heeded  *policy.Policy // nil: it never made sense
	mistake string
}

func newPolicies() policies {
	return policies{none: policy.NoPolicy(), index: policy.NewIndex(nil), all: map[types.UID]heldPolicy{}}
}

// watchPolicies keeps Engine.policies until ctx ends. It closes seen when both kinds
// have been read once.
func (e *Engine) watchPolicies(ctx context.Context, seen chan struct{}) {
	var both, ends sync.WaitGroup
	for _, resource := range []string{"placementpolicies", "clusterplacementpolicies"} {
		both.Add(1)
		s := &policySink{engine: e, log: klog.FromContext(ctx), seen: both.Done, uids: map[types.UID]bool{}}
		ends.Go(func() { watchInto(ctx, e.hub.Resource(v1alpha1.Resource(resource)), "hub/"+resource, "", s, nil) })
	}
	ends.Go(func() {
		both.Wait()
		close(seen)
	})
	ends.Wait()
}

// policySink takes in the policies of one kind.
type policySink struct {
	engine *Engine
	log    klog.Logger
	seen   func()             // nil once called
	uids   map[types.UID]bool // of this kind
}

func (s *policySink) replace(objs []*unstructured.Unstructured) {
	there := make(map[types.UID]bool, len(objs))
	for _, obj := range objs {
		there[obj.GetUID()] = true
	}
	var gone []types.UID
	for uid := range s.uids {
		if !there[uid] {
			gone = append(gone, uid)
		}
	}
	s.uids = there
	s.engine.changePolicies(objs, gone)
	if s.seen != nil {
		s.seen()
		s.seen = nil
	}
}

func (s *policySink) apply(obj *unstructured.Unstructured) {
	s.uids[obj.GetUID()] = true
	s.engine.changePolicies([]*unstructured.Unstructured{obj}, nil)
}

func (s *policySink) remove(obj *unstructured.Unstructured) {
	delete(s.uids, obj.GetUID())
	s.engine.changePolicies(nil, []types.UID{obj.GetUID()})
}

// changePolicies takes over what was written or deleted, and decides again about the
// objects whose policy is another now, and no others.
func (e *Engine) changePolicies(written []*unstructured.Unstructured, gone []types.UID) {
	var keys []Key
	e.locked(func() {
		changed := false
		for _, obj := range written {
			before := e.policies.all[obj.GetUID()]
			after := before.next(obj)
			e.policies.all[obj.GetUID()] = after
			changed = changed || before.heeded != after.heeded
		}
		for _, uid := range gone {
			_, was := e.policies.all[uid]
			delete(e.policies.all, uid)
			changed = changed || was
		}
		if changed {
			e.policies.index = e.policies.newIndex()
			e.surroundingsChanged() // drops the outlooks of policies that are no more
			keys = e.matchAgain(func(*template) bool { return true })
		}
	})
	e.toMembers(keys...)
	e.changes.notify(keys...)
	e.policiesSoon()
}

// next is what becomes of h when the policy is written as obj. A write of its status
// or metadata leaves it as it is.
func (h heldPolicy) next(obj *unstructured.Unstructured) heldPolicy {
	if h.obj != nil && h.obj.GetGeneration() == obj.GetGeneration() {
		h.obj = obj
		return h
	}
	read, err := readHeld(obj)
	if err != nil {
		return heldPolicy{obj: obj, heeded: h.heeded, mistake: err.Error()}
	}
	return heldPolicy{obj: obj, heeded: read}
}

func readHeld(obj *unstructured.Unstructured) (*policy.Policy, error) {
	converter := runtime.DefaultUnstructuredConverter
	if obj.GetKind() == "ClusterPlacementPolicy" {
		var in v1alpha1.ClusterPlacementPolicy
		if err := converter.FromUnstructured(obj.Object, &in); err != nil {
			return nil, err
		}
		return policy.FromClusterPolicy(&in)
	}
	var in v1alpha1.PlacementPolicy
	if err := converter.FromUnstructured(obj.Object, &in); err != nil {
		return nil, err
	}
	return policy.FromPolicy(&in)
}

func (p *policies) newIndex() *policy.Index {
	var all []*policy.Policy
	for _, h := range p.all {
		if h.heeded != nil {
			all = append(all, h.heeded)
		}
	}
	return policy.NewIndex(all)
}

// policyFor is the policy that applies to a template, and policies.none if none does.
// Engine.mu is held at least for reading.
func (e *Engine) policyFor(t *template) *policy.Policy {
	if p := e.policies.index.For(e.policyObject(t)); p != nil {
		return p
	}
	return e.policies.none
}

func (e *Engine) policyObject(t *template) *policy.Object {
	return &policy.Object{
		Kind: t.obj.GroupVersionKind().GroupKind(), Namespace: t.key.Namespace, Name: t.key.Name,
		Labels: t.obj.GetLabels(), NamespaceLabels: e.namespaces.labels[t.key.Namespace],
	}
}

// matchAgain finds the policies of the templates that which selects, and decides
// again about those for which it is another one than before. Engine.mu is held.
func (e *Engine) matchAgain(which func(*template) bool) (changed []Key) {
	for _, r := range e.resources {
		for name, t := range r.templates {
			if !which(t) {
				continue
			}
			p := e.policyFor(t)
			if p == t.policy && !t.awaitsNamespace {
				continue
			}
			next := *t
			next.policy = p
			next.awaitsNamespace = e.awaitsNamespace(t)
			d := e.decide(&next, t)
			if !d.Hold && !d.Kept && appliedTogether(t, p, time.Now()) {
				next.recorded = nil
				d = e.decide(&next, nil)
			}
			next.setDecision(d)
			next.shares = e.workShares(&next)
			next.shapes = e.outlook(p).shapes
			e.persistLater(&next)
			e.announce(t, &next, r)
			r.templates[name] = &next
			changed = append(changed, next.key)
		}
	}
	return changed
}

// together is how long after each other an object and its policy count as applied
// together.
const together = 30 * time.Second

// appliedTogether says whether a policy came with an object, in whichever order: the
// object is then divided as the policy says, as if it had been there first. What runs
// stays where it is only if it has been running for a while, work that has begun always.
func appliedTogether(t *template, p *policy.Policy, now time.Time) bool {
	return now.Sub(t.created) < together && now.Sub(p.Created) < together
}

// awaitsNamespace says whether a policy may select a template by the labels of its
// Namespace, and these are not known: the watches of both run side by side. Engine.mu is
// held at least for reading.
func (e *Engine) awaitsNamespace(t *template) bool {
	if t.key.Namespace == "" || !e.policies.index.ByNamespaceLabels() {
		return false
	}
	_, known := e.namespaces.labels[t.key.Namespace]
	return !known
}

// policyMatch is the policy of a template, for its Placement; nil if none applies.
func (e *Engine) policyMatch(t *template) *v1alpha1.PolicyMatch {
	e.mu.RLock()
	m := e.policies.index.Match(e.policyObject(t))
	e.mu.RUnlock()
	if m.Policy == nil {
		return nil
	}
	out := &v1alpha1.PolicyMatch{Name: m.Policy.String(), Reason: m.Reason}
	for _, o := range m.Overruled {
		out.Overruled = append(out.Overruled, o.Reason)
	}
	return out
}
