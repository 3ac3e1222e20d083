package dns

import (
	"context"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/watch"
)

// watchHub follows everything at the hub that answers come from, until ctx ends.
// synced is called once when the first list of each is there.
func (c *Controller) watchHub(ctx context.Context, synced func()) {
	h := &hubWatch{ctx: ctx, clock: c.cfg.Clock}
	watchAtHub(h, "globalroutes", untyped(c.hub, v1alpha1.Resource("globalroutes")), c.routeSink)
	watchAtHub(h, "dnszones", untyped(c.hub, v1alpha1.Resource("dnszones")), c.zoneSink)
	watchAtHub(h, "residencies", untyped(c.hub, v1alpha1.Resource("residencies")), c.residencySink)
	watchAtHub(h, "clusters", untyped(c.hub, v1alpha1.Resource("clusters")), c.clusterSink)
	watchAtHub(h, "ingresses", ingresses(c.hub), func(listed func()) watch.Sink[*networkingv1.Ingress] {
		return targets(c.caches, route.KindIngress, listed, func(i *networkingv1.Ingress) (route.Target, bool) { return route.FromIngress(i), true })
	})
	watchAtHub(h, "services", services(c.hub), func(listed func()) watch.Sink[*corev1.Service] {
		return targets(c.caches, route.KindService, listed, func(s *corev1.Service) (route.Target, bool) { return route.FromService(s) })
	})
	watchAtHub(h, "namespaces", namespaces(c.hub), c.namespaceSink)
	watchAtHub(h, "secrets", secretsOf(c.hub), c.secretSink)
	g := newHubGateways(c.caches)
	h.absent = gatewayPoll
	watchAtHub(h, "gateways", gatewayKind(c.hub, "gateways"), func(listed func()) watch.Sink[*unstructured.Unstructured] { return g.sink(g.gateways, listed) })
	watchAtHub(h, "httproutes", gatewayKind(c.hub, "httproutes"), func(listed func()) watch.Sink[*unstructured.Unstructured] { return g.sink(g.routes, listed) })
	go func() {
		h.first.Wait()
		synced()
	}()
	h.all.Wait()
}

// hubWatch is the watches of the hub.
type hubWatch struct {
	ctx   context.Context
	clock clock.WithDelayedExecution
	all   sync.WaitGroup
	first sync.WaitGroup // lists that have not come
	// absent is how often resources that are not served are asked for, of those that may not be; 0: they are served before
	// long.
	absent time.Duration
}

// watchAtHub begins to watch a resource of the hub; what sink makes calls listed after each list.
func watchAtHub[O metav1.Object](h *hubWatch, name string, source watch.Source[O], sink func(listed func()) watch.Sink[O]) {
	h.first.Add(1)
	into, absent := sink(once(h.first.Done)), h.absent
	h.all.Go(func() {
		watch.Run(h.ctx, watch.Resource[O, O]{
			Name: "hub/" + name, Source: source, Trim: watch.Whole[O], Into: into, Absent: absent, Clock: h.clock,
		})
	})
}

// once makes a function that acts the first time only.
func once(do func()) func() {
	var o sync.Once
	return func() { o.Do(do) }
}

// decode reads a custom resource.
func decode[T any](u *unstructured.Unstructured, into *T) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, into)
}

func keyOf(o metav1.Object) string { return o.GetNamespace() + "/" + o.GetName() }

func (c *Controller) routeSink(listed func()) watch.Sink[*unstructured.Unstructured] {
	k := c.caches
	return watch.Sink[*unstructured.Unstructured]{
		Replace: func(all []*unstructured.Unstructured) {
			k.change(func(d *dirty) {
				now, unread := map[string]*v1alpha1.GlobalRoute{}, map[string]string{}
				for _, u := range all {
					if r, why := readRoute(u, k.routes[keyOf(u)]); r != nil {
						now[keyOf(r)], unread[keyOf(r)] = r, why
					}
				}
				for key := range k.routes {
					d.routes[key] = true
				}
				for key := range now {
					d.routes[key] = true
				}
				k.routes, k.unread = now, unread
				d.derived = true
			})
			listed()
		},
		Apply: func(u *unstructured.Unstructured) {
			k.change(func(d *dirty) {
				before := k.routes[keyOf(u)]
				r, why := readRoute(u, before)
				if r == nil {
					return
				}
				k.routes[keyOf(r)], k.unread[keyOf(r)] = r, why
				if before == nil || before.UID != r.UID || before.Generation != r.Generation {
					d.routes[keyOf(r)] = true
					d.derived = true
				}
			})
		},
		Remove: func(u *unstructured.Unstructured) {
			k.change(func(d *dirty) {
				delete(k.routes, keyOf(u))
				delete(k.unread, keyOf(u))
				d.routes[keyOf(u)] = true
				d.derived = true
			})
		},
	}
}

func (c *Controller) zoneSink(listed func()) watch.Sink[*unstructured.Unstructured] {
	k := c.caches
	return watch.Sink[*unstructured.Unstructured]{
		Replace: func(all []*unstructured.Unstructured) {
			k.change(func(d *dirty) {
				now, unread := map[string]*v1alpha1.DNSZone{}, map[string]string{}
				for _, u := range all {
					if z, why := readZone(u, k.zones[u.GetName()]); z != nil {
						now[z.Name], unread[z.Name] = z, why
					}
				}
				k.zones, k.unreadZones, d.zones, d.services = now, unread, true, true
			})
			listed()
		},
		Apply: func(u *unstructured.Unstructured) {
			k.change(func(d *dirty) {
				before := k.zones[u.GetName()]
				z, why := readZone(u, before)
				if z == nil {
					return
				}
				k.zones[z.Name], k.unreadZones[z.Name] = z, why
				if before == nil || before.UID != z.UID || before.Generation != z.Generation {
					d.zones, d.services = true, true
				}
			})
		},
		Remove: func(u *unstructured.Unstructured) {
			k.change(func(d *dirty) {
				delete(k.zones, u.GetName())
				delete(k.unreadZones, u.GetName())
				d.zones, d.services = true, true
			})
		},
	}
}

func namespaces(c rest.Interface) watch.Source[*corev1.Namespace] {
	return typed[*corev1.Namespace](c, corev1.SchemeGroupVersion, "namespaces", "Namespace", "")
}

// namespaceSink keeps the labels of the hub's Namespaces, which zones select by.
func (c *Controller) namespaceSink(listed func()) watch.Sink[*corev1.Namespace] {
	k := c.caches
	return watch.Sink[*corev1.Namespace]{
		Replace: func(all []*corev1.Namespace) {
			now := map[string]labels.Set{}
			for _, n := range all {
				now[n.Name] = n.Labels
			}
			k.change(func(d *dirty) { k.namespaces, d.zones, d.everything = now, true, true })
			listed()
		},
		Apply: func(n *corev1.Namespace) {
			if before := k.labels(n.Name); before != nil && maps.Equal(before, n.Labels) {
				return
			}
			k.change(func(d *dirty) {
				k.namespaces[n.Name], d.zones, d.namespaces[n.Name] = n.Labels, true, true
				d.services = d.services || k.residencies.ByLabels()
			})
		},
		Remove: func(n *corev1.Namespace) {
			k.change(func(*dirty) { delete(k.namespaces, n.Name) })
		},
	}
}

func (c *Controller) clusterSink(listed func()) watch.Sink[*unstructured.Unstructured] {
	k := c.caches
	read := func(u *unstructured.Unstructured) (route.Cluster, bool) {
		o := &v1alpha1.Cluster{}
		if err := decode(u, o); err != nil {
			klog.Background().Error(err, "An object cannot be read", "kind", u.GetKind(), "object", klog.KObj(u))
			return route.Cluster{}, false
		}
		return route.Cluster{
			Name: o.Name, UID: string(o.UID), Provider: o.Status.Provider, Region: o.Status.Region,
			Continent: o.Labels[v1alpha1.LabelContinent], Zones: o.Status.Zones, Facts: policy.ClusterOf(o),
		}, true
	}
	set := func(d *dirty) { k.sorted, d.everything, d.derived, d.services = nil, true, true, true }
	return watch.Sink[*unstructured.Unstructured]{
		Replace: func(all []*unstructured.Unstructured) {
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
		Apply: func(u *unstructured.Unstructured) {
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
		Remove: func(u *unstructured.Unstructured) {
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
func targets[T metav1.Object](k *caches, kind string, listed func(), read func(T) (route.Target, bool)) watch.Sink[T] {
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
	return watch.Sink[T]{
		Replace: func(all []T) {
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
		Apply: func(o T) {
			t, ok := read(o)
			k.mu.RLock()
			before, unfit := k.targets[t.Key], k.unfit[t.Key]
			k.mu.RUnlock()
			if ok && before != nil && sameTarget(before, &t) || !ok && before == nil && unfit == nil && !t.Insists() {
				return // most changes are of no interest here
			}
			k.change(func(d *dirty) { mark(d, t.Key, set(t.Key, &t, ok)) })
		},
		Remove: func(o T) {
			key := route.TargetKey{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
			k.change(func(d *dirty) { mark(d, key, set(key, nil, false)) })
		},
	}
}
