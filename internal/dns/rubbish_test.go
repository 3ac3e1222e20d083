package dns

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// fakeMember is an API server that answers lists and watches as told.
type fakeMember struct {
	*httptest.Server
	list, watch atomic.Pointer[answer]
	closing     chan struct{}
	asked       sync.Map // paths of lists that were answered, "watch " before those of watches
}

// answer is a content type and a body; {kind} in it is the kind asked for.
type answer struct {
	status     int
	kind, body string
}

func asJSON(body string) *answer { return &answer{http.StatusOK, "application/json", body} }

// empty lists and silent watches are what a member without objects answers.
var (
	emptyList   = asJSON(`{"kind":"{kind}List","apiVersion":"{version}","metadata":{"resourceVersion":"7"},"items":[]}`)
	silentWatch = asJSON("")
	// expired makes who watches list again.
	expired = &answer{http.StatusGone, "application/json", `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}`}
)

// sensible is a member that has Service shop/web.
func sensible(path string) *answer {
	if !strings.HasSuffix(path, "/services") {
		return asJSON(`{"kind":"{kind}List","apiVersion":"{version}","metadata":{"resourceVersion":"9"},"items":[]}`)
	}
	body, _ := json.Marshal(balanced("192.0.2.77"))
	return asJSON(`{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[` + string(body) + `]}`)
}

func newFakeMember(t *testing.T) *fakeMember {
	m := &fakeMember{closing: make(chan struct{})}
	m.Server = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(func() {
		close(m.closing)
		m.CloseClientConnections()
		m.Close()
	})
	return m
}

func (m *fakeMember) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	path, how := r.URL.Path, m.list.Load()
	switch {
	case q.Get("watch") != "" && q.Get("sendInitialEvents") != "":
		if how = m.watch.Load(); how == nil || how == expired {
			how = &answer{http.StatusUnprocessableEntity, "application/json", `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`}
		}
	case q.Get("watch") != "":
		if how = m.watch.Load(); how == nil && q.Get("resourceVersion") == "9" {
			how = silentWatch
		} else if how == nil {
			how = expired
		}
	case how == nil:
		how = sensible(path)
	}
	version, kind := "v1", "Service"
	switch {
	case strings.HasSuffix(path, "/ingresses"):
		version, kind = "networking.k8s.io/v1", "Ingress"
	case strings.HasSuffix(path, "/endpointslices"):
		version, kind = "discovery.k8s.io/v1", "EndpointSlice"
	case strings.HasSuffix(path, "/gateways"):
		version, kind = "gateway.networking.k8s.io/v1", "Gateway"
	}
	w.Header().Set("Content-Type", how.kind)
	w.WriteHeader(how.status)
	_, _ = io.WriteString(w, strings.NewReplacer("{kind}", kind, "{version}", version).Replace(how.body))
	if how == silentWatch {
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-m.closing:
		}
	}
	if q.Get("watch") != "" {
		path = "watch " + path
	}
	m.asked.Store(strings.NewReplacer("/apis/", "", "/api/", "").Replace(path), true)
}

// item is an object of the kind asked for, with what is given beside its metadata.
func item(fields string) string {
	return `{"kind":"{kind}","apiVersion":"{version}","metadata":{"namespace":"shop","name":"web","resourceVersion":"8","labels":{"hanse.dev/managed":"true","kubernetes.io/service-name":"web"}}` + fields + `}`
}

// rubbish is what a member may answer instead of objects.
func rubbish() map[string]*answer {
	list := func(items string) string {
		return `{"kind":"{kind}List","apiVersion":"{version}","metadata":{"resourceVersion":"7"},"items":` + items + `}`
	}
	all := map[string]*answer{
		"HTML":                  {http.StatusOK, "text/html", "<!DOCTYPE html><html><body>Please log in</body></html>"},
		"HTML, said to be JSON": asJSON("<html>"),
		"HTML and 502":          {http.StatusBadGateway, "text/html", "<html>bad gateway</html>"},
		"no content type":       {http.StatusOK, "", "?"},
		"a wrong content type":  {http.StatusOK, "application/json;;;=", "{}"},
		"noise as protobuf":     {http.StatusOK, "application/vnd.kubernetes.protobuf", noise(0)},
		"protobuf cut short":    {http.StatusOK, "application/vnd.kubernetes.protobuf", "k8s\x00\x0a\xff\xff\xff\xff\x0f" + noise(1)},
		"protobuf of a watch":   {http.StatusOK, "application/vnd.kubernetes.protobuf;stream=watch", "\xff\xff\xff\xf0" + noise(2)},
		"noise as JSON":         asJSON(noise(3)),
		"CBOR":                  {http.StatusOK, "application/cbor", "\xd9\xd9\xf7\xbf" + noise(4)},
		"a Status":              asJSON(`{"kind":"Status","apiVersion":"v1","status":"Success","code":200}`),
		"403 of everything":     {http.StatusForbidden, "application/json", `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"no","code":403}`},
		"500 with wrong types":  {http.StatusInternalServerError, "application/json", `{"kind":"Status","code":"x","message":[],"details":7}`},
		"another kind":          asJSON(`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}`),
		"a list of another":     asJSON(`{"kind":"SecretList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"x"}}]}`),
		"nested too deep":       asJSON(list(`[`+item(`,"spec":`+strings.Repeat(`{"a":[`, 20000))) + `]`),
		"wrong metadata":        asJSON(`{"kind":"{kind}List","apiVersion":"{version}","metadata":"x","items":{}}`),
	}
	for name, body := range map[string]string{
		"nothing": "", "null": "null", "{}": "{}", "[]": "[]", "a string": `"x"`, "a number": "1e999", "cut short": `{"kind":"{kind}List","apiV`,
	} {
		all[name] = asJSON(body)
	}
	for name, one := range map[string]string{
		"null": "null", "a number": "-1", "a string": `"x"`, "empty": "{}", "metadata null": `{"metadata":null,"spec":null,"status":null}`,
		"labels null":        `{"metadata":{"namespace":"shop","name":"web","labels":null,"annotations":null}}`,
		"wrong labels":       `{"metadata":{"namespace":"shop","name":"web","labels":{"a":1},"annotations":[1]}}`,
		"a giant name":       `{"metadata":{"namespace":"shop","name":"` + strings.Repeat("x", 1<<20) + `"}}`,
		"wrong spec":         item(`,"spec":"x","status":[],"endpoints":"y","addressType":7`),
		"giant numbers":      item(`,"spec":{"type":"LoadBalancer","ports":[{"port":99999999999999999999,"nodePort":-1e308}]},"endpoints":[{"conditions":{"ready":1e999}}]`),
		"null endpoints":     item(`,"endpoints":[null,{},{"conditions":null,"addresses":null}],"ports":[null]`),
		"null balancers":     item(`,"spec":{"type":"LoadBalancer"},"status":{"loadBalancer":{"ingress":[null,{}]},"addresses":[null,{},7,{"value":9}]}`),
		"nonsense balancers": item(balancers("999.1.1.1", "-", "..", "a..b", strings.Repeat("a.", 300), strings.Repeat("x", 64)+".org", "\\u0000\\n.org", "*", "xn--", "\\ud800")),
		"hosts of one label": item(balancers("0.0.0.0", "localhost")),
		"strange addresses":  item(balancers("::ffff:1.2.3.4", "fe80::1%eth0", "255.255.255.255", "::", "ff02::1")),
		"a giant offset":     `{"metadata":{"namespace":"shop","name":"web","annotations":{"hanse.dev/port-offset":"99999999999999999999"}},"spec":{"type":"LoadBalancer"},"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.9"}]}}}`,
		"many balancers":     item(balancers(many()...)),
	} {
		all["an item: "+name] = asJSON(list("[" + one + "]"))
		all["an event: "+name] = asJSON(`{"type":"ADDED","object":` + one + `}` + "\n")
	}
	for name, event := range map[string]string{
		"of no type":             `{"object":` + item("") + `}`,
		"of an unknown type":     `{"type":"NONSENSE","object":` + item("") + `}`,
		"of a wrong type":        `{"type":7,"object":` + item("") + `}`,
		"without object":         `{"type":"MODIFIED"}`,
		"of another kind":        `{"type":"ADDED","object":{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}}`,
		"deleted, never there":   `{"type":"DELETED","object":` + item("") + `}`,
		"an error, no status":    `{"type":"ERROR","object":` + item("") + `}`,
		"an error, null":         `{"type":"ERROR","object":null}`,
		"a bookmark of nothing":  `{"type":"BOOKMARK","object":{"kind":"{kind}","apiVersion":"{version}"}}`,
		"a bookmark, wrong type": `{"type":"BOOKMARK","object":{"kind":"{kind}","apiVersion":"{version}","metadata":{"resourceVersion":7,"annotations":{"k8s.io/initial-events-end":true}}}}`,
		"a bookmark, at the end": `{"type":"BOOKMARK","object":{"kind":"{kind}","apiVersion":"{version}","metadata":{"resourceVersion":"x","annotations":{"k8s.io/initial-events-end":"true"}}}}`,
		"cut short":              `{"type":"ADDED","object":{"kind":`,
	} {
		all["an event "+name] = asJSON(event + "\n")
	}
	return all
}

// balancers is a status with load balancers, as Services, Ingresses and Gateways have it.
func balancers(names ...string) string {
	var ingress, addresses []string
	for _, n := range names {
		ingress = append(ingress, `{"ip":"`+n+`"},{"hostname":"`+n+`"}`)
		addresses = append(addresses, `{"type":"Hostname","value":"`+n+`"},{"value":"`+n+`"}`)
	}
	return `,"spec":{"type":"LoadBalancer"},"status":{"loadBalancer":{"ingress":[` + strings.Join(ingress, ",") + `]},"addresses":[` + strings.Join(addresses, ",") + `]}`
}

func many() (all []string) {
	for i := range 5000 {
		all = append(all, fmt.Sprintf("203.%d.%d.1", i/256, i%256))
	}
	return all
}

func noise(seed uint64) string {
	r := rand.New(rand.NewPCG(seed, seed))
	b := make([]byte, 4096)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// running is a Controller that makes passes, with a route that leads to Service
// shop/web of all clusters.
func running(t *testing.T) *Controller {
	c, _ := newTest(t)
	c.loop.database(embedded(t), nil)
	k := c.caches
	target, _ := route.FromService(balanced("192.0.2.1"))
	r := &v1alpha1.GlobalRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	r.Spec.Hosts, r.Spec.HealthCheck.Protocol = []string{"www.example.org"}, "None"
	r.Spec.Targets = []v1alpha1.RouteTarget{{Kind: web.Kind, Name: web.Name}}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { c.loop.run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	k.change(func(d *dirty) {
		k.targets[web] = &target
		k.zones["example.org"] = dnsZone("example.org", nil)
		k.routes[keyOf(r)] = r
		d.zones, d.everything = true, true
	})
	return c
}

// eventually waits until something is so.
func eventually(t *testing.T, what func() string, is func() bool) {
	t.Helper()
	deadline := time.After(40 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		if is() {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("after 40 s still not %s", what())
		case <-tick.C:
		}
	}
}

// TestRubbish: a member may answer whatever it likes: the hub goes on, and hears it
// when it talks sense again. All members do at once, as back-off takes its time.
func TestRubbish(t *testing.T) {
	c := running(t)
	members := map[string]*fakeMember{}
	all := func(what string, is func(name string, m *fakeMember) bool) {
		t.Helper()
		left := slices.Sorted(maps.Keys(members))
		eventually(t, func() string { return what + ": " + strings.Join(left, ", ") }, func() bool {
			left = slices.DeleteFunc(left, func(name string) bool { return is(name, members[name]) })
			return len(left) == 0
		})
	}
	asked := func(prefix string) func(string, *fakeMember) bool {
		return func(_ string, m *fakeMember) bool {
			for _, resource := range []string{"networking.k8s.io/v1/ingresses", "v1/services", "discovery.k8s.io/v1/endpointslices", "gateway.networking.k8s.io/v1/gateways"} {
				if _, ok := m.asked.Load(prefix + resource); !ok {
					return false
				}
			}
			return true
		}
	}
	answers := rubbish()
	for name, body := range answers {
		c.clusterApply(name)
		m := newFakeMember(t)
		m.list.Store(emptyList)
		m.watch.Store(body)
		members[name] = m
		c.Engage(t.Context(), name, &rest.Config{Host: m.URL})
	}
	all("watched", asked("watch "))
	for name, m := range members {
		m.list.Store(answers[name])
		m.watch.Store(expired)
		m.asked.Clear()
	}
	all("listed", asked(""))
	for _, m := range members {
		m.list.Store(nil)
		m.watch.Store(nil)
	}
	all("it talks sense", func(name string, _ *fakeMember) bool {
		e, _ := c.caches.Exposure(name, web)
		return len(e.Addresses) == 1 && e.Addresses[0].String() == "192.0.2.77" && c.caches.Outdated(name, route.KindService) == ""
	})
	all("it is answered for", func(name string, _ *fakeMember) bool {
		return slices.ContainsFunc(c.loop.view.Load().resolved["shop/web"].Clusters, func(s route.ClusterState) bool {
			return s.Name == name && len(s.Addresses) == 1 && s.Addresses[0].String() == "192.0.2.77"
		})
	})
	if panics := c.about().Panics; len(panics) > 0 {
		t.Errorf("panics, which ended nothing, but: %v", panics)
	}
}

func (c *Controller) clusterApply(name string) { c.clusterSink(func() {}).Apply(clusterObject(name)) }

// TestUnjoinUnderChurn engages and unjoins members again and again while their
// Services change.
func TestUnjoinUnderChurn(t *testing.T) {
	c := running(t)
	churn, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	var wg sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprint("m", i)
		m := newFakeMember(t)
		events := strings.Builder{}
		for j := range 200 {
			body, _ := json.Marshal(balanced(fmt.Sprintf("192.0.2.%d", j)))
			kind := []string{"MODIFIED", "DELETED"}[j%2]
			events.WriteString(`{"type":"` + kind + `","object":` + strings.Replace(string(body), "{", `{"kind":"Service","apiVersion":"v1",`, 1) + "}\n")
		}
		m.watch.Store(asJSON(events.String()))
		wg.Go(func() {
			for churn.Err() == nil {
				c.clusterApply(name)
				ctx, leave := context.WithCancel(t.Context())
				c.Engage(ctx, name, &rest.Config{Host: m.URL})
				pause(churn, clock.RealClock{}, time.Duration(rand.IntN(20))*time.Millisecond)
				// Fleet and the watch of Clusters do not wait for each other.
				var both sync.WaitGroup
				both.Go(leave)
				both.Go(func() { c.clusterSink(func() {}).Remove(clusterObject(name)) })
				both.Wait()
			}
		})
	}
	wg.Wait()
	eventually(t, func() string { return "gone, with all that is known of them" }, func() bool {
		c.caches.mu.RLock()
		defer c.caches.mu.RUnlock()
		return len(c.caches.members) == 0
	})
	if panics := c.about().Panics; len(panics) > 0 {
		t.Errorf("panics: %v", panics)
	}
}
