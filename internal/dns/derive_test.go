package dns

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	dynamicfake "k8s.io/client-go/dynamic/fake"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// hubOf is a Controller whose caches follow what it writes.
type hubOf struct {
	*Controller
	client *dynamicfake.FakeDynamicClient
}

// derived has everything derived once, from targets and hosts that are in no zone,
// and returns the names of routes and zones at the hub.
func (h hubOf) derived(t *testing.T, targets map[route.TargetKey]*route.Target, homeless ...grant.Homeless) (routes, zones []string) {
	t.Helper()
	h.caches.targets = targets
	_, known := h.caches.objects()
	n := h.loop.publisher.needs(known)
	n.homeless = homeless
	h.deriver.derive(n)
	if err := h.deriver.keep(t.Context(), <-h.deriver.latest); err != nil {
		t.Fatal(err)
	}
	for i, resource := range []string{"globalroutes", "dnszones"} {
		list, err := h.client.Resource(v1alpha1.Resource(resource)).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var all []*unstructured.Unstructured
		for j := range list.Items {
			all = append(all, &list.Items[j])
			if i == 0 {
				routes = append(routes, keyOf(&list.Items[j]))
			} else {
				zones = append(zones, list.Items[j].GetName())
			}
		}
		if i == 0 {
			h.routeSink(func() {}).Replace(all)
		} else {
			h.zoneSink(func() {}).Replace(all)
		}
	}
	slices.Sort(routes)
	slices.Sort(zones)
	return routes, zones
}

func globalIngress(annotations ...string) map[route.TargetKey]*route.Target {
	key := route.TargetKey{Kind: route.KindIngress, Namespace: "shop", Name: "web"}
	t := &route.Target{Key: key, UID: "ingress-uid", Hosts: []string{"www.shop.example"}, Annotations: map[string]string{v1alpha1.AnnotationGlobal: "true"}}
	for _, a := range annotations {
		name, value, _ := strings.Cut(a, "=")
		t.Annotations[name] = value
	}
	quiet := route.TargetKey{Kind: route.KindIngress, Namespace: "shop", Name: "quiet"}
	return map[route.TargetKey]*route.Target{key: t, quiet: {Key: quiet, Hosts: []string{"quiet.shop.example"}}}
}

func TestDerivedRoutes(t *testing.T) {
	c, client := newTest(t)
	h := hubOf{c, client}
	routes, _ := h.derived(t, globalIngress())
	if !slices.Equal(routes, []string{"shop/ingress-web"}) {
		t.Fatalf("routes %v", routes)
	}
	r := c.caches.routes["shop/ingress-web"]
	if o := r.OwnerReferences; len(o) != 1 || o[0].UID != "ingress-uid" || o[0].APIVersion != "networking.k8s.io/v1" || o[0].Kind != "Ingress" || r.Labels[v1alpha1.LabelDerivedFrom] != "Ingress" {
		t.Errorf("the route would stay when its Ingress goes: %+v %v", o, r.Labels)
	}
	writes := func() (n int) {
		for _, a := range client.Actions() {
			if a.GetVerb() != "list" {
				n++
			}
		}
		return n
	}
	before := writes()
	h.derived(t, globalIngress())
	if writes() != before {
		t.Error("what is there was written again")
	}
	h.derived(t, globalIngress("external-dns.kubernetes.io/ttl=7"))
	if ttl := c.caches.routes["shop/ingress-web"].Spec.TTL; ttl != 7 {
		t.Errorf("the annotation has changed, and the TTL is %d", ttl)
	}
	if routes, _ = h.derived(t, nil); len(routes) != 0 {
		t.Errorf("not global any more, and left are %v", routes)
	}
}

// TestUsersRouteIsLeftAlone: a route that has the name of a derived one, without its
// label, is the user's.
func TestUsersRouteIsLeftAlone(t *testing.T) {
	c, client := newTest(t)
	h := hubOf{c, client}
	h.derived(t, globalIngress())
	mine := c.caches.routes["shop/ingress-web"].DeepCopy()
	mine.Labels, mine.Spec.TTL = nil, 99
	u, err := unstructuredOf(mine, "GlobalRoute")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Resource(v1alpha1.Resource("globalroutes")).Namespace("shop").Update(t.Context(), u, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.routeSink(func() {}).Apply(u)
	h.derived(t, globalIngress("external-dns.kubernetes.io/ttl=7"))
	if routes, _ := h.derived(t, nil); len(routes) != 1 || c.caches.routes["shop/ingress-web"].Spec.TTL != 99 {
		t.Errorf("left are %v: %+v", routes, c.caches.routes)
	}
}

func TestDerivedZones(t *testing.T) {
	c, client := newTest(t)
	h := hubOf{c, client}
	users := dnsZone("users.example", nil)
	if err := create(t.Context(), client.Resource(v1alpha1.Resource("dnszones")), users, "DNSZone"); err != nil {
		t.Fatal(err)
	}
	is := func(what string, want []string, homeless ...grant.Homeless) {
		t.Helper()
		if _, zones := h.derived(t, nil, homeless...); !slices.Equal(zones, want) {
			t.Errorf("%s: zones %v, want %v", what, zones, want)
		}
	}
	both := []string{"shop.example", "users.example"}
	is("one that is needed, and one that no object can be called after", both, grant.Homeless{Domain: "shop.example", Namespace: "shop"}, grant.Homeless{Domain: "_bad_", Namespace: "shop"})
	c.loop.publisher.zonesOf = map[string][]string{"shop/web": {"shop.example"}}
	is("in use", both)
	if z := c.caches.zones["shop.example"]; z.Spec.Domain != "shop.example" || z.Labels[v1alpha1.LabelDerivedFrom] == "" ||
		z.Spec.Namespace != "shop" || !slices.Equal(z.Spec.AllowedRoutes.Hosts, []string{"shop.example", "*.shop.example"}) {
		t.Errorf("the zone: %+v", z)
	}
	// What an earlier version made for nobody in particular is given to whom it is needed
	// for, once; what is a user's, and what is another's, is left alone.
	nobodys := c.caches.zones["shop.example"].DeepCopy()
	nobodys.Spec.Namespace, nobodys.Spec.AllowedRoutes = "", nil
	u, err := unstructuredOf(nobodys, "DNSZone")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Resource(v1alpha1.Resource("dnszones")).Update(t.Context(), u, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.zoneSink(func() {}).Apply(u)
	for _, namespace := range []string{"first", "second"} {
		is("needed by "+namespace, both, grant.Homeless{Domain: "shop.example", Namespace: namespace}, grant.Homeless{Domain: "users.example", Namespace: namespace})
		if z := c.caches.zones["shop.example"]; z.Spec.Namespace != "first" || z.Spec.AllowedRoutes == nil || c.caches.zones["users.example"].Spec.Namespace != "ns" {
			t.Errorf("needed by %s: %+v", namespace, c.caches.zones)
		}
	}
	c.loop.publisher.zonesOf = nil
	is("not in use any more", []string{"users.example"})
}
