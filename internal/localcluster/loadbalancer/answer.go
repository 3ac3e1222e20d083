package loadbalancer

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
)

// answerer answers requests from what the cluster's objects say at that moment.
type answerer struct {
	cluster   string
	services  corelisters.ServiceLister
	ingresses networkinglisters.IngressLister
	slices    discoverylisters.EndpointSliceLister

	mu    sync.Mutex
	turns map[objectKey]int // whose pod is next
}

type objectKey struct{ namespace, name string }

func (k objectKey) String() string { return k.namespace + "/" + k.name }

// service answers for one Service, as its load balancer.
func (a *answerer) service(key objectKey) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.answer(w, "", key)
	})
}

// ingress answers for all Ingresses, as the cluster's ingress controller.
func (a *answerer) ingress(w http.ResponseWriter, r *http.Request) {
	all, err := a.ingresses.List(labels.Everything())
	if err != nil {
		a.fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	to, ok := route(all, r.Host, r.URL.Path)
	if !ok {
		a.fail(w, http.StatusNotFound, fmt.Sprintf("no Ingress matches host %q and path %q", hostname(r.Host), r.URL.Path))
		return
	}
	through := fmt.Sprintf("ingress: %s/%s\n", to.ingress.Namespace, to.ingress.Name)
	reference := to.reference.Service
	if reference == nil {
		a.fail(w, http.StatusServiceUnavailable, through+"its backend is not a Service")
		return
	}
	key := objectKey{to.ingress.Namespace, reference.Name}
	service, err := a.services.Services(key.namespace).Get(key.name)
	if err != nil {
		a.fail(w, http.StatusServiceUnavailable, fmt.Sprintf("%sthere is no service %s", through, key))
		return
	}
	if !hasPort(service, reference.Port) {
		a.fail(w, http.StatusServiceUnavailable, fmt.Sprintf("%sservice %s has no such port", through, key))
		return
	}
	a.answer(w, through, key)
}

func hasPort(service *corev1.Service, port networkingv1.ServiceBackendPort) bool {
	return slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
		if port.Name != "" {
			return p.Name == port.Name
		}
		return p.Port == port.Number
	})
}

func (a *answerer) answer(w http.ResponseWriter, through string, key objectKey) {
	pod, ok := a.next(key)
	if !ok {
		a.fail(w, http.StatusServiceUnavailable, fmt.Sprintf("%sservice: %s\nno pod is ready", through, key))
		return
	}
	a.write(w, http.StatusOK, fmt.Sprintf("%sservice: %s\npod: %s", through, key, pod))
}

func (a *answerer) fail(w http.ResponseWriter, status int, text string) { a.write(w, status, text) }

func (a *answerer) write(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, "cluster: %s\n%s\n", a.cluster, text) // a client that is gone does not matter
}

// next is the ready pod whose turn it is.
func (a *answerer) next(key objectKey) (string, bool) {
	selector := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: key.name})
	found, err := a.slices.EndpointSlices(key.namespace).List(selector)
	if err != nil {
		return "", false
	}
	pods := readyPods(found)
	if len(pods) == 0 {
		return "", false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	turn := a.turns[key]
	a.turns[key] = turn + 1
	return pods[turn%len(pods)], true
}

func (a *answerer) forget(key objectKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.turns, key)
}

// readyPods are the names of the pods behind the ready endpoints, each once, in order. An endpoint that is not a pod has
// its address for a name. Readiness that nobody states counts as ready, as the API says.
func readyPods(all []*discoveryv1.EndpointSlice) []string {
	var names []string
	for _, slice := range all {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready {
				continue
			}
			name := strings.Join(endpoint.Addresses, ",")
			if endpoint.TargetRef != nil && endpoint.TargetRef.Name != "" {
				name = endpoint.TargetRef.Name
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
