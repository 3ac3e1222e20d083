package placement_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/placement"
)

// patience bounds what a test waits for; nothing takes that long unless it is broken.
const patience = 10 * time.Second

// memory is a Source that a test fills.
type memory struct {
	mu      sync.Mutex
	items   map[types.NamespacedName]v1alpha1.Placement
	waiting []chan types.NamespacedName
}

func newMemory(items ...v1alpha1.Placement) *memory {
	m := &memory{items: map[types.NamespacedName]v1alpha1.Placement{}}
	for _, p := range items {
		m.set(p)
	}
	return m
}

func (m *memory) set(p v1alpha1.Placement) {
	key := types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
	m.mu.Lock()
	m.items[key] = p
	m.mu.Unlock()
	m.notify(key)
}

// remove takes away what whoami(namespace, name, …) made.
func (m *memory) remove(namespace, name string) {
	m.notify(m.removeQuietly(namespace, name))
}

// removeQuietly is remove without the notice, which the caller sends.
func (m *memory) removeQuietly(namespace, name string) types.NamespacedName {
	key := types.NamespacedName{Namespace: namespace, Name: "deployments.apps." + name}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, key)
	return key
}

func (m *memory) notify(key types.NamespacedName) {
	m.mu.Lock()
	waiting := slices.Clone(m.waiting)
	m.mu.Unlock()
	for _, c := range waiting {
		c <- key
	}
}

func (m *memory) List(namespace string) []v1alpha1.Placement {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Collect(maps.Values(m.items))
	return slices.DeleteFunc(all, func(p v1alpha1.Placement) bool { return namespace != "" && p.Namespace != namespace })
}

func (m *memory) Get(namespace, name string) (v1alpha1.Placement, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.items[types.NamespacedName{Namespace: namespace, Name: name}]
	return p, ok
}

func (m *memory) Subscribe(context.Context) <-chan types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := make(chan types.NamespacedName, 1024)
	m.waiting = append(m.waiting, c)
	return c
}

// whoami is the Placement of a Deployment of three replicas.
func whoami(namespace, name, ready string) v1alpha1.Placement {
	p := v1alpha1.Placement{
		Object:  v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: name},
		Summary: v1alpha1.PlacementSummary{Clusters: "aws=2,azure=1", Ready: ready, Synced: metav1.ConditionTrue, Message: "all well"},
	}
	p.Namespace, p.Name = namespace, "deployments.apps."+name
	p.CreationTimestamp = metav1.NewTime(time.Now().Add(-5 * time.Minute))
	p.Labels = map[string]string{"app": name}
	return p
}

// elsewhere answers what the filter passes on.
func elsewhere(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }

// chain is the filter as in the hub: behind what finds out who asks for what.
func chain(source func() placement.Source, who string) http.Handler {
	h := placement.Filter(source, clock.RealClock{})(http.HandlerFunc(elsewhere))
	known := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := request.WithUser(r.Context(), &user.DefaultInfo{Name: who})
		h.ServeHTTP(w, r.WithContext(ctx))
	})
	return filters.WithRequestInfo(known, &request.RequestInfoFactory{
		APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api"),
	})
}

// serve returns a way to the hub for a user.
func serve(t *testing.T, source placement.Source, who string) *rest.Config {
	t.Helper()
	server := httptest.NewServer(chain(func() placement.Source { return source }, who))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return &rest.Config{Host: server.URL, QPS: -1}
}
