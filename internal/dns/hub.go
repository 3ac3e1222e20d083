package dns

import (
	"context"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// watchHub follows everything at the hub that answers come from, until ctx ends.
// synced is called once when the first list of each is there.
func (c *Controller) watchHub(ctx context.Context, synced func()) {
	var first sync.WaitGroup
	first.Add(8)
	var wg sync.WaitGroup
	wg.Go(func() {
		follow(ctx, dynamicSource(c.client, v1alpha1.Resource("globalroutes")), "", c.routeSink(once(first.Done)))
	})
	wg.Go(func() {
		follow(ctx, dynamicSource(c.client, v1alpha1.Resource("dnszones")), "", c.zoneSink(once(first.Done)))
	})
	wg.Go(func() {
		follow(ctx, dynamicSource(c.client, v1alpha1.Resource("clusters")), "", c.clusterSink(once(first.Done)))
	})
	wg.Go(func() {
		follow(ctx, ingresses(c.typed), "", targets(c.caches, route.KindIngress, once(first.Done), func(i *networkingv1.Ingress) (route.Target, bool) { return route.FromIngress(i), true }))
	})
	wg.Go(func() {
		follow(ctx, services(c.typed), "", targets(c.caches, route.KindService, once(first.Done), func(s *corev1.Service) (route.Target, bool) { return route.FromService(s) }))
	})
	g := newHubGateways(c.caches)
	wg.Go(func() { c.gateways.watch(ctx, "gateways", "", g.sink(g.gateways, once(first.Done))) })
	wg.Go(func() { c.gateways.watch(ctx, "httproutes", "", g.sink(g.routes, once(first.Done))) })
	wg.Go(func() { follow(ctx, secretsOf(c.typed), "", c.secretSink(once(first.Done))) })
	go func() {
		first.Wait()
		synced()
	}()
	wg.Wait()
}

// once makes a function that acts the first time only.
func once(do func()) func() {
	var o sync.Once
	return func() { o.Do(do) }
}

// decode reads a custom resource.
func decode[T any](u *unstructured.Unstructured, into *T) bool {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, into); err != nil {
		klog.Background().Error(err, "An object cannot be read", "kind", u.GetKind(), "object", klog.KObj(u))
		return false
	}
	return true
}

func keyOf(o metav1.Object) string { return o.GetNamespace() + "/" + o.GetName() }

func (c *Controller) routeSink(listed func()) sink[*unstructured.Unstructured] {
	k := c.caches
	return sink[*unstructured.Unstructured]{
		replace: func(all []*unstructured.Unstructured) {
			now := map[string]*v1alpha1.GlobalRoute{}
			for _, u := range all {
				r := &v1alpha1.GlobalRoute{}
				if decode(u, r) {
					now[keyOf(r)] = r
				}
			}
			k.change(func(d *dirty) {
				for key := range k.routes {
					d.routes[key] = true
				}
				for key := range now {
					d.routes[key] = true
				}
				k.routes = now
				d.derived = true
			})
			listed()
		},
		apply: func(u *unstructured.Unstructured) {
			r := &v1alpha1.GlobalRoute{}
			if !decode(u, r) {
				return
			}
			k.change(func(d *dirty) {
				before := k.routes[keyOf(r)]
				k.routes[keyOf(r)] = r
				if before == nil || before.UID != r.UID || before.Generation != r.Generation {
					d.routes[keyOf(r)] = true
					d.derived = true
				}
			})
		},
		remove: func(u *unstructured.Unstructured) {
			k.change(func(d *dirty) {
				delete(k.routes, keyOf(u))
				d.routes[keyOf(u)] = true
				d.derived = true
			})
		},
	}
}

func (c *Controller) zoneSink(listed func()) sink[*unstructured.Unstructured] {
	k := c.caches
	return sink[*unstructured.Unstructured]{
		replace: func(all []*unstructured.Unstructured) {
			now := map[string]*v1alpha1.DNSZone{}
			for _, u := range all {
				z := &v1alpha1.DNSZone{}
				if decode(u, z) {
					now[z.Name] = z
				}
			}
			k.change(func(d *dirty) { k.zones, d.zones, d.services = now, true, true })
			listed()
		},
		apply: func(u *unstructured.Unstructured) {
			z := &v1alpha1.DNSZone{}
			if !decode(u, z) {
				return
			}
			k.change(func(d *dirty) {
				before := k.zones[z.Name]
				k.zones[z.Name] = z
				if before == nil || before.UID != z.UID || before.Generation != z.Generation {
					d.zones, d.services = true, true
				}
			})
		},
		remove: func(u *unstructured.Unstructured) {
			k.change(func(d *dirty) {
				delete(k.zones, u.GetName())
				d.zones, d.services = true, true
			})
		},
	}
}

func (c *Controller) clusterSink(listed func()) sink[*unstructured.Unstructured] {
	k := c.caches
	read := func(u *unstructured.Unstructured) (route.Cluster, bool) {
		o := &v1alpha1.Cluster{}
		if !decode(u, o) {
			return route.Cluster{}, false
		}
		return route.Cluster{
			Name: o.Name, UID: string(o.UID), Provider: o.Status.Provider, Region: o.Status.Region,
			Continent: o.Labels[v1alpha1.LabelContinent], Zones: o.Status.Zones,
		}, true
	}
	set := func(d *dirty) { k.sorted, d.everything, d.derived, d.services = nil, true, true, true }
	return sink[*unstructured.Unstructured]{
		replace: func(all []*unstructured.Unstructured) {
			now := map[string]route.Cluster{}
			for _, u := range all {
				if cluster, ok := read(u); ok {
					now[cluster.Name] = cluster
				}
			}
			k.change(func(d *dirty) {
				k.clusters = now
				for name, m := range k.members {
					if _, there := now[name]; there {
						m.gone = false
					} else {
						k.left(name)
					}
				}
				set(d)
			})
			listed()
		},
		apply: func(u *unstructured.Unstructured) {
			cluster, ok := read(u)
			if !ok {
				return
			}
			k.mu.RLock()
			before, known := k.clusters[cluster.Name]
			k.mu.RUnlock()
			if known && sameCluster(before, cluster) {
				return
			}
			k.change(func(d *dirty) {
				k.clusters[cluster.Name] = cluster
				if m := k.members[cluster.Name]; m != nil {
					m.gone = false // it was engaged before it was seen here
				}
				set(d)
			})
		},
		remove: func(u *unstructured.Unstructured) {
			k.change(func(d *dirty) {
				delete(k.clusters, u.GetName())
				k.left(u.GetName())
				set(d)
			})
		},
	}
}

// targets keeps the targets of one kind; read says which objects are any. Of the
// others it keeps those that ask to be.
func targets[T metav1.Object](k *caches, kind string, listed func(), read func(T) (route.Target, bool)) sink[T] {
	// set keeps one object in one of the maps, and says whether that is news.
	set := func(key route.TargetKey, t *route.Target, ok bool) bool {
		before, unfit := k.targets[key], k.unfit[key]
		delete(k.targets, key)
		delete(k.unfit, key)
		switch {
		case t == nil:
		case ok:
			k.targets[key] = t
		case t.Insists():
			k.unfit[key] = t
		}
		return !sameTarget(before, k.targets[key]) || !sameTarget(unfit, k.unfit[key])
	}
	mark := func(d *dirty, key route.TargetKey, news bool) {
		if news {
			d.touch(key)
			d.derived = true
		}
	}
	return sink[T]{
		replace: func(all []T) {
			k.change(func(d *dirty) {
				mine := func(key route.TargetKey, _ *route.Target) bool { return key.Kind == kind }
				maps.DeleteFunc(k.targets, mine)
				maps.DeleteFunc(k.unfit, mine)
				for _, o := range all {
					t, ok := read(o)
					set(t.Key, &t, ok)
				}
				d.everything, d.derived, d.services = true, true, true
			})
			listed()
		},
		apply: func(o T) {
			t, ok := read(o)
			k.mu.RLock()
			before, unfit := k.targets[t.Key], k.unfit[t.Key]
			k.mu.RUnlock()
			if ok && before != nil && sameTarget(before, &t) || !ok && before == nil && unfit == nil && !t.Insists() {
				return // most changes are of no interest here
			}
			k.change(func(d *dirty) { mark(d, t.Key, set(t.Key, &t, ok)) })
		},
		remove: func(o T) {
			key := route.TargetKey{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
			k.change(func(d *dirty) { mark(d, key, set(key, nil, false)) })
		},
	}
}
