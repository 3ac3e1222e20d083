package dns

import (
	"context"
	"errors"
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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/record"

	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/watch"
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
	begin := func() (*memberSession, watch.Sink[*corev1.Service]) {
		s := c.session("aws")
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
	clusters.Replace([]*unstructured.Unstructured{clusterObject("aws")})
	first, services := begin()
	services.Replace([]*corev1.Service{balanced("192.0.2.1")})
	is("engaged", "192.0.2.1", 1)

	clusters.Remove(clusterObject("aws"))
	services.Apply(balanced("192.0.2.2"))
	services.Remove(balanced("192.0.2.2"))
	services.Replace([]*corev1.Service{balanced("192.0.2.3")})
	is("its Cluster has gone, its session has not", "192.0.2.3", 1)
	k.end(first)
	is("its session has ended", "", 0)
	services.Apply(balanced("192.0.2.4"))
	is("a watch that says something even later", "", 0)

	second, services := begin()
	clusters.Apply(clusterObject("aws"))
	services.Replace([]*corev1.Service{balanced("192.0.2.5")})
	k.end(second)
	is("it is away", "192.0.2.5", 1)
	third, services := begin()
	k.end(second)
	if clusters := k.Clusters(); len(clusters) != 1 || !clusters[0].Answers {
		t.Errorf("a session that ended late ended the next one: %+v", clusters)
	}
	clusters.Remove(clusterObject("aws"))
	fourth, _ := begin()
	is("another cluster has joined by its name", "", 1)
	services.Apply(balanced("192.0.2.6"))
	k.end(third)
	is("what the first of them says late", "", 1)
	clusters.Apply(clusterObject("aws"))
	k.end(fourth)
	clusters.Replace(nil)
	is("gone while it was away", "", 0)
}

// TestBlipLosesNothing: what a member said is known until it has said it again.
func TestBlipLosesNothing(t *testing.T) {
	k := newCaches()
	first := newSession(k)
	k.begin(first)
	first.endpoints().Replace(nil)
	k.end(first)
	second := newSession(k)
	k.begin(second)
	if _, known := k.Endpoints("aws", "shop", "web"); !known || k.Outdated("aws", route.KindSlices) == "" {
		t.Errorf("that it had no endpoints is known: %t, and outdated: %q", known, k.Outdated("aws", route.KindSlices))
	}
	second.endpoints().Replace(nil)
	if why := k.Outdated("aws", route.KindSlices); why != "" {
		t.Errorf("it was listed, and it is outdated: %s", why)
	}
}

// newSession is a session of a member of which nobody is told anything.
func newSession(k *caches) *memberSession {
	return &memberSession{caches: k, name: "aws", say: func(_, _, _ string) {}, quiet: map[string]bool{}}
}

// fakeSource is a source of a Service whose lists fail, or panic so often, as told.
type fakeSource struct {
	mu     sync.Mutex
	fail   error
	lists  int
	panics int
}

// set has lists fail; nil: no more.
func (f *fakeSource) set(err error) { f.mu.Lock(); f.fail = err; f.mu.Unlock() }

// listed is how often it was listed.
func (f *fakeSource) listed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lists
}

func (f *fakeSource) List(_ context.Context, _ metav1.ListOptions, each func(*corev1.Service) error) (metav1.ListMeta, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lists++; f.panics > 0 {
		f.panics--
		panic("nonsense")
	}
	if f.fail != nil {
		return metav1.ListMeta{}, f.fail
	}
	return metav1.ListMeta{ResourceVersion: "1"}, each(balanced("192.0.2.1"))
}

func (f *fakeSource) Watch(ctx context.Context, _ metav1.ListOptions) (watch.Stream[*corev1.Service], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return silent{ctx, f}, f.fail
}

// silent is a watch that says nothing, but that its version is too old once requests fail.
type silent struct {
	ctx context.Context
	f   *fakeSource
}

func (s silent) Next() (watch.Event[*corev1.Service], error) {
	for {
		select {
		case <-time.After(time.Second):
		case <-s.ctx.Done():
			return watch.Event[*corev1.Service]{}, s.ctx.Err()
		}
		s.f.mu.Lock()
		fails := s.f.fail != nil
		s.f.mu.Unlock()
		if fails {
			return watch.Event[*corev1.Service]{}, apierrors.NewResourceExpired("too old")
		}
	}
}

func (silent) Close() {}

// watched runs the watch of a kind of a session in a bubble of synctest, as if it were of Services, with a
// recorder of events.
func watched(t *testing.T, f *fakeSource, kind string) (*Controller, *record.FakeRecorder) {
	c, _ := newTest(t)
	events := record.NewFakeRecorder(100)
	c.announcer.events = events
	s := c.session("aws")
	c.caches.begin(s)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { watchMember(ctx, s, nil, kind, f, exposing(s, kind, serviceExposure)) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c, events
}

// drain is all events until now.
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
		f := &fakeSource{}
		c, events := watched(t, f, route.KindService)
		hear := func(d time.Duration, err error) {
			f.set(err)
			<-time.After(d)
			synctest.Wait()
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
		hear(3*time.Second, nil)
		is("it can be read", "")
		hear(2*time.Second, forbidden)
		is("two seconds", "")
		hear(10*time.Second, nil)
		hear(2*time.Second, forbidden)
		is("and again, after it had worked", "")
		hear(30*time.Second, forbidden)
		is("half a minute", "forbidden", eventUnreadable)
		hear(20*time.Second, apierrors.NewInternalError(errors.New("etcd")))
		is("another reason for a moment", "forbidden")
		hear(60*time.Second, apierrors.NewInternalError(errors.New("etcd")))
		is("another reason", "etcd", eventUnreadable)
		hear(10*time.Second, nil)
		is("it can be read again", "", eventReadable)
		hear(time.Minute, nil)
		is("and is", "")
	})
}

// TestGatewaysAreReadWhereThereAreSome: the hub may read Gateways only where it puts some.
func TestGatewaysAreReadWhereThereAreSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSource{fail: forbidden}
		c, events := watched(t, f, route.KindGateway)
		after := func(err error) []string {
			f.set(err)
			<-time.After(30 * time.Second)
			synctest.Wait()
			return drain(events)
		}
		if said := after(forbidden); len(said) > 0 || c.caches.Outdated("aws", route.KindGateway) == "" {
			t.Errorf("a route to a Gateway is not told that it cannot be read, or others are: %q", said)
		}
		if said := after(nil); len(said) > 0 || c.caches.Outdated("aws", route.KindGateway) != "" {
			t.Errorf("it can be read: %q", said)
		}
		if said := after(forbidden); len(said) != 1 || !strings.Contains(said[0], eventUnreadable) {
			t.Errorf("and cannot any more: %q", said)
		}
		if said := after(apierrors.NewNotFound(schema.GroupResource{}, "")); len(said) != 1 || !strings.Contains(said[0], eventReadable) {
			t.Errorf("that there are none is known, too: %q", said)
		}
		if e, known := c.caches.Exposure("aws", route.TargetKey{Kind: route.KindGateway, Namespace: "shop", Name: "web"}); !known || len(e.Addresses) > 0 {
			t.Errorf("of a Gateway that is gone: %+v, known %t", e, known)
		}
	})
}

// TestPanicOfASession: what one member says must not end the hub.
func TestPanicOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSource{panics: 3}
		c, events := watched(t, f, route.KindService)
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
		if said := drain(events); len(said) != 4 || !strings.Contains(said[0], eventCrashed) || !strings.Contains(said[3], eventReadable) || c.about().Panics["aws"] != 3 {
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
		if c.about().Panics[""] == 0 || len(c.loop.view.Load().hosts) != 1 {
			t.Errorf("panics %v, hosts %d", c.about().Panics, len(c.loop.view.Load().hosts))
		}
		k.change(func(*dirty) { delete(k.routes, "ns/bad") })
		<-time.After(10 * time.Second)
		synctest.Wait()
		if len(c.loop.view.Load().hosts) != 2 {
			t.Errorf("it makes sense again, and %d hosts are answered", len(c.loop.view.Load().hosts))
		}
	})
}

// TestPanicUnlocks: who comes after a change that panicked is not blocked.
func TestPanicUnlocks(t *testing.T) {
	k := newCaches()
	err := guard.Run(func() error {
		k.change(func(*dirty) { panic("x") })
		return nil
	})
	if guard.Stack(err) == nil {
		t.Errorf("panic %v", err)
	}
	k.change(func(d *dirty) { d.zones = true })
	if !k.take().zones {
		t.Error("the change after it is lost")
	}
}
