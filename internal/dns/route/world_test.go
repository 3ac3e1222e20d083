package route_test

import (
	"net/netip"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// world is the tutorial's: three clusters, an Ingress in each. Tests break it.
type world struct {
	clusters  []route.Cluster
	targets   map[route.TargetKey]*route.Target
	exposed   map[string]route.Exposure // by cluster; absent: not looked at
	endpoints map[string]route.Endpoints
	probes    map[string]string // state by address; absent: Unknown
	refused   map[string]string // by "ADDRESS HOST"
	within    netip.Prefix
	flat      map[string][]netip.Addr
	outdated  map[string]string // by CLUSTER/KIND
	residence *route.Residence
}

func (w *world) Clusters() []route.Cluster { return w.clusters }
func (w *world) Target(k route.TargetKey) (*route.Target, bool) {
	t, ok := w.targets[k]
	return t, ok
}
func (w *world) Exposure(cluster string, _ route.TargetKey) (route.Exposure, bool) {
	e, ok := w.exposed[cluster]
	return e, ok
}
func (w *world) Endpoints(cluster, _, service string) (route.Endpoints, bool) {
	e, ok := w.endpoints[cluster+"/"+service]
	return e, ok
}
func (w *world) Probe(c health.Check) health.Result {
	state, ok := w.probes[c.Address.Addr().String()]
	if !ok {
		state = v1alpha1.HealthUnknown
	}
	return health.Result{State: state, Message: "so it seems"}
}
func (w *world) Refuse(a netip.Addr, host string) (string, netip.Prefix) {
	return w.refused[a.String()+" "+host], w.within
}
func (w *world) Outdated(cluster, kind string) string { return w.outdated[cluster+"/"+kind] }
func (w *world) Flat(name string) []netip.Addr        { return w.flat[name] }

func (w *world) Residence(string) *route.Residence { return w.residence }

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func ingress() *networkingv1.Ingress {
	backend := func(service string) networkingv1.IngressBackend {
		return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: service}}
	}
	rule := func(host string, paths map[string]string) networkingv1.IngressRule {
		r := networkingv1.IngressRule{Host: host}
		r.HTTP = &networkingv1.HTTPIngressRuleValue{}
		for _, path := range []string{"/", "/api"} {
			if service := paths[path]; service != "" {
				r.HTTP.Paths = append(r.HTTP.Paths, networkingv1.HTTPIngressPath{Path: path, Backend: backend(service)})
			}
		}
		return r
	}
	i := &networkingv1.Ingress{}
	i.Namespace, i.Name = "shop", "traefik"
	i.Spec.Rules = []networkingv1.IngressRule{
		rule("devfest.example", map[string]string{"/": "wordpress"}),
		rule("www.devfest.example", map[string]string{"/": "whoami", "/api": "api"}),
	}
	return i
}

func tutorial() *world {
	t := route.FromIngress(ingress())
	w := &world{
		clusters: []route.Cluster{
			{Name: "aws", Provider: "aws", Region: "us-east-1", Continent: "NA", Answers: true, Zones: []string{"us-east-1a", "us-east-1b"}},
			{Name: "azure", Provider: "azure", Region: "westeurope", Continent: "EU", Answers: true},
			{Name: "google", Provider: "google", Region: "asia-southeast1", Continent: "AS", Answers: true, Zones: []string{"asia-southeast1-a"}},
		},
		targets:   map[route.TargetKey]*route.Target{t.Key: &t},
		exposed:   map[string]route.Exposure{},
		endpoints: map[string]route.Endpoints{},
		probes:    map[string]string{},
		flat:      map[string][]netip.Addr{},
		outdated:  map[string]string{},
	}
	for i, c := range w.clusters {
		address := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		w.exposed[c.Name] = route.Exposure{Addresses: []netip.Addr{address}, PortOffset: 20000}
		w.probes[address.String()] = v1alpha1.HealthUp
		for _, s := range []string{"wordpress", "whoami", "api", "traefik-lb"} {
			w.endpoints[c.Name+"/"+s] = route.Endpoints{Ready: 2, Total: 2}
		}
	}
	return w
}

func devfest() *v1alpha1.GlobalRoute {
	return &v1alpha1.GlobalRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "devfest"},
		Spec:       v1alpha1.GlobalRouteSpec{Targets: []v1alpha1.RouteTarget{{Kind: "Ingress", Name: "traefik"}}},
	}
}

func resolve(t *testing.T, r *v1alpha1.GlobalRoute, w *world) *route.Resolved {
	t.Helper()
	return route.Resolve(r, w, route.Nearest(w.clusters))
}

func state(t *testing.T, res *route.Resolved, cluster string) route.ClusterState {
	t.Helper()
	for _, c := range res.Clusters {
		if c.Name == cluster {
			return c
		}
	}
	t.Fatalf("no cluster %s in %v", cluster, res.Clusters)
	return route.ClusterState{}
}

// answer is the names of the clusters that answer for the first host.
func answer(res *route.Resolved, continent, country string) []string {
	h := &res.Hosts[0]
	var names []string
	for _, choice := range steer.Choose(h, placeOf(continent, country)) {
		for _, i := range choice.Clusters {
			names = append(names, h.Clusters[i].Name)
		}
	}
	return names
}
