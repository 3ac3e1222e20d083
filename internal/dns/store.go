package dns

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/residence"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// caches is what is known of the hub and its members. It is filled by watches and
// read by the loop; each change marks what it may change.
type caches struct {
	mu     sync.RWMutex
	routes map[string]*v1alpha1.GlobalRoute // by NAMESPACE/NAME
	zones  map[string]*v1alpha1.DNSZone     // by name
	// unread and unreadZones say what of routes and zones cannot be understood, so that what
	// was understood last is in effect; empty: nothing.
	unread, unreadZones map[string]string
	targets             map[route.TargetKey]*route.Target
	unfit               map[route.TargetKey]*route.Target // ask to be global, and cannot be
	clusters            map[string]route.Cluster
	sorted              []route.Cluster // of clusters, by name; nil when it has to be made again
	members             map[string]*memberCache
	secrets             map[string]map[string][]byte // of the hub's own namespace
	// namespaces are the labels of the hub's Namespaces.
	namespaces map[string]labels.Set
	// residencies are those at the hub.
	residencies residence.Residencies

	dirty dirty
}

// dirty is what has to be worked out again.
type dirty struct {
	wake       chan struct{} // holds one
	routes     map[string]bool
	namespaces map[string]bool // all routes in them
	everything bool
	zones      bool // which zones there are, or what they are
	derived    bool // which targets want a route
	services   bool // what Federation v1's names lead to
}

// memberCache is what a member has said, at the last time that it answered.
type memberCache struct {
	// session fills it, and nobody else does; nil while the member does not answer.
	session *memberSession
	// gone says that the Cluster is not there any more: the cache goes with its
	// session, or at once if there is none.
	gone      bool
	exposures map[route.TargetKey]route.Exposure
	slices    map[serviceKey]map[string]route.Endpoints // by EndpointSlice
	listed    map[string]bool                           // by kind: a list has come, in this session or before
	outdated  map[string]string                         // by kind: why what is known is not of this moment
}

type serviceKey struct{ namespace, name string }

func newCaches() *caches {
	return &caches{
		routes: map[string]*v1alpha1.GlobalRoute{},
		unread: map[string]string{},

		unreadZones: map[string]string{},

		zones:    map[string]*v1alpha1.DNSZone{},
		targets:  map[route.TargetKey]*route.Target{},
		unfit:    map[route.TargetKey]*route.Target{},
		clusters: map[string]route.Cluster{},
		members:  map[string]*memberCache{},
		secrets:  map[string]map[string][]byte{},

		namespaces:  map[string]labels.Set{},
		residencies: residence.New(),
		dirty:       newDirty(make(chan struct{}, 1)),
	}
}

func newDirty(wake chan struct{}) dirty {
	return dirty{wake: wake, routes: map[string]bool{}, namespaces: map[string]bool{}}
}

// change runs a change of the caches, which marks what it makes dirty, and wakes
// the loop. A change that panics leaves the caches unlocked.
func (c *caches) change(do func(*dirty)) {
	wake := c.locked(do)
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (c *caches) locked(do func(*dirty)) (wake chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do(&c.dirty)
	c.residencies.Forget()
	return c.dirty.wake
}

// take is what is dirty, which is clean from then on.
func (c *caches) take() dirty {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.dirty
	c.dirty = newDirty(d.wake)
	return d
}

// begin makes the cache of a member that of a session, whose predecessor, if any,
// has nothing to say from then on. What the member said before counts until it has
// said it again, unless it is another cluster of the same name.
func (c *caches) begin(s *memberSession) {
	c.change(func(d *dirty) {
		m := c.members[s.name]
		if m == nil || m.gone {
			m = &memberCache{
				exposures: map[route.TargetKey]route.Exposure{},
				slices:    map[serviceKey]map[string]route.Endpoints{},
				listed:    map[string]bool{},
				outdated:  map[string]string{},
			}
			c.members[s.name] = m
		}
		m.session = s
		for kind := range m.listed {
			m.outdated[kind] = notAgain
		}
		c.sorted = nil
		d.everything = true
	})
}

// end is idempotent. What the member said stays, unless its Cluster has gone.
func (c *caches) end(s *memberSession) {
	c.change(func(d *dirty) {
		m := c.members[s.name]
		if m == nil || m.session != s {
			return
		}
		m.session = nil
		if m.gone {
			delete(c.members, s.name)
		}
		c.sorted = nil
		d.everything = true
	})
}

// left marks a member whose Cluster has gone; the caller holds mu.
func (c *caches) left(name string) {
	m := c.members[name]
	switch {
	case m == nil:
	case m.session == nil:
		delete(c.members, name)
	default:
		m.gone = true
	}
}

// reported has routes looked at again, as something else is to be said of their hosts.
func (c *caches) reported(routes []string) {
	c.change(func(d *dirty) {
		for _, key := range routes {
			d.routes[key] = true
		}
	})
}

// clusterUID is the UID of a Cluster, empty if there is none of that name.
func (c *caches) clusterUID(name string) types.UID {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return types.UID(c.clusters[name].UID)
}

// misread says what of a route, and of a zone, cannot be understood.
func (c *caches) misread(route, zone string) (ofRoute, ofZone string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.unread[route], c.unreadZones[zone]
}

// labels are those of a Namespace at the hub; nobody changes them.
func (c *caches) labels(namespace string) labels.Set {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.namespaces[namespace]
}

// needed says whether there is anything to answer.
func (c *caches) needed() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.routes)+len(c.zones) > 0
}

// Clusters is part of route.World.
func (c *caches) Clusters() []route.Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sorted == nil {
		c.sorted = []route.Cluster{}
		for name, cluster := range c.clusters {
			if m := c.members[name]; m != nil {
				cluster.Answers = m.session != nil
			}
			c.sorted = append(c.sorted, cluster)
		}
		slices.SortFunc(c.sorted, func(a, b route.Cluster) int { return strings.Compare(a.Name, b.Name) })
	}
	return c.sorted
}

// Target is part of route.World.
func (c *caches) Target(key route.TargetKey) (*route.Target, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, ok := c.targets[key]
	return t, ok
}

// exposure is what is known of a target in a member.
func (c *caches) exposure(cluster string, key route.TargetKey) (e route.Exposure, known bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if m := c.members[cluster]; m != nil {
		e, known = m.exposures[key]
	}
	return e, known
}

// Outdated is part of route.World.
func (c *caches) Outdated(cluster, kind string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if m := c.members[cluster]; m != nil {
		return m.outdated[kind]
	}
	return ""
}

// Exposure is part of route.World.
func (c *caches) Exposure(cluster string, key route.TargetKey) (route.Exposure, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m := c.members[cluster]
	if m == nil {
		return route.Exposure{}, false
	}
	e, ok := m.exposures[key]
	return e, ok || m.listed[key.Kind]
}

// Endpoints is part of route.World.
func (c *caches) Endpoints(cluster, namespace, service string) (route.Endpoints, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m := c.members[cluster]
	if m == nil || !m.listed[route.KindSlices] {
		return route.Endpoints{}, false
	}
	var sum route.Endpoints
	for _, e := range m.slices[serviceKey{namespace, service}] {
		sum.Ready += e.Ready
		sum.Total += e.Total
	}
	return sum, true
}

// mostAddresses bounds what one object of a member may have the hub probe and answer
// with, as spec.endpoints of a GlobalRoute is bounded.
const mostAddresses = 64

// exposure is what a load balancer's status says, without what makes no sense: a
// member may say anything.
func exposure(addresses, hostnames []string, annotations map[string]string) route.Exposure {
	e := route.Exposure{PortOffset: portOffset(annotations)}
	for _, s := range addresses {
		if a, err := netip.ParseAddr(s); err == nil && len(e.Addresses) < mostAddresses {
			e.Addresses = append(e.Addresses, a.Unmap().WithZone(""))
		}
	}
	for _, h := range hostnames {
		if h = route.Canonical(h); e.Hostname == "" && route.Hostname(h) {
			e.Hostname = h
		}
	}
	return e
}
