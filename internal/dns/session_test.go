package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/record"

	"github.com/hanse-dev/hanse/internal/dns/route"
)

// balanced is a Service with the address of a load balancer.
func balanced(address string) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	s.Spec.Type = corev1.ServiceTypeLoadBalancer
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address}}
	return s
}

var web = route.TargetKey{Kind: route.KindService, Namespace: "shop", Name: "web"}

// clusterObject is what the watch of Clusters brings.
func clusterObject(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": name, "uid": "uid-of-" + name}}}
}

// TestCacheGoesAfterItsSession: that a Cluster has gone is heard while its session
// still takes in what the member says, and in any order with what fleet does.
func TestCacheGoesAfterItsSession(t *testing.T) {
	c, _ := newTest(t)
	k := c.caches
	clusters := c.clusterSink(func() {})
	begin := func() (*memberSession, sink[*corev1.Service]) {
		s := &memberSession{c: c, caches: k, name: "aws"}
		k.begin(s)
		return s, exposing(s, route.KindService, serviceExposure)
	}
	is := func(what string, address string, members int) {
		t.Helper()
		e, _ := k.Exposure("aws", web)
		got := ""
		if len(e.Addresses) > 0 {
			got = e.Addresses[0].String()
		}
		if got != address || len(k.members) != members {
			t.Errorf("%s: address %q in %d members, want %q in %d", what, got, len(k.members), address, members)
		}
	}
	clusters.replace([]*unstructured.Unstructured{clusterObject("aws")})
	first, services := begin()
	services.replace([]*corev1.Service{balanced("192.0.2.1")})
	is("engaged", "192.0.2.1", 1)

	clusters.remove(clusterObject("aws"))
	services.apply(balanced("192.0.2.2"))
	services.remove(balanced("192.0.2.2"))
	services.replace([]*corev1.Service{balanced("192.0.2.3")})
	is("its Cluster has gone, its session has not", "192.0.2.3", 1)
	k.end(first)
	is("its session has ended", "", 0)
	services.apply(balanced("192.0.2.4"))
	is("a watch that says something even later", "", 0)

	second, services := begin()
	clusters.apply(clusterObject("aws"))
	services.replace([]*corev1.Service{balanced("192.0.2.5")})
	k.end(second)
	is("it is away", "192.0.2.5", 1)
	third, services := begin()
	k.end(second)
	if clusters := k.Clusters(); len(clusters) != 1 || !clusters[0].Answers {
		t.Errorf("a session that ended late ended the next one: %+v", clusters)
	}
	clusters.remove(clusterObject("aws"))
	fourth, _ := begin()
	is("another cluster has joined by its name", "", 1)
	services.apply(balanced("192.0.2.6"))
	k.end(third)
	is("what the first of them says late", "", 1)
	clusters.apply(clusterObject("aws"))
	k.end(fourth)
	clusters.replace(nil)
	is("gone while it was away", "", 0)
}

// TestBlipLosesNothing: what a member said is known until it has said it again.
func TestBlipLosesNothing(t *testing.T) {
	k := newCaches()
	first := &memberSession{caches: k, name: "aws"}
	k.begin(first)
	first.endpoints().replace(nil)
	k.end(first)
	second := &memberSession{caches: k, name: "aws"}
	k.begin(second)
	if _, known := k.Endpoints("aws", "shop", "web"); !known || k.Outdated("aws", route.KindSlices) == "" {
		t.Errorf("that it had no endpoints is known: %t, and outdated: %q", known, k.Outdated("aws", route.KindSlices))
	}
	second.endpoints().replace(nil)
	if why := k.Outdated("aws", route.KindSlices); why != "" {
		t.Errorf("it was listed, and it is outdated: %s", why)
	}
}

// fakeSource is a source whose lists and watches fail as told.
type fakeSource struct {
	mu                  sync.Mutex
	failList, failWatch error
	lists               int
	panics              int
}

// listed is how often it was listed.
func (f *fakeSource) listed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lists
}

func (f *fakeSource) source() source {
	return source{"services", &corev1.Service{},
		func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.lists++; f.panics > 0 {
				f.panics--
				panic("nonsense")
			}
			if f.failList != nil {
				return nil, f.failList
			}
			return &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Service{*balanced("192.0.2.1")}}, nil
		},
		func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if o.SendInitialEvents != nil {
				return nil, errors.New("it lists")
			}
			if f.failWatch != nil {
				return nil, f.failWatch
			}
			w := watch.NewFake()
			context.AfterFunc(ctx, w.Stop)
			time.AfterFunc(time.Minute, w.Stop)
			return w, nil
		}}
}

// watched runs the watch of Services of a session in a bubble of synctest, with a
// recorder of events.
func watched(t *testing.T, f *fakeSource) (*Controller, *record.FakeRecorder) {
	c, _ := newTest(t)
	events := record.NewFakeRecorder(100)
	c.events = events
	s := &memberSession{c: c, caches: c.caches, name: "aws"}
	c.caches.begin(s)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		persist(ctx, func() { follow(ctx, f.source(), managed, exposing(s, route.KindService, serviceExposure)) },
			func(p *panicError) { s.crashed(ctx, route.KindService, p) })
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c, events
}

// drain is all events so far.
func drain(events *record.FakeRecorder) (all []string) {
	for {
		select {
		case e := <-events.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

var forbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "", errors.New("not\nany more \x1b[31m"+strings.Repeat("x", 10000)))

// TestUnreadable: what cannot be read for a while does not pass for up to date, which
// is said once.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTest(t)
		events := record.NewFakeRecorder(100)
		c.events = events
		s := &memberSession{c: c, caches: c.caches, name: "aws"}
		c.caches.begin(s)
		services := exposing(s, route.KindService, serviceExposure)
		hear := func(d time.Duration, err error) {
			for end := time.Now().Add(d); time.Now().Before(end); <-time.After(time.Second) {
				services.outcome(err)
			}
		}
		is := func(what, outdated string, said ...string) {
			t.Helper()
			why, got := c.caches.Outdated("aws", route.KindService), drain(events)
			if (why != "") != (outdated != "") || !strings.Contains(why, outdated) || len(why) > 2*briefly || strings.ContainsAny(why, "\n\x1b") {
				t.Errorf("%s: outdated: %q, want %q", what, why, outdated)
			}
			if !slices.EqualFunc(got, said, strings.Contains) {
				t.Errorf("%s: events %q, want %q", what, got, said)
			}
			if e, _ := c.caches.Exposure("aws", web); !slices.Equal(e.Addresses, []netip.Addr{netip.MustParseAddr("192.0.2.1")}) {
				t.Errorf("%s: what was known is forgotten: %+v", what, e)
			}
		}
		services.replace([]*corev1.Service{balanced("192.0.2.1")})
		hear(3*time.Second, forbidden)
		is("a few seconds", "")
		services.outcome(nil)
		hear(3*time.Second, forbidden)
		is("and again, after it had worked", "")
		hear(30*time.Second, forbidden)
		is("half a minute", "forbidden", eventUnreadable)
		hear(20*time.Second, apierrors.NewInternalError(errors.New("etcd")))
		is("another reason for a moment", "forbidden")
		hear(60*time.Second, apierrors.NewInternalError(errors.New("etcd")))
		is("another reason", "etcd", eventUnreadable)
		services.replace([]*corev1.Service{balanced("192.0.2.1")})
		is("it can be read again", "", eventReadable)
		services.replace([]*corev1.Service{balanced("192.0.2.1")})
		is("and is", "")

		gateways := exposing(s, route.KindGateway, gatewayExposure)
		refuse := func() {
			for range 10 {
				gateways.outcome(forbidden)
				<-time.After(time.Second)
			}
		}
		refuse()
		if c.caches.Outdated("aws", route.KindGateway) == "" {
			t.Error("a route to a Gateway is not told that it cannot be read")
		}
		gateways.replace(nil)
		is("Gateways cannot be read where the hub has put none", "")
		refuse()
		is("and cannot any more", "", eventUnreadable)
	})
}

// TestOutcomes: who follows a source hears of what fails, and that it goes on.
func TestOutcomes(t *testing.T) {
	for name, test := range map[string]struct {
		list, watch error
		want        string
	}{
		"lists fail":   {forbidden, nil, "not\nany more"},
		"watches fail": {nil, forbidden, "not\nany more"},
		"too busy":     {nil, apierrors.NewTooManyRequests("busy", 1), "busy"},
		"nothing does": {nil, nil, "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			heard := ""
			follow(ctx, (&fakeSource{failList: test.list, failWatch: test.watch}).source(), "", sink[*corev1.Service]{
				replace: func([]*corev1.Service) {}, apply: func(*corev1.Service) {}, remove: func(*corev1.Service) {},
				outcome: func(err error) {
					heard = fmt.Sprint(err)
					cancel()
				},
			})
			if !strings.Contains(heard, test.want) {
				t.Errorf("heard %q", heard)
			}
		})
	}
}

// TestPanicOfASession: what one member says must not end the hub.
func TestPanicOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSource{panics: 3}
		c, events := watched(t, f)
		<-time.After(500 * time.Millisecond)
		synctest.Wait()
		if f.listed() != 1 || !strings.Contains(c.caches.Outdated("aws", route.KindService), "nonsense") {
			t.Errorf("after a panic: %d lists, outdated: %q", f.listed(), c.caches.Outdated("aws", route.KindService))
		}
		<-time.After(20 * time.Second)
		synctest.Wait()
		if _, known := c.caches.Exposure("aws", web); !known || c.caches.Outdated("aws", route.KindService) != "" {
			t.Errorf("it talks sense again, and is not heard: %d lists", f.listed())
		}
		if said := drain(events); len(said) != 3 || !strings.Contains(said[0], eventCrashed) || c.about().Panics["aws"] != 3 {
			t.Errorf("events %q, panics %v", said, c.about().Panics)
		}
	})
}

// TestPanicOfAPass: answers stay what they were, and are worked out again.
func TestPanicOfAPass(t *testing.T) {
	db := embedded(t)
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTest(t)
		ctx, cancel := context.WithCancel(t.Context())
		go c.loop.run(ctx)
		defer func() { cancel(); synctest.Wait() }()
		k := c.caches
		k.clusters["aws"] = route.Cluster{Name: "aws", Continent: "NA"}
		k.zones["example.org"] = dnsZone("example.org", nil)
		set(k, testRoute(1, 1))
		c.loop.database(db, nil)
		<-time.After(time.Second)
		synctest.Wait()
		k.change(func(d *dirty) { k.routes["ns/bad"], d.everything = nil, true })
		set(k, testRoute(2, 1))
		<-time.After(100 * time.Millisecond)
		synctest.Wait()
		if c.about().Panics[""] == 0 || len(c.view.Load().hosts) != 1 {
			t.Errorf("panics %v, hosts %d", c.about().Panics, len(c.view.Load().hosts))
		}
		k.change(func(*dirty) { delete(k.routes, "ns/bad") })
		<-time.After(10 * time.Second)
		synctest.Wait()
		if len(c.view.Load().hosts) != 2 {
			t.Errorf("it makes sense again, and %d hosts are answered", len(c.view.Load().hosts))
		}
	})
}

// TestPanicUnlocks: who comes after a change that panicked is not blocked.
func TestPanicUnlocks(t *testing.T) {
	k := newCaches()
	if p := contain(func() { k.change(func(*dirty) { panic("x") }) }); p == nil || len(p.stack) == 0 {
		t.Errorf("panic %v", p)
	}
	k.change(func(d *dirty) { d.zones = true })
	if !k.take().zones {
		t.Error("the change after it is lost")
	}
}

// TestPace: a server that has a Reflector ask again at once does not keep the hub busy.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s, asked := (&fakeSource{}).source(), 0
		s.watch = func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			if asked++; asked > 1000 {
				cancel()
			}
			return nil, apierrors.NewResourceExpired("too old")
		}
		follow(ctx, s, "", sink[*corev1.Service]{replace: func([]*corev1.Service) {}})
		if most := 100; asked > most {
			t.Errorf("%d requests in 10 s, want at most %d", asked, most)
		}
	})
}
