package dns

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/flatten"
	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/guard"
)

// passRest is the pause between two passes: what changes at the same moment, as it
// does when a cluster goes, is worked out together.
const passRest = 20 * time.Millisecond

// loop works out what has changed. All of it but what mu guards belongs to the
// one goroutine of run.
type loop struct {
	caches    *caches
	crashes   *crashes
	clock     clock.WithTicker
	prober    *health.Prober
	flat      *flatten.Resolver
	listener  *listener
	statuses  interface{ Forget(namespace, name string) }
	announcer *announcer
	// wanted is closed when there is something to answer.
	wanted chan<- struct{}
	asked  bool // it is closed
	// derive has the derived routes and zones kept; it does not block.
	derive func(needs)

	world     world
	resolved  map[string]*route.Resolved
	federated map[string]*federation // by zone
	nearest   []steer.Rule
	nearestOf []route.Cluster
	publisher publisher
	// view is what the server answers from, for explanations.
	view atomic.Pointer[view]

	db       atomic.Pointer[geo.DB]
	reloaded atomic.Bool

	mu       sync.Mutex
	routesOf map[health.Check][]string
	fedCheck map[health.Check]bool
}

// federation is the names of Federation v1 in one zone.
type federation struct {
	hosts  []steer.Host
	checks map[string][]health.Check // by namespace
}

// start fills in what a loop begins with.
func (l *loop) start(networks *health.Networks) {
	l.world = world{caches: l.caches, prober: l.prober, flat: l.flat, networks: networks}
	l.resolved, l.federated = map[string]*route.Resolved{}, map[string]*federation{}
	l.routesOf, l.fedCheck = map[health.Check][]string{}, map[health.Check]bool{}
	l.publisher.zones, l.publisher.zonesOf = map[string]*zoneState{}, map[string][]string{}
}

// followDatabase keeps the database in use that of path, until ctx ends: the one in
// the binary if there is no path, or nothing usable at it yet.
func (l *loop) followDatabase(ctx context.Context, path string) {
	l.database(geo.Embedded())
	if path != "" {
		geo.Follow(ctx, l.clock, path, l.database)
	}
}

// database takes a geographic database over; one that cannot be read leaves the
// last in use.
func (l *loop) database(db *geo.DB, err error) {
	l.listener.complain(err)
	if err != nil {
		klog.Background().Error(err, "The geographic database cannot be used")
	}
	if db != nil {
		l.db.Store(db)
		l.reloaded.Store(true)
	}
	l.caches.change(func(d *dirty) { d.zones = true })
}

// run makes passes until ctx ends.
func (l *loop) run(ctx context.Context) {
	free := l.clock.NewTimer(bookRest)
	defer free.Stop()
	for {
		select {
		case <-l.caches.dirty.wake:
		case <-free.C():
			free.Reset(l.free())
			continue
		case <-ctx.Done():
			return
		}
		if !l.asked && l.caches.needed() {
			l.asked = true
			close(l.wanted)
		}
		if l.db.Load() == nil {
			l.derive(needs{}) // what it makes may be the first that is wanted
			continue          // the database wakes again when it is there
		}
		err := guard.Run(func() error {
			l.pass(ctx, l.caches.take())
			return nil
		})
		if err != nil && !l.crashed(ctx, err) {
			return
		}
		free.Reset(l.free())
		if !pause(ctx, l.clock, passRest) {
			return
		}
	}
}

// bookRest is how long no name has to become free for it not to be looked at.
const bookRest = time.Minute

// free has names given again of which one has become free, and returns when to look
// again.
func (l *loop) free() time.Duration {
	next := l.publisher.book.Next()
	if next.IsZero() {
		return bookRest
	}
	if left := next.Sub(l.clock.Now()); left > 0 {
		return min(left, bookRest)
	}
	l.caches.change(func(d *dirty) { d.zones = true })
	return bookRest
}

// crashed says that a pass has panicked, and has everything worked out again after a
// while; what was answered before is answered until then. False: ctx has ended.
func (l *loop) crashed(ctx context.Context, err error) bool {
	n := l.crashes.count("")
	guard.Count(ctx, "dns")
	if telling(n) {
		klog.FromContext(ctx).Error(err, "Answers could not be worked out; those of before stay for now", "panics", n, "stack", string(guard.Stack(err)))
	}
	if !pause(ctx, l.clock, min(crashRest<<min(n-1, 6), crashRestMost)) {
		return false
	}
	l.caches.change(func(d *dirty) { d.everything, d.zones, d.derived, d.services = true, true, true, true })
	return true
}

// pass works out what is dirty and publishes what came of it.
func (l *loop) pass(ctx context.Context, d dirty) {
	clusters := l.world.Clusters()
	if d.zones || l.world.probing == nil {
		if probing := grant.ProbingOf(l.caches.zoneList()); !probing.Same(l.world.probing) {
			l.world.probing = probing
			d.everything = true
		}
	}
	if !slices.EqualFunc(clusters, l.nearestOf, samePlace) {
		l.nearest, l.nearestOf = route.Nearest(clusters), clusters
		d.everything = true
	}
	routes, zones := l.caches.objects()
	changed := l.resolve(routes, d)
	federated := false
	if d.services || d.everything || d.zones {
		federated = l.federate(zones)
	}
	reloaded := l.reloaded.Swap(false)
	if len(changed) == 0 && !federated && !d.zones && !reloaded {
		if d.derived {
			l.derive(l.publisher.needs(zones))
		}
		return
	}
	l.view.Store(l.publisher.publish(publication{
		ctx: ctx, db: l.db.Load(), routes: routes, zones: zones, resolved: l.resolved, federated: l.federated,
		changed: changed, all: d.zones || reloaded,
	}))
	l.probe()
	l.derive(l.publisher.needs(zones))
}

// samePlace says whether two clusters are as near to everybody.
func samePlace(a, b route.Cluster) bool {
	return a.Name == b.Name && a.Provider == b.Provider && a.Region == b.Region && a.Continent == b.Continent
}

// resolve works out the routes that are dirty, and returns those of which
// anything has changed, or that have gone.
func (l *loop) resolve(routes map[string]*v1alpha1.GlobalRoute, d dirty) map[string]bool {
	changed := map[string]bool{}
	for key, r := range routes {
		before := l.resolved[key]
		namespace, _, _ := strings.Cut(key, "/")
		if before != nil && !d.everything && !d.routes[key] && !d.namespaces[namespace] {
			continue
		}
		now := route.Resolve(r, l.world, l.nearest)
		now.Problems = append(now.Problems, l.derivedProblems(r)...)
		now.Unread, _ = l.caches.misread(key, "")
		if before != nil && reflect.DeepEqual(before, now) {
			continue
		}
		l.announcer.announce(r, before, now)
		l.resolved[key] = now
		changed[key] = true
	}
	for key := range l.resolved {
		if routes[key] == nil {
			delete(l.resolved, key)
			l.statuses.Forget(split(key))
			changed[key] = true
		}
	}
	// A changed spec has to be seen in status.observedGeneration, whatever came of it.
	for key := range d.routes {
		if routes[key] != nil {
			changed[key] = true
		}
	}
	return changed
}

// derivedProblems are what made no sense in the annotations that a route was made
// from.
func (l *loop) derivedProblems(r *v1alpha1.GlobalRoute) []string {
	if r.Labels[v1alpha1.LabelDerivedFrom] == "" || len(r.Spec.Targets) != 1 {
		return nil
	}
	t, ok := l.world.Target(route.TargetKey{Kind: r.Spec.Targets[0].Kind, Namespace: r.Namespace, Name: r.Spec.Targets[0].Name})
	if !ok {
		return nil
	}
	_, problems := route.Derive(t, l.world.Clusters())
	return problems
}

// federate works out the names of Federation v1, and says whether any has changed.
func (l *loop) federate(zones []*v1alpha1.DNSZone) bool {
	changed := false
	now := map[string]*federation{}
	for _, z := range zones {
		if z.Spec.Federation == "" {
			continue
		}
		f := &federation{checks: map[string][]health.Check{}}
		names := map[string]int{} // by namespace
		for _, t := range l.caches.services() {
			hosts, checks := route.Federated(t, z.Spec.Federation, route.Canonical(z.Spec.Domain), l.world)
			namespace := t.Key.Namespace
			if names[namespace] += len(hosts); l.publisher.terms.Hosts > 0 && names[namespace] > l.publisher.terms.Hosts {
				continue // as many as a namespace may have names of its own
			}
			f.hosts = append(f.hosts, hosts...)
			f.checks[namespace] = append(f.checks[namespace], checks...)
		}
		now[z.Name] = f
		before := l.federated[z.Name]
		changed = changed || before == nil || !reflect.DeepEqual(before, f)
	}
	changed = changed || len(now) != len(l.federated)
	l.federated = now
	return changed
}

// probe tells the prober, and who looks up hostnames, what they are wanted for: for hosts
// that somebody has, and not for those that they only ask for.
func (l *loop) probe() {
	users, fed := map[health.Check][]string{}, map[health.Check]bool{}
	checks := map[string][]health.Check{} // by namespace
	hostnames := map[string]map[string]bool{}
	for key, r := range l.resolved {
		namespace, _ := split(key)
		some := false
		for i := range r.Hosts {
			if !l.publisher.has(key, r.Hosts[i].Name) {
				continue
			}
			some = true
			for _, c := range r.ByHost[r.Hosts[i].Name] {
				if users[c] == nil {
					checks[namespace] = append(checks[namespace], c)
				}
				if !slices.Contains(users[c], key) {
					users[c] = append(users[c], key)
				}
			}
		}
		for _, s := range r.Clusters {
			if some && s.Hostname != "" && len(hostnames[namespace]) < mostHostnames {
				if hostnames[namespace] == nil {
					hostnames[namespace] = map[string]bool{}
				}
				hostnames[namespace][s.Hostname] = true
			}
		}
	}
	for _, f := range l.federated {
		for namespace, all := range f.checks {
			for _, c := range all {
				if !fed[c] && users[c] == nil {
					checks[namespace] = append(checks[namespace], c)
				}
				fed[c] = true
			}
		}
	}
	var wanted []string
	for _, names := range hostnames {
		wanted = slices.AppendSeq(wanted, maps.Keys(names))
	}
	slices.Sort(wanted)
	l.mu.Lock()
	l.routesOf, l.fedCheck = users, fed
	l.mu.Unlock()
	l.prober.Set(checks)
	l.flat.Want(slices.Compact(wanted))
}

// mostHostnames is how many names are looked up for one namespace.
const mostHostnames = 256

// users are the routes that an address is probed for.
func (l *loop) users(c health.Check) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.routesOf[c]
}

func (l *loop) servesFederation(c health.Check) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fedCheck[c]
}

// objects are the routes and zones of this moment; nobody changes them.
func (c *caches) objects() (map[string]*v1alpha1.GlobalRoute, []*v1alpha1.DNSZone) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	routes := make(map[string]*v1alpha1.GlobalRoute, len(c.routes))
	for k, r := range c.routes {
		routes[k] = r
	}
	zones := make([]*v1alpha1.DNSZone, 0, len(c.zones))
	for _, z := range c.zones {
		zones = append(zones, z)
	}
	slices.SortFunc(zones, func(a, b *v1alpha1.DNSZone) int { return strings.Compare(a.Name, b.Name) })
	return routes, zones
}

// zoneList is the zones of this moment, by name.
func (c *caches) zoneList() []*v1alpha1.DNSZone {
	_, zones := c.objects()
	return zones
}

// services are the Services of type LoadBalancer at the hub.
func (c *caches) services() []*route.Target {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all []*route.Target
	for key, t := range c.targets {
		if key.Kind == route.KindService {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *route.Target) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return all
}
