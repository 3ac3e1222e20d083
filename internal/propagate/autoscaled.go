package propagate

import (
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// autoscaled knows which workloads of a member have their replicas set by a
// HorizontalPodAutoscaler there, made by the hub or by anybody else. Their
// spec.replicas is the autoscaler's.
type autoscaled struct {
	mu      sync.Mutex
	known   bool
	unread  error                                // why they are not known as they are now
	targets map[types.NamespacedName]scaleTarget // by autoscaler
}

type scaleTarget struct {
	group, kind, namespace, name string
}

func autoscalersResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
}

// owns says whether the replicas of an object are an autoscaler's. known is
// false until the member's autoscalers have been read.
func (a *autoscaled) owns(kind schema.GroupKind, namespace, name string) (owned, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	target := scaleTarget{kind.Group, kind.Kind, namespace, name}
	for _, t := range a.targets {
		if t == target {
			return true, a.known
		}
	}
	return false, a.known
}

// setUnread notes why the autoscalers cannot be read; nil: they can.
func (a *autoscaled) setUnread(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unread = err
}

func (a *autoscaled) unreadNow() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unread
}

// autoscalerSink takes in a member's autoscalers.
type autoscalerSink struct{ session *session }

func (s *autoscalerSink) replace(objs []*unstructured.Unstructured) {
	a := &s.session.scaled
	targets := make(map[types.NamespacedName]scaleTarget, len(objs))
	for _, obj := range objs {
		targets[nameOf(obj)] = targetOf(obj)
	}
	a.mu.Lock()
	a.known = true
	before := a.targets
	a.targets = targets
	a.mu.Unlock()
	for _, t := range before {
		s.queue(t)
	}
	for _, t := range targets {
		s.queue(t)
	}
	for _, gr := range scalable() {
		s.session.queueAll(gr) // they waited for this
	}
}

func (s *autoscalerSink) apply(obj *unstructured.Unstructured) {
	a, t := &s.session.scaled, targetOf(obj)
	a.mu.Lock()
	before := a.targets[nameOf(obj)]
	if a.targets == nil {
		a.targets = map[types.NamespacedName]scaleTarget{}
	}
	a.targets[nameOf(obj)] = t
	a.mu.Unlock()
	if before != t {
		s.queue(before)
		s.queue(t)
	}
}

func (s *autoscalerSink) remove(obj *unstructured.Unstructured) {
	a := &s.session.scaled
	a.mu.Lock()
	delete(a.targets, nameOf(obj))
	a.mu.Unlock()
	s.queue(targetOf(obj))
}

// queue lets a worker look at a target again.
func (s *autoscalerSink) queue(t scaleTarget) {
	e := s.session.engine
	e.mu.RLock()
	defer e.mu.RUnlock()
	for gr, r := range e.resources {
		if r.gvk.Group == t.group && r.gvk.Kind == t.kind {
			s.session.queue.Add(Key{GR: gr, Namespace: t.namespace, Name: t.name})
		}
	}
}

func targetOf(obj *unstructured.Unstructured) scaleTarget {
	ref, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "scaleTargetRef")
	gv, err := schema.ParseGroupVersion(ref["apiVersion"])
	if err != nil {
		return scaleTarget{}
	}
	return scaleTarget{gv.Group, ref["kind"], obj.GetNamespace(), ref["name"]}
}

// scalable are the resources that wait until the autoscalers are known.
func scalable() []schema.GroupResource {
	return []schema.GroupResource{
		{Group: "apps", Resource: "deployments"}, {Group: "apps", Resource: "replicasets"},
		{Group: "apps", Resource: "statefulsets"}, {Resource: "replicationcontrollers"},
	}
}
