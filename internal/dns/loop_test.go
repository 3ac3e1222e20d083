package dns

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// slice is an EndpointSlice of Service web with endpoints that are ready, not ready,
// or say nothing of it.
func slice(name, service string, ready, notReady, silent int) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}}}
	add := func(n int, ready *bool) {
		for range n {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: ready}})
		}
	}
	yes, no := true, false
	add(ready, &yes)
	add(notReady, &no)
	add(silent, nil)
	return s
}

func TestEndpointsAreCounted(t *testing.T) {
	k := newCaches()
	session := newSession(k)
	k.begin(session)
	k.take()
	endpoints := session.endpoints()
	is := func(what string, ready, total int, dirty bool) {
		t.Helper()
		got, known := k.Endpoints("aws", "shop", "web")
		if want := (route.Endpoints{Ready: ready, Total: total}); !known || got != want {
			t.Errorf("%s: %+v (known %t), want %+v", what, got, known, want)
		}
		if d := k.take(); (d.everything || d.namespaces["shop"]) != dirty {
			t.Errorf("%s: routes are looked at again: %t, want %t", what, !dirty, dirty)
		}
	}
	if _, known := k.Endpoints("aws", "shop", "web"); known {
		t.Error("a member that has not been asked is taken to have no endpoints")
	}
	endpoints.Replace([]*discoveryv1.EndpointSlice{slice("a", "web", 2, 1, 0), slice("b", "web", 0, 0, 1), slice("c", "other", 9, 0, 0)})
	is("two slices", 3, 4, true)
	endpoints.Apply(slice("a", "web", 2, 1, 0))
	is("the same again", 3, 4, false)
	endpoints.Apply(slice("a", "web", 0, 3, 0))
	is("none is ready there any more", 1, 4, true)
	endpoints.Apply(slice("d", "web", 1, 0, 0))
	is("another slice", 2, 5, true)
	endpoints.Remove(slice("b", "web", 0, 0, 1))
	is("one slice goes", 1, 4, true)
	endpoints.Replace(nil)
	is("all go", 0, 0, true)
	if _, known := k.Endpoints("azure", "shop", "web"); known {
		t.Error("another member is known to have none")
	}
}

// TestChangesTogether: what changes at the same moment is worked out in one pass,
// what does not change anything in none. Passes are counted by the zone's serial.
func TestChangesTogether(t *testing.T) {
	db := embedded(t)
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTest(t)
		ctx, cancel := context.WithCancel(t.Context())
		go c.loop.run(ctx)
		defer func() { cancel(); synctest.Wait() }()
		k := c.caches
		k.clusters["aws"] = route.Cluster{Name: "aws", Continent: "NA"}
		k.change(func(d *dirty) {
			k.zones["example.org"] = dnsZone("example.org", nil)
			d.zones = true
		})
		synctest.Wait()
		if c.loop.view.Load() != nil {
			t.Error("it answers before there is a geographic database")
		}
		c.loop.database(db, nil)
		synctest.Wait()
		serial := func() uint32 { return c.loop.publisher.zones["example.org."].serial }
		first := serial()
		check := func(what string, passes uint32, hosts int) {
			t.Helper()
			<-time.After(passRest) // and all that it does then
			synctest.Wait()
			if got := serial() - first; got != passes || len(c.loop.view.Load().hosts) != hosts {
				t.Errorf("%s: %d passes and %d hosts, want %d and %d", what, got, len(c.loop.view.Load().hosts), passes, hosts)
			}
		}
		for i := range 100 {
			set(k, testRoute(i, 1))
		}
		check("a hundred routes", 1, 100)
		everything := func(d *dirty) { d.everything = true }
		k.change(everything)
		check("nothing is new", 1, 100)
		set(k, testRoute(7, 2))
		check("one has changed", 2, 100)
		k.change(func(d *dirty) {
			for i := range 90 {
				delete(k.routes, keyOf(testRoute(i, 1)))
			}
			d.everything = true
		})
		check("ninety have gone", 3, 10)
		k.change(func(d *dirty) {
			k.zones["example.net"] = dnsZone("example.net", nil)
			d.zones = true
		})
		check("another zone", 3, 10)
		<-time.After(time.Hour)
		check("an hour later", 3, 10)
	})
}

func set(k *caches, r *v1alpha1.GlobalRoute) {
	k.change(func(d *dirty) {
		k.routes[keyOf(r)] = r
		d.routes[keyOf(r)] = true
	})
}

func testRoute(i int, generation int64) *v1alpha1.GlobalRoute {
	return &v1alpha1.GlobalRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("r", i), Generation: generation},
		Spec: v1alpha1.GlobalRouteSpec{
			Hosts: []string{fmt.Sprintf("h%d.example.org", i)}, TTL: int32(10 * generation), HealthCheck: v1alpha1.HealthCheck{Protocol: "None"},
			Endpoints: []v1alpha1.RouteEndpoint{{Cluster: "aws", Addresses: []string{"192.0.2.1"}}},
		},
	}
}
