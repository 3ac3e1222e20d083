package propagate

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
)

// lateDiscovery shows custom resources only once it is told to, as a server's
// discovery that lags behind.
type lateDiscovery struct {
	discovery.DiscoveryInterface
	gadgets atomic.Bool
	asked   atomic.Int32
}

func (d *lateDiscovery) ServerGroupsAndResources() ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	d.asked.Add(1)
	if !d.gadgets.Load() {
		return nil, nil, nil
	}
	return nil, []*metav1.APIResourceList{{GroupVersion: "example.com/v1", APIResources: []metav1.APIResource{
		{Name: "gadgets", Kind: "Gadget", Verbs: metav1.Verbs{"list", "watch", "create", "patch", "delete"}},
	}}}, nil
}

// TestResourceThatIsServedLate: the first object of a kind may come to the hub after a
// member was last asked whether it serves the kind.
func TestResourceThatIsServedLate(t *testing.T) {
	gadgets := schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "gadgets"}
	rig := newRig(gadgets.GroupResource())
	known := &lateDiscovery{}
	client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{gadgets: "GadgetList"})
	s := makeSession(rig.engine, client, fake.NewClientset(), func() {})
	s.member, s.discovery = newMember("aws"), known
	s.member.update(Key{GR: crds(), Name: "gadgets.example.com"}, func(r *record) {
		r.seen = observation{uid: "crd", status: map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": "True"}}}}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.watchAll(ctx) }()
	t.Cleanup(func() { cancel(); <-done })

	waitFor(t, "the member to be asked", func() bool { return known.asked.Load() > 0 })
	known.gadgets.Store(true)
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": map[string]any{"name": "g", "uid": "u"}}}
	rig.engine.mu.Lock()
	rig.sink.resource.templates[types.NamespacedName{Name: "g"}] = newTemplate(gadgets.GroupResource(), obj)
	rig.engine.mu.Unlock()
	waitFor(t, "gadgets to be watched", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.watching[gadgets.GroupResource()] != nil
	})
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	waitWithin(t, 10*time.Second, what, done)
}

func waitWithin(t *testing.T, deadline time.Duration, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, deadline, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waited in vain for %s", what)
	}
}
