package dns

import (
	"maps"
	"reflect"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/watch"
)

const (
	// annotationPortOffset is what local clusters add to ports below 1024.
	annotationPortOffset = "hanse.dev/port-offset"
	// managed selects what the hub put into a member. EndpointSlices have the
	// labels of their Services.
	managed = v1alpha1.LabelManaged + "=true"
)

func ingresses(c rest.Interface) watch.Source[*networkingv1.Ingress] {
	return typed[*networkingv1.Ingress](c, networkingv1.SchemeGroupVersion, "ingresses", "Ingress", "")
}

func services(c rest.Interface) watch.Source[*corev1.Service] {
	return typed[*corev1.Service](c, corev1.SchemeGroupVersion, "services", "Service", "")
}

func endpointSlices(c rest.Interface) watch.Source[*discoveryv1.EndpointSlice] {
	return typed[*discoveryv1.EndpointSlice](c, discoveryv1.SchemeGroupVersion, "endpointslices", "EndpointSlice", "")
}

func typed[O metav1.Object](c rest.Interface, version schema.GroupVersion, resource, kind, namespace string) watch.Source[O] {
	return watch.REST[O]{Client: c, Path: watch.Path(version.WithResource(resource), namespace), Format: watch.Typed[O](version.WithKind(kind))}
}

func untyped(c rest.Interface, resource schema.GroupVersionResource) watch.Source[*unstructured.Unstructured] {
	return watch.REST[*unstructured.Unstructured]{Client: c, Path: watch.Path(resource, ""), Format: watch.Unstructured()}
}

// exposing keeps the exposures of one kind.
func exposing[T metav1.Object](s *memberSession, kind string, read func(T) route.Exposure) watch.Sink[T] {
	keyOf := func(o T) route.TargetKey {
		return route.TargetKey{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
	}
	return watch.Sink[T]{
		Replace: func(all []T) {
			now := map[route.TargetKey]route.Exposure{}
			for _, o := range all {
				now[keyOf(o)] = read(o)
			}
			s.change(func(m *memberCache, d *dirty) {
				other := func(k route.TargetKey, _ route.Exposure) bool { return k.Kind != kind }
				before := maps.Clone(m.exposures)
				maps.DeleteFunc(before, other)
				if !m.listed[kind] || !reflect.DeepEqual(before, now) {
					maps.DeleteFunc(m.exposures, func(k route.TargetKey, e route.Exposure) bool { return !other(k, e) })
					maps.Copy(m.exposures, now)
					m.listed[kind], d.everything = true, true
				}
				m.current(d, kind)
			})
		},
		Apply: func(o T) { s.expose(keyOf(o), read(o)) },
		Remove: func(o T) {
			s.change(func(m *memberCache, d *dirty) {
				delete(m.exposures, keyOf(o))
				d.touch(keyOf(o))
			})
		},
	}
}

func (s *memberSession) expose(key route.TargetKey, e route.Exposure) {
	if before, known := s.caches.exposure(s.name, key); known && reflect.DeepEqual(before, e) {
		return
	}
	s.change(func(m *memberCache, d *dirty) {
		m.exposures[key] = e
		d.touch(key)
	})
}

// touch marks what may depend on a target.
func (d *dirty) touch(key route.TargetKey) {
	d.namespaces[key.Namespace] = true
	if key.Kind == route.KindService {
		d.services = true
	}
}

func ingressExposure(i *networkingv1.Ingress) route.Exposure {
	var addresses, hostnames []string
	for _, lb := range i.Status.LoadBalancer.Ingress {
		addresses, hostnames = append(addresses, lb.IP), append(hostnames, lb.Hostname)
	}
	return exposure(addresses, hostnames, i.Annotations)
}

func serviceExposure(s *corev1.Service) route.Exposure {
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return route.Exposure{}
	}
	var addresses, hostnames []string
	for _, lb := range s.Status.LoadBalancer.Ingress {
		addresses, hostnames = append(addresses, lb.IP), append(hostnames, lb.Hostname)
	}
	return exposure(addresses, hostnames, s.Annotations)
}

func gatewayExposure(g *unstructured.Unstructured) route.Exposure {
	var addresses, hostnames []string
	list, _, _ := unstructured.NestedSlice(g.Object, "status", "addresses")
	for _, one := range list {
		address, _ := one.(map[string]any)
		value, _ := address["value"].(string)
		if kind, _ := address["type"].(string); kind == "Hostname" {
			hostnames = append(hostnames, value)
		} else {
			addresses = append(addresses, value)
		}
	}
	return exposure(addresses, hostnames, g.GetAnnotations())
}

func portOffset(annotations map[string]string) int {
	n, err := strconv.Atoi(annotations[annotationPortOffset])
	if err != nil || n < 0 || n > 64000 {
		return 0
	}
	return n
}

// endpoints counts the ready endpoints of each Service.
func (s *memberSession) endpoints() watch.Sink[*discoveryv1.EndpointSlice] {
	return watch.Sink[*discoveryv1.EndpointSlice]{
		Replace: func(all []*discoveryv1.EndpointSlice) {
			s.change(func(m *memberCache, d *dirty) {
				before := m.slices
				m.slices = map[serviceKey]map[string]route.Endpoints{}
				for _, slice := range all {
					m.count(slice)
				}
				if !m.listed[route.KindSlices] || !reflect.DeepEqual(before, m.slices) {
					m.listed[route.KindSlices], d.everything = true, true
				}
				m.current(d, route.KindSlices)
			})
		},
		Apply: func(slice *discoveryv1.EndpointSlice) {
			s.change(func(m *memberCache, d *dirty) {
				if m.count(slice) {
					d.touch(route.TargetKey{Kind: route.KindService, Namespace: slice.Namespace})
				}
			})
		},
		Remove: func(slice *discoveryv1.EndpointSlice) {
			s.change(func(m *memberCache, d *dirty) {
				key := ownerOf(slice)
				if delete(m.slices[key], slice.Name); len(m.slices[key]) == 0 {
					delete(m.slices, key)
				}
				d.touch(route.TargetKey{Kind: route.KindService, Namespace: slice.Namespace})
			})
		},
	}
}

func ownerOf(slice *discoveryv1.EndpointSlice) serviceKey {
	return serviceKey{slice.Namespace, slice.Labels[discoveryv1.LabelServiceName]}
}

// count notes how many endpoints of a slice are ready, and says whether that is
// news. A readiness that nobody states counts as ready, as the API says.
func (m *memberCache) count(slice *discoveryv1.EndpointSlice) bool {
	key := ownerOf(slice)
	var e route.Endpoints
	for i := range slice.Endpoints {
		e.Total++
		if ready := slice.Endpoints[i].Conditions.Ready; ready == nil || *ready {
			e.Ready++
		}
	}
	if m.slices[key] == nil {
		m.slices[key] = map[string]route.Endpoints{}
	}
	before, known := m.slices[key][slice.Name]
	m.slices[key][slice.Name] = e
	return !known || before != e
}
