package route_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// TestWhatIsOutsideIsNeitherAnsweredNorProbed, whatever its author says of where it is.
func TestWhatIsOutsideIsNeitherAnsweredNorProbed(t *testing.T) {
	w := tutorial()
	w.residence = &route.Residence{Outside: map[string]string{"aws": "Residency eu keeps it out: its region is us-east-1", "google": "Residency eu keeps it out"}}
	r := devfest()
	r.Spec.Endpoints = []v1alpha1.RouteEndpoint{{Cluster: "aws", Addresses: []string{"198.51.100.7"}}}
	r.Spec.Routing = v1alpha1.Routing{Policy: v1alpha1.RoutingFailover, Order: []string{"aws", "google"}}
	res := resolve(t, r, w)
	for _, h := range res.Hosts {
		for _, c := range h.Clusters {
			if c.Name != "azure" {
				t.Errorf("%s leads to %s", h.Name, c.Name)
			}
		}
	}
	for _, c := range res.Checks {
		if c.Address.Addr() != ip("192.0.2.2") {
			t.Errorf("%s is probed", c.Address)
		}
	}
	if got := answer(res, "NA", "US"); !slices.Equal(got, []string{"azure"}) {
		t.Errorf("an American is answered with %v", got)
	}
	if !slices.ContainsFunc(res.Problems, func(p string) bool {
		return strings.Contains(p, "spec.endpoints names cluster aws, which is not answered with: Residency eu keeps it out")
	}) {
		t.Errorf("problems: %v", res.Problems)
	}
}

func TestServingIsThatOfTheNamespace(t *testing.T) {
	w := tutorial()
	w.residence = &route.Residence{Serving: &steer.Serving{Terms: []steer.Term{{Of: "Residency eu", Rules: []steer.ServingRule{
		{Continents: []string{"EU"}, Clusters: []string{"azure"}}, {Clusters: []string{"aws", "azure", "google"}},
	}}}}}
	w.endpoints["azure/wordpress"] = route.Endpoints{Total: 2} // down
	res := resolve(t, devfest(), w)
	if got := answer(res, "EU", "FR"); len(got) != 1 || got[0] != "azure" { // all that may answer are down
		t.Errorf("a European is answered with %v", got)
	}
	if got := answer(res, "NA", "US"); !slices.Equal(got, []string{"aws"}) {
		t.Errorf("an American is answered with %v", got)
	}
}

// TestFederatedNamesKeepToTheResidence, too.
func TestFederatedNamesKeepToTheResidence(t *testing.T) {
	w := tutorial()
	service := &route.Target{Key: route.TargetKey{Kind: route.KindService, Namespace: "shop", Name: "web"}}
	w.residence = &route.Residence{Outside: map[string]string{"aws": "no", "google": "no"}, Serving: &steer.Serving{}}
	hosts, _ := route.Federated(service, "fed", "example.com", w)
	if len(hosts) == 0 {
		t.Fatal("there are none")
	}
	for _, h := range hosts {
		if h.Serving == nil || slices.ContainsFunc(h.Clusters, func(c steer.Cluster) bool { return c.Name != "azure" }) {
			t.Errorf("%s leads to %+v", h.Name, h.Clusters)
		}
	}
}
