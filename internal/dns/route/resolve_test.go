package route_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

func placeOf(continent, country string) geo.Place {
	return geo.Place{Continent: continent, Country: country}
}

func TestTutorialFollowsFromTheIngress(t *testing.T) {
	res := resolve(t, devfest(), tutorial())
	var names []string
	for _, h := range res.Hosts {
		names = append(names, h.Name)
	}
	if !slices.Equal(names, []string{"devfest.example.", "www.devfest.example."}) {
		t.Fatalf("hosts %v", names)
	}
	for _, test := range []struct{ continent, country, want string }{
		{"EU", "FR", "azure"}, {"NA", "US", "aws"}, {"AS", "SG", "google"},
		{"SA", "BR", "aws"}, {"AF", "EG", "azure"}, {"OC", "AU", "google"},
	} {
		if got := answer(res, test.continent, test.country); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s is answered with %v, want %s", test.country, got, test.want)
		}
	}
	if got := answer(res, "", ""); len(got) != 3 {
		t.Errorf("nobody knows where: %v, want all", got)
	}
	if h := res.Hosts[0]; h.TTL != route.DefaultTTL || h.Owner != "shop/devfest" {
		t.Errorf("host %+v", h)
	}
	c := res.Checks[0]
	if c.Protocol != "HTTP" || c.Address.String() != "192.0.2.1:20080" || c.Host != "devfest.example" || c.Path != "/" ||
		c.Interval != 10*time.Second || c.Timeout != 4*time.Second || c.Down != 3 || c.Up != 2 || c.Status != "200-399" {
		t.Errorf("check %+v", c)
	}
}

func TestHealthFromTwoSides(t *testing.T) {
	down, up, unknown := v1alpha1.HealthDown, v1alpha1.HealthUp, v1alpha1.HealthUnknown
	for _, test := range []struct {
		name            string
		change          func(*world, *v1alpha1.GlobalRoute)
		healthy         bool
		inside, outside string
	}{
		{"both", func(*world, *v1alpha1.GlobalRoute) {}, true, up, up},
		{"no endpoint is ready", func(w *world, _ *v1alpha1.GlobalRoute) {
			w.endpoints["azure/wordpress"] = route.Endpoints{Total: 2}
		}, false, down, up},
		{"another path's endpoints", func(w *world, _ *v1alpha1.GlobalRoute) {
			w.endpoints["azure/api"] = route.Endpoints{}
		}, true, up, up},
		{"probes fail", func(w *world, _ *v1alpha1.GlobalRoute) { w.probes["192.0.2.2"] = down }, false, up, down},
		{"not probed yet", func(w *world, _ *v1alpha1.GlobalRoute) { delete(w.probes, "192.0.2.2") }, true, up, unknown},
		{"was down before the hub was started", func(w *world, r *v1alpha1.GlobalRoute) {
			delete(w.probes, "192.0.2.2")
			r.Status.Clusters = []v1alpha1.RouteCluster{{Name: "azure", Outside: &v1alpha1.RouteHealth{State: down}}}
		}, false, up, down},
		{"away: that it was up does not count", func(w *world, _ *v1alpha1.GlobalRoute) { w.clusters[1].Answers = false }, true, unknown, up},
		{"away, and empty when it was looked at last", func(w *world, _ *v1alpha1.GlobalRoute) {
			w.clusters[1].Answers = false
			w.endpoints["azure/wordpress"] = route.Endpoints{}
		}, false, down, up},
		{"its endpoints cannot be read", func(w *world, _ *v1alpha1.GlobalRoute) { w.outdated["azure/EndpointSlice"] = "403" }, true, unknown, up},
		{"its Ingresses cannot be read, and it was empty", func(w *world, _ *v1alpha1.GlobalRoute) {
			w.outdated["azure/Ingress"] = "403"
			w.endpoints["azure/wordpress"] = route.Endpoints{}
		}, false, down, up},
		{"hub just started, and it was empty before", func(w *world, r *v1alpha1.GlobalRoute) {
			delete(w.endpoints, "azure/wordpress")
			r.Status.Clusters = []v1alpha1.RouteCluster{{Name: "azure", Inside: &v1alpha1.RouteHealth{State: down}}}
		}, false, down, up},
		{"hub just started, and it was up before", func(w *world, r *v1alpha1.GlobalRoute) {
			delete(w.endpoints, "azure/wordpress")
			r.Status.Clusters = []v1alpha1.RouteCluster{{Name: "azure", Inside: &v1alpha1.RouteHealth{State: up}}}
		}, true, unknown, up},
		{"hub just started, and the spec has changed since it was empty", func(w *world, r *v1alpha1.GlobalRoute) {
			delete(w.endpoints, "azure/wordpress")
			r.Generation = 2
			r.Status.Clusters = []v1alpha1.RouteCluster{{Name: "azure", Inside: &v1alpha1.RouteHealth{State: down}}}
		}, true, unknown, up},
		{"away, and its address is dead", func(w *world, _ *v1alpha1.GlobalRoute) {
			w.clusters[1].Answers = false
			w.probes["192.0.2.2"] = down
		}, false, unknown, down},
		{"no address", func(w *world, _ *v1alpha1.GlobalRoute) { w.exposed["azure"] = route.Exposure{} }, false, down, unknown},
		{"hub just started: addresses of the status", func(w *world, r *v1alpha1.GlobalRoute) {
			delete(w.exposed, "azure")
			w.clusters[1].Answers = false
			r.Status.Clusters = []v1alpha1.RouteCluster{{Name: "azure", Addresses: []string{"192.0.2.2"}}}
		}, true, unknown, up},
		{"no probes wanted", func(w *world, r *v1alpha1.GlobalRoute) {
			r.Spec.HealthCheck.Protocol = "None"
			w.probes["192.0.2.2"] = down
		}, true, up, unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, r := tutorial(), devfest()
			test.change(w, r)
			s := state(t, resolve(t, r, w), "azure")
			if s.Healthy != test.healthy || s.Inside.State != test.inside || s.Outside.State != test.outside {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// TestEachHostHasItsOwnHealth: one of two applications is down in one cloud.
func TestEachHostHasItsOwnHealth(t *testing.T) {
	w := tutorial()
	w.endpoints["azure/whoami"] = route.Endpoints{Total: 1}
	res := resolve(t, devfest(), w)
	for i, want := range []bool{true, false} {
		if h := res.Hosts[i]; h.Clusters[1].Up != want {
			t.Errorf("%s in azure: up %t", h.Name, h.Clusters[1].Up)
		}
	}
	s := state(t, res, "azure")
	if want := "www.devfest.example: Service whoami has no ready endpoint (of 1)"; s.Healthy || s.Inside.Message != want {
		t.Errorf("got %+v", s)
	}
	if len(res.Checks) != 6 {
		t.Errorf("%d probes, want one for each host in each cluster", len(res.Checks))
	}
}

func TestMinHealthy(t *testing.T) {
	two := []netip.Addr{ip("192.0.2.2"), ip("192.0.2.22"), ip("192.0.2.23"), ip("192.0.2.24")}
	for _, test := range []struct {
		least intstr.IntOrString
		up    int
		want  bool
	}{
		{intstr.FromInt32(1), 1, true}, {intstr.FromInt32(1), 0, false}, {intstr.FromInt32(2), 1, false},
		{intstr.FromString("50%"), 2, true}, {intstr.FromString("50%"), 1, false}, {intstr.FromString("0%"), 0, false},
		{intstr.FromInt32(9), 4, true},
	} {
		w, r := tutorial(), devfest()
		w.exposed["azure"] = route.Exposure{Addresses: two}
		for i, a := range two {
			w.probes[a.String()] = v1alpha1.HealthDown
			if i < test.up {
				w.probes[a.String()] = v1alpha1.HealthUp
			}
		}
		r.Spec.MinHealthy = &test.least
		s := state(t, resolve(t, r, w), "azure")
		if s.Healthy != test.want {
			t.Errorf("%s of 4, %d up: healthy %t (%s)", test.least.String(), test.up, s.Healthy, s.Outside.Message)
		}
		if s.Healthy && len(s.Addresses) != max(test.up, 1) {
			t.Errorf("%d addresses are answered of %d that are up", len(s.Addresses), test.up)
		}
	}
}

func TestRouting(t *testing.T) {
	w := tutorial()
	r := devfest()
	r.Spec.Routing = v1alpha1.Routing{
		Geography: []v1alpha1.GeographyRule{{Origin: v1alpha1.Origin{Country: "FR"}, Clusters: []string{"google"}}},
	}
	res := resolve(t, r, w)
	if got := answer(res, "EU", "FR"); !slices.Equal(got, []string{"google"}) {
		t.Errorf("rule: %v", got)
	}
	if got := answer(res, "EU", "DE"); !slices.Equal(got, []string{"azure"}) {
		t.Errorf("a place without a rule gets the nearest: %v", got)
	}
	w.probes["192.0.2.3"] = v1alpha1.HealthDown
	if got := answer(resolve(t, r, w), "EU", "FR"); !slices.Equal(got, []string{"azure"}) {
		t.Errorf("the rule's cluster is down: %v, want the nearest", got)
	}
	r.Spec.Routing.Default = []string{"aws"}
	if got := answer(resolve(t, r, w), "EU", "DE"); !slices.Equal(got, []string{"aws"}) {
		t.Errorf("default: %v", got)
	}
	r.Spec.Routing = v1alpha1.Routing{Weights: map[string]int32{"aws": 3, "azure": 1}}
	res = resolve(t, r, w)
	if h := res.Hosts[0]; h.Policy != steer.Weighted || h.Clusters[0].Weight != 3 {
		t.Errorf("weights: %+v", h)
	}
	r.Spec.Routing = v1alpha1.Routing{Order: []string{"azure", "aws"}}
	if got := answer(resolve(t, r, w), "NA", "US"); !slices.Equal(got, []string{"azure"}) {
		t.Errorf("failover: %v", got)
	}
	r.Spec.Routing = v1alpha1.Routing{Latency: []v1alpha1.LatencyRule{{
		Origin: v1alpha1.Origin{Continent: "NA"}, Milliseconds: map[string]int32{"aws": 90, "azure": 20, "google": 200},
	}}}
	if got := answer(resolve(t, r, w), "NA", "US"); !slices.Equal(got, []string{"azure"}) {
		t.Errorf("latency: %v", got)
	}
}

func TestClusterThatIsNotThere(t *testing.T) {
	r := devfest()
	r.Spec.Routing = v1alpha1.Routing{Geography: []v1alpha1.GeographyRule{{Origin: v1alpha1.Origin{Continent: "EU"}, Clusters: []string{"oracle"}}}}
	res := resolve(t, r, tutorial())
	if !strings.Contains(res.Unknown, "spec.routing.geography[0] names cluster oracle") {
		t.Errorf("unknown: %q", res.Unknown)
	}
	if got := answer(res, "EU", "FR"); !slices.Equal(got, []string{"azure"}) {
		t.Errorf("answered with %v, want the nearest that is there", got)
	}
}

func TestRouteWithoutHostsOrTargets(t *testing.T) {
	r := devfest()
	r.Spec.Targets[0].Name = "nobody"
	if res := resolve(t, r, tutorial()); !strings.Contains(res.Refused, "there is no Ingress nobody in namespace shop") {
		t.Errorf("refused: %q", res.Refused)
	}
	r.Spec.Hosts = []string{"WWW.Example.com."}
	res := resolve(t, r, tutorial())
	if res.Refused != "" || len(res.Problems) != 1 || res.Hosts[0].Name != "www.example.com." {
		t.Errorf("got %+v", res)
	}
}

func TestEndpointsOfTheSpec(t *testing.T) {
	w := tutorial()
	r := &v1alpha1.GlobalRoute{Spec: v1alpha1.GlobalRouteSpec{
		Hosts: []string{"*.shop.example"},
		Endpoints: []v1alpha1.RouteEndpoint{
			{Cluster: "aws", Hostname: "LB.aws.example."}, {Cluster: "azure", Addresses: []string{"2001:db8::1", "::ffff:192.0.2.9"}},
		},
	}}
	w.flat["lb.aws.example"] = []netip.Addr{ip("198.51.100.7")}
	res := resolve(t, r, w)
	h := res.Hosts[0]
	if h.Name != "*.shop.example." || len(h.Clusters) != 2 {
		t.Fatalf("got %+v", h)
	}
	if c := h.Clusters[0]; c.Hostname != "lb.aws.example." || !slices.Equal(c.Addresses, []netip.Addr{ip("198.51.100.7")}) {
		t.Errorf("aws %+v", c)
	}
	if c := h.Clusters[1]; !slices.Equal(c.Addresses, []netip.Addr{ip("192.0.2.9"), ip("2001:db8::1")}) {
		t.Errorf("azure %+v", c)
	}
	if c := res.Checks[0]; c.Protocol != "TCP" || c.Host != "" || c.Address.Port() != 80 {
		t.Errorf("check %+v", c)
	}
}

func TestServiceAndItsAnnotations(t *testing.T) {
	s := &corev1.Service{}
	s.Namespace, s.Name = "shop", "traefik-lb"
	s.Spec.Type = corev1.ServiceTypeLoadBalancer
	s.Spec.Ports = []corev1.ServicePort{{Port: 53, Protocol: corev1.ProtocolUDP}, {Port: 8443}}
	s.Annotations = map[string]string{
		"external-dns.kubernetes.io/hostname":  "a.example, b.example.",
		"external-dns.alpha.kubernetes.io/ttl": "1m",
		"unrelated":                            "x",
	}
	target, ok := route.FromService(s)
	if !ok || len(target.Annotations) != 2 {
		t.Fatalf("target %+v", target)
	}
	w := tutorial()
	w.targets[target.Key] = &target
	r := devfest()
	r.Spec.Targets = []v1alpha1.RouteTarget{{Kind: "Service", Name: "traefik-lb"}}
	res := resolve(t, r, w)
	if len(res.Hosts) != 2 || res.Hosts[1].Name != "b.example." || res.Hosts[0].TTL != 60 {
		t.Errorf("hosts %+v", res.Hosts)
	}
	if c := res.Checks[0]; c.Protocol != "TCP" || c.Address.Port() != 8443 {
		t.Errorf("check %+v", c)
	}
	target.Annotations["external-dns.kubernetes.io/target"] = "203.0.113.5"
	if s := state(t, resolve(t, r, w), "aws"); !slices.Equal(s.Addresses, []netip.Addr{ip("203.0.113.5")}) {
		t.Errorf("target annotation: %+v", s)
	}
	s.Spec.Type = corev1.ServiceTypeClusterIP
	if _, ok := route.FromService(s); ok {
		t.Error("a Service without a load balancer is no target")
	}
}

func TestGateway(t *testing.T) {
	g := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"namespace": "shop", "name": "gw"},
		"spec": map[string]any{"listeners": []any{
			map[string]any{"hostname": "*.example.com", "port": int64(443), "protocol": "HTTPS"},
			map[string]any{"port": int64(80), "protocol": "HTTP"},
			"nonsense",
		}},
	}}
	httpRoute := func(namespace string, parent string, hosts ...any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"namespace": namespace, "name": "r"},
			"spec": map[string]any{
				"parentRefs": []any{map[string]any{"name": parent, "namespace": "shop"}},
				"hostnames":  hosts,
				"rules": []any{map[string]any{
					"matches":     []any{map[string]any{"path": map[string]any{"value": "/"}}},
					"backendRefs": []any{map[string]any{"name": "whoami"}, map[string]any{"kind": "Bucket", "name": "b"}},
				}},
			},
		}}
	}
	target := route.FromGateway(g, []*unstructured.Unstructured{
		httpRoute("shop", "gw", "WWW.example.com", "other.example"), httpRoute("shop", "another", "no.example"), httpRoute("far", "gw", "far.example"),
	})
	if !slices.Equal(target.Hosts, []string{"*.example.com", "www.example.com", "other.example", "far.example"}) {
		t.Fatalf("hosts %v", target.Hosts)
	}
	if !target.TLS["*.example.com"] || !target.TLS["www.example.com"] || target.TLS["other.example"] {
		t.Errorf("certificates %v", target.TLS)
	}
	if b := target.Backends["www.example.com"]; len(b) != 1 || b[0].Service != "whoami" || len(target.Backends["far.example"]) != 0 {
		t.Errorf("backends %v", target.Backends)
	}
	g.Object["spec"].(map[string]any)["listeners"] = g.Object["spec"].(map[string]any)["listeners"].([]any)[:1]
	target = route.FromGateway(g, []*unstructured.Unstructured{httpRoute("shop", "gw", "other.example")})
	if !slices.Equal(target.Hosts, []string{"*.example.com"}) {
		t.Errorf("a host that no listener takes: %v", target.Hosts)
	}
	w := tutorial()
	w.targets[target.Key] = &target
	r := devfest()
	r.Spec.Targets = []v1alpha1.RouteTarget{{Kind: "Gateway", Name: "gw"}}
	if c := resolve(t, r, w).Checks[0]; c.Protocol != "HTTPS" || c.Host != "hanse-health.example.com" || c.Address.Port() != 20443 {
		t.Errorf("check %+v", c)
	}
}

func TestDerive(t *testing.T) {
	clusters := tutorial().clusters
	derive := func(annotations map[string]string) (*v1alpha1.GlobalRoute, []string, bool) {
		i := ingress()
		i.Annotations = annotations
		target := route.FromIngress(i)
		r, problems := route.Derive(&target, clusters)
		return r, problems, target.Global()
	}
	if _, _, global := derive(nil); global {
		t.Error("an Ingress without the annotation asks for no route")
	}
	r, problems, global := derive(map[string]string{"hanse.dev/global": "true"})
	if !global || len(problems) > 0 || r.Name != "ingress-traefik" || r.Namespace != "shop" || r.Labels[v1alpha1.LabelDerivedFrom] != "Ingress" {
		t.Errorf("%+v %v", r, problems)
	}
	r, _, global = derive(map[string]string{"k8gb.io/strategy": "failover", "k8gb.io/primary-geotag": "eu", "k8gb.io/dns-ttl-seconds": "5"})
	if !global || r.Spec.Routing.Policy != "Failover" || !slices.Equal(r.Spec.Routing.Order, []string{"azure", "aws", "google"}) || r.Spec.TTL != 5 {
		t.Errorf("k8gb: %+v", r.Spec)
	}
	if r, _, _ = derive(map[string]string{"k8gb.io/strategy": "roundRobin"}); r.Spec.Routing.Policy != "All" {
		t.Errorf("k8gb: %+v", r.Spec)
	}
	for _, wrong := range []map[string]string{
		{"hanse.dev/global": "perhaps"}, {"k8gb.io/strategy": "chaos"}, {"k8gb.io/strategy": "failover", "k8gb.io/primary-geotag": "mars"},
		{"external-dns.kubernetes.io/ttl": "soon"}, {"external-dns.kubernetes.io/ttl": "-1"},
	} {
		if _, problems, _ := derive(wrong); len(problems) != 1 {
			t.Errorf("%v: problems %v", wrong, problems)
		}
	}
	if _, _, global := derive(map[string]string{"hanse.dev/global": "false", "k8gb.io/strategy": "geoip"}); global {
		t.Error("false is not heeded")
	}
}

func TestZones(t *testing.T) {
	zone := func(name, domain string, age time.Duration) *v1alpha1.DNSZone {
		z := &v1alpha1.DNSZone{}
		z.Name, z.Spec.Domain, z.CreationTimestamp = name, domain, metav1.NewTime(time.Unix(1e9, 0).Add(-age))
		return z
	}
	zones := route.NewZones([]*v1alpha1.DNSZone{zone("young", "example.com", 0), zone("old", "Example.com", time.Hour), zone("sub", "shop.example.com", 0)})
	for host, want := range map[string]string{
		"www.example.com.": "old", "example.com.": "old", "a.shop.example.com.": "sub", "*.shop.example.com.": "sub",
		"notexample.com.": "", "com.": "",
	} {
		got := ""
		if z := zones.Of(host); z != nil {
			got = z.Name
		}
		if got != want {
			t.Errorf("%s is in %q, want %q", host, got, want)
		}
	}
	for host, want := range map[string]string{
		"www.devfest.example.": "devfest.example", "*.a.co.uk.": "a.co.uk", "localhost.": "localhost", "a.b.github.io.": "b.github.io",
	} {
		if got := route.Domain(host); got != want {
			t.Errorf("domain of %s: %s, want %s", host, got, want)
		}
	}
}

// TestFederated is Federation v1's rule: zone, then region, then everywhere.
func TestFederated(t *testing.T) {
	s := &corev1.Service{}
	s.Namespace, s.Name, s.Spec.Type = "shop", "traefik-lb", corev1.ServiceTypeLoadBalancer
	s.Spec.Ports = []corev1.ServicePort{{Port: 80}}
	target, _ := route.FromService(s)
	w := tutorial()
	base := "traefik-lb.shop.fed.svc."
	find := func(name string) steer.Host {
		hosts, _ := route.Federated(&target, "fed", "example.com", w)
		for _, h := range hosts {
			if h.Name == base+name {
				return h
			}
		}
		t.Fatalf("no %s", base+name)
		return steer.Host{}
	}
	if h := find("example.com."); len(h.Clusters) != 3 || h.TTL != 180 {
		t.Errorf("global %+v", h)
	}
	for _, name := range []string{"us-east-1b.us-east-1.example.com.", "us-east-1.example.com."} {
		if h := find(name); len(h.Clusters) != 1 || h.Clusters[0].Name != "aws" {
			t.Errorf("%s: %+v", name, h)
		}
	}
	w.endpoints["aws/traefik-lb"] = route.Endpoints{}
	if h := find("us-east-1b.us-east-1.example.com."); h.Clusters[0].Hostname != base+"us-east-1.example.com." {
		t.Errorf("zone without a shard: %+v", h)
	}
	if h := find("us-east-1.example.com."); h.Clusters[0].Hostname != base+"example.com." {
		t.Errorf("region without a shard: %+v", h)
	}
	h := find("example.com.")
	if got := steer.Choose(&h, geo.Place{}); len(got) != 1 || len(got[0].Clusters) != 2 {
		t.Errorf("the shard that is down is answered: %v", got)
	}
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		w.probes[a] = v1alpha1.HealthDown
	}
	if h := find("asia-southeast1.example.com."); h.Clusters[0].Hostname != base+"example.com." {
		t.Errorf("all are down: %+v", h)
	}
}

func TestNearestIsCompactAndComplete(t *testing.T) {
	clusters := tutorial().clusters
	rules := route.Nearest(clusters)
	if len(rules) > 120 {
		t.Errorf("%d rules", len(rules))
	}
	h := steer.Host{Rules: rules}
	for _, p := range geo.Countries() {
		i := h.Rule(p)
		if i < 0 {
			t.Errorf("%v has no rule", p)
			continue
		}
		if len(rules[i].Clusters) != 3 {
			t.Errorf("%v: %v", p, rules[i].Clusters)
		}
		for _, c := range clusters {
			if c.Continent == p.Continent && rules[i].Clusters[0] != c.Name {
				t.Errorf("%v is answered with %v", p, rules[i].Clusters)
			}
		}
	}
	if route.Nearest(nil) != nil {
		t.Error("rules without clusters")
	}
}
