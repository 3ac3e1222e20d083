package dns

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/watch"
)

// gatewayPoll is how often a cluster that serves no Gateways is asked again.
const gatewayPoll = 20 * time.Second

// gatewayKind is Gateways or HTTPRoutes (gateway.networking.k8s.io/v1), kinds that a cluster may or may not serve.
func gatewayKind(c rest.Interface, resource string) watch.Source[*unstructured.Unstructured] {
	return untyped(c, schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: resource})
}

// hubGateways makes targets of the hub's Gateways and the HTTPRoutes attached to
// them. Either may come first.
type hubGateways struct {
	caches   *caches
	gateways map[string]*unstructured.Unstructured // by NAMESPACE/NAME
	routes   map[string]*unstructured.Unstructured
	mu       sync.Mutex
}

func newHubGateways(c *caches) *hubGateways {
	return &hubGateways{caches: c, gateways: map[string]*unstructured.Unstructured{}, routes: map[string]*unstructured.Unstructured{}}
}

// sink keeps one of the two kinds, and after each change makes the targets again.
func (h *hubGateways) sink(kept map[string]*unstructured.Unstructured, listed func()) watch.Sink[*unstructured.Unstructured] {
	return watch.Sink[*unstructured.Unstructured]{
		Replace: func(all []*unstructured.Unstructured) {
			h.change(func() {
				clear(kept)
				for _, u := range all {
					kept[keyOf(u)] = u
				}
			})
			listed()
		},
		Apply:  func(u *unstructured.Unstructured) { h.change(func() { kept[keyOf(u)] = u }) },
		Remove: func(u *unstructured.Unstructured) { h.change(func() { delete(kept, keyOf(u)) }) },
	}
}

func (h *hubGateways) change(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
	routes := slices.SortedFunc(maps.Values(h.routes), func(a, b *unstructured.Unstructured) int { return strings.Compare(keyOf(a), keyOf(b)) })
	now := map[route.TargetKey]*route.Target{}
	for _, g := range h.gateways {
		t := route.FromGateway(g, routes)
		now[t.Key] = &t
	}
	k := h.caches
	k.mu.RLock()
	before := map[route.TargetKey]*route.Target{}
	for key, t := range k.targets {
		if key.Kind == route.KindGateway {
			before[key] = t
		}
	}
	k.mu.RUnlock()
	if reflect.DeepEqual(before, now) {
		return
	}
	k.change(func(d *dirty) {
		for key := range before {
			delete(k.targets, key)
			d.touch(key)
		}
		for key, t := range now {
			k.targets[key] = t
			d.touch(key)
		}
		d.derived = true
	})
}
