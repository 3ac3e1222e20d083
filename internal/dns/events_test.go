package dns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// TestWhoLosesHears: a route whose host another one has, and a zone whose domain, are
// told by an event, once for each change, whatever else changes and however often.
func TestWhoLosesHears(t *testing.T) {
	db := embedded(t)
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTest(t)
		events := record.NewFakeRecorder(100)
		c.announcer.events = events
		ctx, cancel := context.WithCancel(t.Context())
		go c.loop.run(ctx)
		defer func() { cancel(); synctest.Wait() }()
		k := c.caches
		k.clusters["aws"] = route.Cluster{Name: "aws", Continent: "NA"}
		aged := func(i int, name string) *v1alpha1.GlobalRoute {
			r := testRoute(1, 1)
			r.Name, r.CreationTimestamp = name, metav1.NewTime(time.Unix(int64(i), 0))
			return r
		}
		is := func(what string, want ...string) {
			t.Helper()
			for range 3 { // several passes
				set(k, testRoute(9, time.Now().Unix()))
				<-time.After(2 * passRest)
				k.change(func(d *dirty) { d.everything, d.zones = true, true })
				<-time.After(2 * passRest)
				synctest.Wait()
			}
			got := drain(events)
			slices.Sort(got) // normal ones first
			if !slices.EqualFunc(got, want, strings.Contains) {
				t.Errorf("%s: events %q, want %q", what, got, want)
			}
		}
		old, young := aged(1, "old"), aged(2, "young")
		said := aged(3, "said")
		said.Status.Hosts = []v1alpha1.RouteHost{{Name: "h1.example.org", Message: "h1.example.org belongs to GlobalRoute ns/old, which had it first. Try: another name"}}
		for _, r := range []*v1alpha1.GlobalRoute{old, young, said} {
			k.routes[keyOf(r)] = r
		}
		for i, name := range []string{"example.org", "late"} {
			z := dnsZone(name, nil)
			z.Spec.Domain, z.CreationTimestamp = "example.org", metav1.NewTime(time.Unix(int64(i), 0))
			k.zones[name] = z
		}
		c.loop.database(db, nil)
		is("two have the same host, and one of them has heard of it before the hub was started", reasonDomainTaken, v1alpha1.ReasonHostTaken+" h1.example.org belongs to GlobalRoute ns/old")
		k.change(func(d *dirty) { delete(k.routes, keyOf(old)); d.routes[keyOf(old)] = true })
		is("the older has gone", eventHostBack+" h1.example.org", v1alpha1.ReasonHostTaken+" h1.example.org belongs to GlobalRoute ns/young")
		k.change(func(d *dirty) { delete(k.routes, keyOf(young)); d.routes[keyOf(young)] = true })
		is("and the next", eventHostBack)
	})
}

// TestWhatGetsNoRouteHears: what seems to ask for a GlobalRoute and gets none is told
// why, once, and does not keep others from theirs.
func TestWhatGetsNoRouteHears(t *testing.T) {
	c, client := newTest(t)
	events := record.NewFakeRecorder(100)
	c.announcer.events = events
	h := hubOf{c, client}
	services := targets(c.caches, route.KindService, func() {}, func(s *corev1.Service) (route.Target, bool) { return route.FromService(s) })
	service := func(name string, kind corev1.ServiceType, annotations ...string) *corev1.Service {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "u", Annotations: map[string]string{}}}
		s.Spec.Type = kind
		for _, a := range annotations {
			k, v, _ := strings.Cut(a, "=")
			s.Annotations[k] = v
		}
		return s
	}
	is := func(what string, routes []string, said ...string) {
		t.Helper()
		for range 2 {
			if got, _ := h.derived(t, c.caches.targets); !slices.Equal(got, routes) {
				t.Errorf("%s: routes %v, want %v", what, got, routes)
			}
		}
		got := drain(events)
		slices.Sort(got)
		if !slices.EqualFunc(got, said, strings.Contains) {
			t.Errorf("%s: events %q, want %q", what, got, said)
		}
	}
	const hostname = "external-dns.kubernetes.io/hostname=a.shop.example"
	client.PrependReactor("create", "globalroutes", func(a clienttesting.Action) (bool, runtime.Object, error) {
		u := a.(clienttesting.CreateAction).GetObject().(metav1.Object)
		if u.GetName() == "service-"+strings.Repeat("x", 250) {
			return true, nil, apierrors.NewInvalid(schema.GroupKind{Kind: "GlobalRoute"}, u.GetName(), nil)
		}
		if u.GetName() == "service-quota" {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "globalroutes"}, u.GetName(), errors.New("exceeded quota"))
		}
		return false, nil, nil
	})
	services.Replace([]*corev1.Service{
		service("a-named", corev1.ServiceTypeLoadBalancer, hostname),
		service("b-off", corev1.ServiceTypeLoadBalancer, hostname, "hanse.dev/global=false"),
		service("c-wrong", corev1.ServiceTypeLoadBalancer, hostname, "hanse.dev/global=yes"),
		service("d-inside", corev1.ServiceTypeClusterIP, "hanse.dev/global=true"),
		service("e-quiet", corev1.ServiceTypeClusterIP, hostname),
		service("f-plain", corev1.ServiceTypeLoadBalancer),
		service(strings.Repeat("x", 250), corev1.ServiceTypeLoadBalancer, hostname),
	})
	is("at first", []string{"shop/service-a-named"}, `it must be "true" or "false"`, "is not of type LoadBalancer", "GlobalRoute service-xxx")
	services.Apply(service("c-wrong", corev1.ServiceTypeLoadBalancer, "hanse.dev/global=true"))
	services.Apply(service("d-inside", corev1.ServiceTypeLoadBalancer, "hanse.dev/global=true"))
	services.Remove(service(strings.Repeat("x", 250), corev1.ServiceTypeLoadBalancer))
	is("mended", []string{"shop/service-a-named", "shop/service-c-wrong", "shop/service-d-inside"})
	services.Apply(service("d-inside", corev1.ServiceTypeNodePort, "hanse.dev/global=true"))
	is("and not any more", []string{"shop/service-a-named", "shop/service-c-wrong"}, "is not of type LoadBalancer")
	services.Remove(service("d-inside", corev1.ServiceTypeNodePort))
	services.Apply(service("quota", corev1.ServiceTypeLoadBalancer, hostname))
	h.deriver.derive(needs{})
	err := h.deriver.keep(t.Context(), <-h.deriver.latest)
	if got := drain(events); err == nil || len(got) != 1 || !strings.Contains(got[0], "exceeded quota") {
		t.Errorf("quota: %v, tried again: %t", got, err != nil)
	}
	if len(c.caches.unfit) > 0 {
		t.Error(fmt.Sprint("what has gone is kept: ", c.caches.unfit))
	}
}

// TestWhyUp: what is said of a cluster that answers never says that it is down.
func TestWhyUp(t *testing.T) {
	up := route.Health{State: v1alpha1.HealthUp, Message: "200"}
	down := route.Health{State: v1alpha1.HealthDown, Message: "no ready endpoint"}
	for want, c := range map[string]route.ClusterState{
		": inside up (200), outside not probed yet": {Inside: up, Outside: route.Health{State: v1alpha1.HealthUnknown, Message: "not probed yet"}},
		": inside unknown, outside up (200)":        {Inside: route.Health{State: v1alpha1.HealthUnknown}, Outside: up},
		"":                                          {Inside: down, Outside: up},
	} {
		if got := whyUp(c); got != want {
			t.Errorf("%+v: got %q, want %q", c, got, want)
		}
	}
	if got := whyUp(route.ClusterState{Inside: up, Outside: down}); got != "" {
		t.Errorf("another host is down outside: got %q", got)
	}
}

// TestTheFirstThatIsLearnedIsNoFall: a cluster of which nothing was known counted as up.
func TestTheFirstThatIsLearnedIsNoFall(t *testing.T) {
	unknown, up := route.Health{State: v1alpha1.HealthUnknown}, route.Health{State: v1alpha1.HealthUp}
	for _, c := range []struct {
		inside, outside route.Health
		want            bool
	}{{unknown, unknown, true}, {up, unknown, false}, {unknown, up, false}} {
		r := &route.Resolved{Clusters: []route.ClusterState{{Name: "aws", Inside: c.inside, Outside: c.outside}}}
		if got := guessed(r, "aws"); got != c.want {
			t.Errorf("inside %s, outside %s: guessed is %t", c.inside.State, c.outside.State, got)
		}
	}
}
