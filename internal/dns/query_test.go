package dns

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/dns/zone"
)

// viewOf is a view of hosts, each in the zone that it belongs to.
func viewOf(db *geo.DB, zones []*v1alpha1.DNSZone, hosts ...steer.Host) *view {
	v := &view{db: db, zones: route.NewZones(zones), hosts: map[string]steer.Host{}, zoneOf: map[string]string{}, resolved: map[string]*route.Resolved{}}
	var served []zone.Zone
	for _, z := range zones {
		served = append(served, buildZone(z, 7, nil, nil).Zone)
	}
	for _, h := range hosts {
		v.hosts[h.Name], v.zoneOf[h.Name] = h, v.zones.Of(h.Name).Name
	}
	v.snapshot = zone.Build(nil, db, served)
	return v
}

// TestFind: which host answers is what the name server says (RFC 4592).
func TestFind(t *testing.T) {
	v := viewOf(nil, []*v1alpha1.DNSZone{
		dnsZone("example.org", func(z *v1alpha1.DNSZone) {
			z.Spec.Records = []v1alpha1.ZoneRecord{{Name: "mail", Type: "A", Values: []string{"192.0.2.1"}}, {Name: "_tcp.srv", Type: "TXT", Values: []string{"x"}}}
		}),
		dnsZone("sub.example.org", nil),
		dnsZone("example.net", nil),
	}, hostNamed("*.example.org."), hostNamed("www.example.org."), hostNamed("deep.empty.example.org."), hostNamed("*.wild.example.org."), hostNamed("a.sub.example.org."), hostNamed("example.net."))
	for name, want := range map[string]string{
		"www.example.org.":        "www.example.org.",
		"new.example.org.":        "*.example.org.",
		"two.labels.example.org.": "*.example.org.",
		"*.example.org.":          "*.example.org.",
		"example.org.":            "",
		"below.www.example.org.":  "", // www exists
		"empty.example.org.":      "", // it exists, though nothing is there
		"x.empty.example.org.":    "",
		"x.wild.example.org.":     "*.wild.example.org.",
		"wild.example.org.":       "",
		"mail.example.org.":       "", // a record of the zone
		"srv.example.org.":        "",
		"x.srv.example.org.":      "",
		"a.sub.example.org.":      "a.sub.example.org.",
		"b.sub.example.org.":      "", // another zone, which has no wildcard
		"example.net.":            "example.net.",
		"www.example.net.":        "",
		"example.com.":            "",
		"org.":                    "",
	} {
		got := ""
		if h := v.find(name); h != nil {
			got = h.Name
		}
		if got != want {
			t.Errorf("%s is answered by %q, want %q", name, got, want)
		}
	}
}

func TestLocate(t *testing.T) {
	db := embedded(t)
	for from, want := range map[string]From{
		"":               {},
		"Paris":          {Continent: "EU", Country: "FR"},
		"US-NY":          {Continent: "NA", Country: "US", Subdivision: "US-NY"},
		"8.8.8.8":        {Continent: "NA", Country: "US"},
		"::ffff:8.8.8.8": {Continent: "NA", Country: "US"},
		"8.8.8.77/24":    {Continent: "NA", Country: "US"},
		"10.0.0.1":       {},
		"2a01:e0a::1/64": {Continent: "EU", Country: "FR"},
	} {
		p, got, err := locate(db, from)
		if err != nil || got.Asked != from || got.Continent != want.Continent || got.Country != want.Country || got.Subdivision != want.Subdivision ||
			p.Country != want.Country {
			t.Errorf("%q: %+v, %v, want %+v", from, got, err, want)
		}
		address, err := netip.ParseAddr(strings.Split(from, "/")[0])
		if network, nerr := netip.ParsePrefix(got.Network); err == nil && (nerr != nil || !network.Contains(address.Unmap())) {
			t.Errorf("%q: the network %q is not around it", from, got.Network)
		} else if err != nil && got.Network != "" {
			t.Errorf("%q has a network: %s", from, got.Network)
		}
	}
	if _, _, err := locate(db, "Parsi"); err == nil || !strings.Contains(err.Error(), "Paris") {
		t.Errorf("an unknown place: %v", err)
	}
}

func TestFilter(t *testing.T) {
	c, _ := newTest(t)
	db := embedded(t)
	h := hostNamed("www.example.org.")
	h.TTL, h.Policy = 30, steer.Failover
	h.Order = []string{"aws", "azure"}
	h.Clusters = []steer.Cluster{
		{Name: "aws", Hostname: "lb.aws.example.", Up: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		{Name: "azure", Up: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.2")}},
	}
	v := viewOf(db, []*v1alpha1.DNSZone{dnsZone("example.org", nil)}, h)
	v.resolved["ns/route"] = &route.Resolved{Policy: "Failover", Clusters: []route.ClusterState{
		{Name: "aws", Inside: route.Health{State: "Up"}, Outside: route.Health{State: "Down", Message: "refused"}}}}
	other := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	var current *Controller
	handler := Filter(func() *Controller { return current })(other)
	ask := func(what, method, path string, status int, words ...string) string {
		t.Helper()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != status {
			t.Errorf("%s: %s %s is answered with %d, want %d", what, method, path, w.Code, status)
		}
		for _, word := range words {
			if !strings.Contains(w.Body.String(), word) {
				t.Errorf("%s: %s %s does not say %q: %s", what, method, path, word, w.Body)
			}
		}
		return w.Body.String()
	}
	ask("not ready", "GET", PathAbout, http.StatusServiceUnavailable, "Try: ")
	ask("not ready", "GET", "/api", http.StatusTeapot)
	current = c
	ask("nothing to answer", "GET", PathQuery+"?name=www.example.org", http.StatusNotFound, "no GlobalRoute has the host", "Try: ")
	ask("nothing to answer", "GET", PathExport+"?zone=example.org", http.StatusNotFound, "Try: ")
	ask("nothing to answer", "GET", PathAbout, http.StatusOK, "none is loaded")
	c.loop.view.Store(v)
	c.loop.db.Store(db)
	ask("another path", "POST", "/hanse/dnsx", http.StatusTeapot)
	ask("unknown", "GET", "/hanse/dns/nonsense", http.StatusNotFound)
	ask("to write", "POST", PathQuery+"?name=www.example.org", http.StatusMethodNotAllowed, "only be read")
	ask("no name", "GET", PathQuery, http.StatusBadRequest, "Try: ")
	ask("an unknown place", "GET", PathQuery+"?name=www.example.org&from=Parsi", http.StatusBadRequest, "Paris")
	ask("a zone", "GET", PathExport+"?zone=Example.Org.", http.StatusOK, "example.org.\t300\tIN\tSOA")
	ask("no zone", "GET", PathExport+"?zone=example.net", http.StatusNotFound, "example.net")
	ask("about", "GET", PathAbout, http.StatusOK, "DB-IP")
	var e Explanation
	if err := json.Unmarshal([]byte(ask("a host", "GET", PathQuery+"?name=WWW.example.org.&from=Paris", http.StatusOK)), &e); err != nil {
		t.Fatal(err)
	}
	if e.Name != "www.example.org" || e.Host != e.Name || e.Route != "ns/route" || e.Zone != "example.org" || e.TTL != 30 || e.Policy != "Failover" ||
		e.From.Country != "FR" || e.Why == "" || len(e.Answers) != 1 || e.Answers[0].Addresses[0] != "lb.aws.example" {
		t.Errorf("explained: %+v", e)
	}
	if len(e.Clusters) != 1 || !e.Clusters[0].Healthy || e.Clusters[0].Outside != "down (refused)" {
		t.Errorf("clusters: %+v", e.Clusters)
	}
}
