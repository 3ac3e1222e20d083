package route_test

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// TestKnownDownStaysDown is the law of health from inside, whatever happens to the
// hub, to its link and to what it may read: what was seen to be down is down until it
// is seen to be up, and what was seen to be up is never said to be down unseen.
func TestKnownDownStaysDown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, r := tutorial(), devfest()
		r.Spec.Hosts = []string{"devfest.example"}
		exposed := w.exposed["azure"]
		var truth route.Endpoints // in the member
		looking := func() bool { return w.clusters[1].Answers && w.outdated["azure/EndpointSlice"] == "" }
		seen := "" // Up or Down, when it was looked at last
		look := func() {
			if looking() {
				w.exposed["azure"], w.endpoints["azure/wordpress"] = exposed, truth
				seen = v1alpha1.HealthDown
				if truth.Ready > 0 {
					seen = v1alpha1.HealthUp
				}
			}
		}
		look()
		t.Repeat(map[string]func(*rapid.T){
			"pods come and go": func(t *rapid.T) {
				truth = route.Endpoints{Ready: rapid.IntRange(0, 2).Draw(t, "ready"), Total: 2}
				look()
			},
			"the link is cut": func(*rapid.T) { w.clusters[1].Answers = false },
			"the link is back, nothing is listed yet": func(*rapid.T) {
				w.clusters[1].Answers, w.outdated["azure/EndpointSlice"] = true, "not again yet"
			},
			"its endpoints cannot be read": func(*rapid.T) { w.outdated["azure/EndpointSlice"] = "403" },
			"they are listed": func(*rapid.T) {
				if w.clusters[1].Answers {
					delete(w.outdated, "azure/EndpointSlice")
				}
				look()
			},
			"the hub starts again": func(*rapid.T) {
				res := route.Resolve(r, w, nil)
				r.Status.Clusters = nil
				for _, c := range res.Clusters {
					recorded := v1alpha1.RouteCluster{Name: c.Name, Inside: &v1alpha1.RouteHealth{State: c.Inside.State, Message: c.Inside.Message}}
					for _, a := range c.Addresses {
						recorded.Addresses = append(recorded.Addresses, a.String())
					}
					r.Status.Clusters = append(r.Status.Clusters, recorded)
				}
				delete(w.exposed, "azure")
				delete(w.endpoints, "azure/wordpress")
				w.clusters[1].Answers = false
			},
			"": func(t *rapid.T) {
				res := route.Resolve(r, w, nil)
				var inside route.Health
				healthy, addresses := false, []netip.Addr(nil)
				for _, c := range res.Clusters {
					if c.Name == "azure" {
						inside, healthy, addresses = c.Inside, c.Healthy, c.Addresses
					}
				}
				switch {
				case seen == v1alpha1.HealthDown && (healthy || inside.State != seen):
					t.Fatalf("it was down when it was looked at last, and is %s (%s), answered: %t", inside.State, inside.Message, healthy)
				case seen == v1alpha1.HealthUp && (inside.State == v1alpha1.HealthDown || !healthy):
					t.Fatalf("it was up when it was looked at last, its probes pass, and it is %s (%s), answered: %t", inside.State, inside.Message, healthy)
				case len(addresses) == 0:
					t.Fatal("its address is forgotten")
				case strings.Count(inside.Message, "looked at last") > 1:
					t.Fatalf("it says the same again and again: %s", inside.Message)
				}
			},
		})
	})
}

// TestAnotherHostWasDown: what a status says of a cluster is the worst of all hosts.
// After a restart it counts for those that were not answered with the cluster.
func TestAnotherHostWasDown(t *testing.T) {
	w, r := tutorial(), devfest()
	delete(w.probes, "192.0.2.2")
	for service := range w.endpoints {
		if strings.HasPrefix(service, "azure/") {
			delete(w.endpoints, service)
		}
	}
	side := v1alpha1.RouteHealth{State: v1alpha1.HealthDown}
	for _, sides := range []v1alpha1.RouteCluster{{Inside: &side}, {Outside: &side}} {
		sides.Name = "azure"
		r.Status.Clusters = []v1alpha1.RouteCluster{sides}
		r.Status.Hosts = []v1alpha1.RouteHost{{Name: "devfest.example", Clusters: []string{"azure"}}, {Name: "www.devfest.example"}}
		for i, want := range []bool{true, false} {
			if h := resolve(t, r, w).Hosts[i]; h.Clusters[1].Up != want {
				t.Errorf("%s is answered with azure: %t", h.Name, h.Clusters[1].Up)
			}
		}
	}
}
