package member

import (
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// scalers knows which workloads of a member have their replicas set by a HorizontalPodAutoscaler there, made by the hub or
// by anybody else. Their spec.replicas is the autoscaler's. Nothing is watched before something that can be scaled is placed
// there.
type scalers struct {
	mu       sync.Mutex
	watching bool
	known    bool
	unread   error // why they are not known as they are now
	targets  template.ScaleTargets
}

// owns says whether the replicas of an object are an autoscaler's. known is false until the member's autoscalers have been
// read.
func (a *scalers) owns(kind schema.GroupKind, namespace, name string) (owned, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.targets.Scaled(template.ScaleTarget{Group: kind.Group, Kind: kind.Kind, Namespace: namespace, Name: name}), a.known
}

// watch watches the autoscalers, if nobody does yet. It does not block.
func (a *scalers) watch(s *session) {
	s.mu.Lock()
	ctx := s.ctx
	s.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watching || ctx == nil {
		return
	}
	a.watching = true
	go s.follow(ctx, followed{
		name: "autoscalers", gvr: template.Autoscalers(), cut: template.CutAutoscaler, into: &scalerSink{s}, absent: lookAgain,
		told: func(err error) {
			if ctx.Err() == nil {
				a.setUnread(err)
			}
		},
	})
}

// setUnread notes why the autoscalers cannot be read; nil: they can.
func (a *scalers) setUnread(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unread = err
}

func (a *scalers) unreadNow() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unread
}

// scalerSink takes in a member's autoscalers.
type scalerSink struct{ session *session }

func (s *scalerSink) replace(objs []*unstructured.Unstructured, _ uint64) {
	a := &s.session.scalers
	a.mu.Lock()
	a.known = true
	concerned := a.targets.All()
	a.targets = template.ScaleTargets{}
	for _, obj := range objs {
		a.targets.Set(nameOf(obj), template.TargetOf(obj))
	}
	concerned = append(concerned, a.targets.All()...)
	a.mu.Unlock()
	for _, t := range concerned {
		s.queue(t)
	}
	for _, gr := range template.Scalable() {
		s.session.queueAll(gr) // they waited for this
	}
}

func (s *scalerSink) apply(obj *unstructured.Unstructured) {
	a, target := &s.session.scalers, template.TargetOf(obj)
	a.mu.Lock()
	before := a.targets.Set(nameOf(obj), target)
	a.mu.Unlock()
	if before != target {
		s.queue(before)
		s.queue(target)
	}
}

func (s *scalerSink) remove(obj *unstructured.Unstructured) {
	a := &s.session.scalers
	a.mu.Lock()
	before := a.targets.Set(nameOf(obj), template.ScaleTarget{})
	a.mu.Unlock()
	s.queue(before)
}

// queue lets a worker look at a target again.
func (s *scalerSink) queue(t template.ScaleTarget) {
	if key, scalable := t.Key(); scalable {
		s.session.queue.Add(key)
	}
}

func nameOf(obj *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
}
