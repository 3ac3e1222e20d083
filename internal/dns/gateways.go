package dns

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/dns/route"
)

const (
	// gatewayPoll is how often a cluster that serves no Gateways is asked again,
	// gatewayRetry how soon one that could not be asked.
	gatewayPoll  = 20 * time.Second
	gatewayRetry = time.Second
)

// gateways watches Gateways and HTTPRoutes (gateway.networking.k8s.io/v1), kinds
// that a cluster may or may not serve.
type gateways struct{ client dynamic.Interface }

func newGateways(cfg *rest.Config) (*gateways, error) {
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &gateways{client: client}, nil
}

// watch follows one of the kinds until ctx ends, from when the cluster serves it.
func (g *gateways) watch(ctx context.Context, resource, labels string, into sink[*unstructured.Unstructured]) {
	gvr := schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: resource}
	tell := into.outcome
	into.outcome = func(err error) {
		switch {
		case apierrors.IsNotFound(err):
			into.replace(nil) // that there are none is known, too
		case tell != nil:
			tell(err)
		}
	}
	for {
		_, err := g.client.Resource(gvr).List(ctx, metav1.ListOptions{LabelSelector: labels, Limit: 1})
		if err == nil {
			follow(ctx, dynamicSource(g.client, gvr), labels, into)
			return
		}
		into.tell(ctx, err)
		wait := gatewayRetry
		if apierrors.IsNotFound(err) {
			wait = gatewayPoll
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

func dynamicSource(c dynamic.Interface, gvr schema.GroupVersionResource) source {
	return source{gvr.Resource, &unstructured.Unstructured{},
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.Resource(gvr).List(ctx, o)
		},
		func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Resource(gvr).Watch(ctx, o)
		}}
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
func (h *hubGateways) sink(kept map[string]*unstructured.Unstructured, listed func()) sink[*unstructured.Unstructured] {
	return sink[*unstructured.Unstructured]{
		replace: func(all []*unstructured.Unstructured) {
			h.change(func() {
				clear(kept)
				for _, u := range all {
					kept[keyOf(u)] = u
				}
			})
			listed()
		},
		apply:  func(u *unstructured.Unstructured) { h.change(func() { kept[keyOf(u)] = u }) },
		remove: func(u *unstructured.Unstructured) { h.change(func() { delete(kept, keyOf(u)) }) },
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
