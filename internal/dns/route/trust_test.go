package route_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// named is a route whose author names an address.
func named(health v1alpha1.HealthCheck, addresses ...string) *v1alpha1.GlobalRoute {
	r := &v1alpha1.GlobalRoute{}
	r.Namespace, r.Name = "shop", "named"
	r.Spec.Hosts = []string{"a.shop.example", "b.shop.example"}
	r.Spec.Endpoints = []v1alpha1.RouteEndpoint{{Cluster: "aws", Addresses: addresses}}
	r.Spec.HealthCheck = health
	return r
}

// TestNobodyReadsThroughProbes: of an address that no cluster has given to a target, its
// author learns whether it is up, and nothing that is said there.
func TestNobodyReadsThroughProbes(t *testing.T) {
	w := tutorial()
	w.probes = map[string]string{"198.51.100.1": v1alpha1.HealthDown, "198.51.100.2": v1alpha1.HealthUp}
	res := resolve(t, named(v1alpha1.HealthCheck{Protocol: "HTTP", ExpectedText: "secret"}, "198.51.100.1"), w)
	if len(res.Checks) == 0 {
		t.Fatal("it is not probed")
	}
	for _, c := range res.Checks {
		if c.Text != "" {
			t.Errorf("%v looks for %q", c.Address, c.Text)
		}
	}
	if s := state(t, res, "aws"); s.Outside.State != v1alpha1.HealthDown || s.Outside.Message != "198.51.100.1:80: down" {
		t.Errorf("%+v", s.Outside)
	}
	if !strings.Contains(strings.Join(res.Problems, ""), "expectedText counts only") {
		t.Errorf("it is not said: %v", res.Problems)
	}
	if s := state(t, resolve(t, named(v1alpha1.HealthCheck{}, "198.51.100.2"), w), "aws"); s.Outside.Message != "up" {
		t.Errorf("%+v", s.Outside)
	}

	// An annotation names addresses, too.
	w = tutorial()
	r := devfest()
	r.Spec.HealthCheck.ExpectedText = "welcome"
	for _, c := range resolve(t, r, w).Checks {
		if c.Text != "welcome" {
			t.Errorf("what a cluster gave is not looked at: %+v", c)
		}
	}
	for _, target := range w.targets {
		target.Annotations = map[string]string{"external-dns.kubernetes.io/target": "198.51.100.1"}
	}
	for _, c := range resolve(t, r, w).Checks {
		if c.Text != "" || c.Address.Addr() != ip("198.51.100.1") {
			t.Errorf("%+v", c)
		}
	}
	// And nobody looks at somebody else's pages behind an address that all share.
	w = tutorial()
	r.Spec.HealthCheck.Host = "www.bank.example"
	res = resolve(t, r, w)
	for _, c := range res.Checks {
		if c.Text != "" || c.Host != "www.bank.example" {
			t.Errorf("%+v", c)
		}
	}
	if len(res.Problems) != 1 {
		t.Errorf("it is not said once: %q", res.Problems)
	}
}

// TestRefusedAddressesAreNotProbed: they are answered as if nothing were known of them, and
// the route says why.
func TestRefusedAddressesAreNotProbed(t *testing.T) {
	w := tutorial()
	w.refused = map[string]string{"10.0.0.1 a.shop.example": "is private", "10.0.0.1 b.shop.example": "is private"}
	w.within = netip.MustParsePrefix("10.7.0.0/16")
	r := named(v1alpha1.HealthCheck{}, "10.0.0.1")
	r.Status.Clusters = []v1alpha1.RouteCluster{{Name: "aws", Outside: &v1alpha1.RouteHealth{State: v1alpha1.HealthDown}}}
	res := resolve(t, r, w)
	s := state(t, res, "aws")
	if len(res.Checks) != 0 || s.Outside.State != v1alpha1.HealthUnknown || s.Outside.Message != "not probed: 10.0.0.1 is private" || !s.Healthy {
		t.Errorf("%v %+v", res.Checks, s)
	}
	res = resolve(t, named(v1alpha1.HealthCheck{}, "10.7.0.1"), w)
	if len(res.Checks) != 1 || res.Checks[0].Within != w.within {
		t.Errorf("the network that lets it be probed is not passed on: %+v", res.Checks)
	}
	// A name is looked up as the hub sees it: what it must not probe it does not tell either.
	r = named(v1alpha1.HealthCheck{}, "198.51.100.1")
	r.Spec.Endpoints = []v1alpha1.RouteEndpoint{{Cluster: "aws", Hostname: "db.internal"}}
	w.flat = map[string][]netip.Addr{"db.internal": {ip("10.0.0.1"), ip("198.51.100.7")}}
	if s := state(t, resolve(t, r, w), "aws"); len(s.Addresses) != 1 || s.Addresses[0] != ip("198.51.100.7") {
		t.Errorf("addresses %v", s.Addresses)
	}
}

// TestOneProbeForAllHosts: hosts that lead to the same Services share a probe by HTTP; by
// HTTPS each shows a certificate.
func TestOneProbeForAllHosts(t *testing.T) {
	w := tutorial()
	count := func(h v1alpha1.HealthCheck, want int, hosts ...string) {
		t.Helper()
		r := named(h, "198.51.100.1", "198.51.100.2")
		r.Spec.Hosts = hosts
		res := resolve(t, r, w)
		if len(res.Checks) != want {
			t.Errorf("%+v: %d probes, want %d: %+v", h, len(res.Checks), want, res.Checks)
		}
		for _, host := range hosts {
			if len(res.ByHost[host+"."]) != 2 {
				t.Errorf("%s has %d probes", host, len(res.ByHost[host+"."]))
			}
		}
	}
	count(v1alpha1.HealthCheck{}, 2, "a.example", "b.example")
	count(v1alpha1.HealthCheck{Protocol: "HTTP"}, 2, "a.example", "b.example", "*.c.example")
	count(v1alpha1.HealthCheck{Protocol: "HTTPS"}, 4, "a.example", "b.example")
	count(v1alpha1.HealthCheck{Protocol: "HTTPS", Host: "x.example"}, 2, "a.example", "b.example")
}

// TestHostsAndAddressesAreBounded: wherever they come from.
func TestHostsAndAddressesAreBounded(t *testing.T) {
	w := tutorial()
	var hosts, addresses []string
	for i := range 500 {
		hosts = append(hosts, fmt.Sprintf("h%d.shop.example", i))
		addresses = append(addresses, fmt.Sprintf("198.51.%d.%d", 100+i/250, i%250))
	}
	for _, target := range w.targets {
		target.Annotations = map[string]string{"external-dns.kubernetes.io/hostname": strings.Join(hosts, ","), "external-dns.kubernetes.io/target": strings.Join(addresses, ",")}
	}
	r := devfest()
	r.Spec.Hosts = nil
	res := resolve(t, r, w)
	if len(res.Hosts) != 64 || len(state(t, res, "aws").Addresses) != 64 || !strings.Contains(strings.Join(res.Problems, ""), "more than 64 hosts") {
		t.Errorf("%d hosts, %d addresses, %q", len(res.Hosts), len(state(t, res, "aws").Addresses), res.Problems)
	}
}

func TestValidate(t *testing.T) {
	duration := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	for name, c := range map[string]struct {
		spec v1alpha1.GlobalRouteSpec
		want string
	}{
		"nothing":           {},
		"usual":             {v1alpha1.GlobalRouteSpec{Hosts: []string{"*.Shop.example"}, HealthCheck: v1alpha1.HealthCheck{Interval: duration(time.Second), Timeout: duration(time.Second), ExpectedStatus: "200-399,401"}}, ""},
		"negative interval": {v1alpha1.GlobalRouteSpec{HealthCheck: v1alpha1.HealthCheck{Interval: duration(-time.Second)}}, "interval"},
		"negative timeout":  {v1alpha1.GlobalRouteSpec{HealthCheck: v1alpha1.HealthCheck{Timeout: duration(-time.Second)}}, "timeout"},
		"statuses":          {v1alpha1.GlobalRouteSpec{HealthCheck: v1alpha1.HealthCheck{ExpectedStatus: "ok"}}, "expectedStatus"},
		"host":              {v1alpha1.GlobalRouteSpec{Hosts: []string{"a b"}}, "hosts"},
	} {
		if err := route.Validate(&c.spec); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
