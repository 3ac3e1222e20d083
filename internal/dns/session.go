package dns

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/guard"
)

const (
	// unreadableAfter is how long a resource of a member may fail to be read before
	// that is said: one failed request is nothing.
	unreadableAfter = 5 * time.Second
	// notAgain is said of what a member has not said again since it came back.
	notAgain = "it has not been looked at again yet"
)

// Engage begins to watch a member, until ctx ends: the terms are those of
// fleet.Propagator. It does not block.
func (c *Controller) Engage(ctx context.Context, name string, cfg *rest.Config) {
	log := klog.FromContext(ctx).WithValues("cluster", klog.KRef("", name))
	c.attend(klog.NewContext(ctx, log), &memberSession{c: c, caches: c.caches, name: name, cfg: cfg})
}

// connect makes the clients of a session once they are wanted: they are large.
func (s *memberSession) connect() (err error) {
	if s.typed, err = kubernetes.NewForConfig(protobuf(s.cfg)); err != nil {
		return err
	}
	s.gateways, err = newGateways(s.cfg)
	return err
}

// attend runs a session until ctx ends. It does not block.
func (c *Controller) attend(ctx context.Context, s *memberSession) {
	c.caches.begin(s)
	go func() {
		// Its watches have ended before the cache may go, and a session that ends late
		// does not take the cache from the one that came after it.
		defer c.caches.end(s)
		if c.wanted(ctx) {
			if err := s.connect(); err != nil {
				klog.FromContext(ctx).Error(err, "Member cannot be watched for DNS")
			} else {
				s.run(ctx)
			}
		}
		<-ctx.Done()
	}()
}

// protobuf makes a way to a member, or the hub, that decodes faster.
func protobuf(cfg *rest.Config) *rest.Config {
	p := rest.CopyConfig(cfg)
	p.ContentType = runtime.ContentTypeProtobuf
	p.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return p
}

// memberSession is the watches of one member while it answers.
type memberSession struct {
	c        *Controller
	caches   *caches
	name     string
	cfg      *rest.Config
	typed    kubernetes.Interface
	gateways *gateways

	// failing is what cannot be read, by kind. The caches' mutex is for it.
	failing map[string]failure
}

// failure is why a kind of objects cannot be read.
type failure struct {
	since  time.Time
	reason metav1.StatusReason
	said   string    // empty as long as it may pass
	quiet  bool      // it was said on routes only
	at     time.Time // when it was said
}

// run watches until ctx ends.
func (s *memberSession) run(ctx context.Context) {
	var wg sync.WaitGroup
	for kind, watch := range map[string]func(context.Context){
		route.KindIngress: func(ctx context.Context) {
			follow(ctx, ingresses(s.typed), managed, exposing(s, route.KindIngress, ingressExposure))
		},
		route.KindService: func(ctx context.Context) {
			follow(ctx, services(s.typed), managed, exposing(s, route.KindService, serviceExposure))
		},
		route.KindSlices: func(ctx context.Context) {
			follow(ctx, endpointSlices(s.typed), managed, s.endpoints())
		},
		route.KindGateway: func(ctx context.Context) {
			s.gateways.watch(ctx, "gateways", managed, exposing(s, route.KindGateway, gatewayExposure))
		},
	} {
		wg.Go(func() {
			persist(ctx, func() { watch(ctx) }, func(p *panicError) { s.crashed(ctx, kind, p) })
		})
	}
	wg.Wait()
}

// change runs a change of the member's cache, unless the session has ended.
func (s *memberSession) change(do func(*memberCache, *dirty)) {
	s.caches.change(func(d *dirty) {
		if m := s.caches.members[s.name]; m != nil && m.session == s {
			do(m, d)
		}
	})
}

// heard takes in whether a kind of objects could be read just now. What fails for a
// while is said on the routes that lead there, and on the Cluster.
func (s *memberSession) heard(kind string, err error) {
	event := func() {}
	s.change(func(m *memberCache, d *dirty) {
		f, failing := s.failing[kind]
		switch {
		case err == nil:
			event = s.current(m, d, kind)
			return
		case !failing:
			f.since = time.Now()
		case time.Since(f.since) < unreadableAfter,
			f.said != "" && (f.reason == apierrors.ReasonForError(err) || time.Since(f.at) < time.Minute):
			return
		default:
			f.reason, f.at = apierrors.ReasonForError(err), time.Now()
			f.said = "its " + plural(kind) + " cannot be read: " + brief(err.Error())
			m.outdated[kind] = f.said
			d.everything = true
			// The hub may read Gateways only where it puts some: until then that is as it
			// should be, and of interest only to routes that lead to one.
			if f.quiet = kind == route.KindGateway && !m.listed[kind] && apierrors.IsForbidden(err); f.quiet {
				break
			}
			event = func() { s.c.sayCluster(s.name, corev1.EventTypeWarning, eventUnreadable, f.said) }
		}
		if s.failing == nil {
			s.failing = map[string]failure{}
		}
		s.failing[kind] = f
	})
	event()
}

// current notes that what is known of a kind is of this moment, and returns what
// says so, to be called without the lock.
func (s *memberSession) current(m *memberCache, d *dirty, kind string) (event func()) {
	f := s.failing[kind]
	delete(s.failing, kind)
	if m.outdated[kind] != "" {
		delete(m.outdated, kind)
		d.everything = true
	}
	if f.said == "" || f.quiet {
		return func() {}
	}
	return func() {
		s.c.sayCluster(s.name, corev1.EventTypeNormal, eventReadable, "its "+plural(kind)+" can be read again")
	}
}

// crashed says that what a member said of a kind made the hub panic.
func (s *memberSession) crashed(ctx context.Context, kind string, p *panicError) {
	n := s.c.crashes.count(s.name)
	guard.Count(ctx, "dns")
	if telling(n) {
		klog.FromContext(ctx).Error(p, "What a member says made a watch panic; it begins again",
			"kind", kind, "panics", n, "stack", string(p.stack))
	}
	said := "what it says of its " + plural(kind) + " makes the hub fail (see its log): " + brief(p.Error())
	s.change(func(m *memberCache, d *dirty) {
		m.outdated[kind] = said
		d.everything = true
	})
	s.c.sayCluster(s.name, corev1.EventTypeWarning, eventCrashed, said)
}

// plural is what a kind's objects are called.
func plural(kind string) string {
	if kind == route.KindIngress {
		return "Ingresses"
	}
	return kind + "s"
}
