package dns

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/watch"
)

const (
	// pagesAtOnce is how many pages of lists of one member are in memory at the same time.
	pagesAtOnce = 2
	// notAgain is said of what a member has not said again since it came back.
	notAgain = "it has not been looked at again yet"
)

// Engage begins to watch a member, until ctx ends: the terms are those of
// fleet.Propagator. It does not block.
func (c *Controller) Engage(ctx context.Context, name string, cfg *rest.Config) {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("cluster", klog.KRef("", name)))
	s := c.session(name)
	c.caches.begin(s)
	go func() {
		// Its watches have ended before the cache may go, and a session that ends late
		// does not take the cache from the one that came after it.
		defer c.caches.end(s)
		if await(ctx, c.wanted) {
			if client, err := watch.NewClient(cfg); err != nil {
				klog.FromContext(ctx).Error(err, "Member cannot be watched for DNS")
			} else {
				s.run(ctx, client)
			}
		}
		<-ctx.Done()
	}()
}

// session is one of a member that answers; nothing is watched yet.
func (c *Controller) session(name string) *memberSession {
	announcer, crashes := c.announcer, c.crashes
	return &memberSession{
		caches: c.caches, name: name, clock: c.cfg.Clock, quiet: map[string]bool{},
		say:   func(kind, reason, message string) { announcer.sayCluster(name, kind, reason, message) },
		crash: func() { crashes.count(name) },
	}
}

// memberSession is the watches of one member while it answers.
type memberSession struct {
	caches *caches
	name   string
	clock  clock.WithDelayedExecution
	// say says something on the member's Cluster, by an event of a type (kind), with a reason.
	say func(kind, reason, message string)
	// crash counts that what the member said made the hub panic.
	crash func()

	// quiet is, by kind, what cannot be read and was not said on the Cluster. The caches' mutex is for it.
	quiet map[string]bool
}

// run watches until ctx ends.
func (s *memberSession) run(ctx context.Context, client rest.Interface) {
	pages := make(chan struct{}, pagesAtOnce)
	var wg sync.WaitGroup
	wg.Go(func() {
		watchMember(ctx, s, pages, route.KindIngress, ingresses(client), exposing(s, route.KindIngress, ingressExposure))
	})
	wg.Go(func() {
		watchMember(ctx, s, pages, route.KindService, services(client), exposing(s, route.KindService, serviceExposure))
	})
	wg.Go(func() { watchMember(ctx, s, pages, route.KindSlices, endpointSlices(client), s.endpoints()) })
	wg.Go(func() {
		watchMember(ctx, s, pages, route.KindGateway, gatewayKind(client, "gateways"), exposing(s, route.KindGateway, gatewayExposure))
	})
	wg.Wait()
}

// watchMember watches what the hub put of a kind into a member.
func watchMember[O metav1.Object](ctx context.Context, s *memberSession, pages chan struct{}, kind string, source watch.Source[O], into watch.Sink[O]) {
	r := watch.Resource[O, O]{
		Name: s.name + "/" + kind, Source: source, Labels: managed, Trim: watch.Whole[O], Into: into, Pages: pages, Clock: s.clock,
		Told: func(err error) { s.heard(kind, err) },
	}
	if kind == route.KindGateway {
		r.Absent = gatewayPoll
	}
	watch.Run(ctx, r)
}

// change runs a change of the member's cache, unless the session has ended.
func (s *memberSession) change(do func(*memberCache, *dirty)) {
	s.caches.change(func(d *dirty) {
		if m := s.caches.members[s.name]; m != nil && m.session == s {
			do(m, d)
		}
	})
}

// heard takes in that a kind of objects cannot be read, or with nil that it can be again. What fails is said on the routes
// that lead there, and on the Cluster.
func (s *memberSession) heard(kind string, err error) {
	event := func() {}
	s.change(func(m *memberCache, d *dirty) {
		d.everything = true
		if err == nil {
			delete(m.outdated, kind)
			if !s.quiet[kind] {
				event = func() { s.say(corev1.EventTypeNormal, eventReadable, "its "+plural(kind)+" can be read again") }
			}
			delete(s.quiet, kind)
			return
		}
		said, reason := "its "+plural(kind)+" cannot be read: "+brief(err.Error()), eventUnreadable
		if guard.Stack(err) != nil {
			s.crash()
			said, reason = "what it says of its "+plural(kind)+" makes the hub fail (see its log): "+brief(err.Error()), eventCrashed
		}
		m.outdated[kind] = said
		// The hub may read Gateways only where it puts some: until then that is as it
		// should be, and of interest only to routes that lead to one.
		if s.quiet[kind] = kind == route.KindGateway && !m.listed[kind] && apierrors.IsForbidden(err); !s.quiet[kind] {
			event = func() { s.say(corev1.EventTypeWarning, reason, said) }
		}
	})
	event()
}

// current notes that a kind has been listed in this session.
func (m *memberCache) current(d *dirty, kind string) {
	if m.outdated[kind] == notAgain {
		delete(m.outdated, kind)
		d.everything = true
	}
}

// plural is what a kind's objects are called.
func plural(kind string) string {
	if kind == route.KindIngress {
		return "Ingresses"
	}
	return kind + "s"
}
