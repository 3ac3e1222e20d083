package dns

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/external"
	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/dns/residence"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/dns/transfer"
	"github.com/hanse-dev/hanse/internal/dns/zone"
	"github.com/hanse-dev/hanse/internal/trouble"
)

// publication is everything that answers come from, at one moment.
type publication struct {
	ctx       context.Context
	db        *geo.DB
	routes    map[string]*v1alpha1.GlobalRoute
	zones     []*v1alpha1.DNSZone
	resolved  map[string]*route.Resolved
	federated map[string]*federation
	changed   map[string]bool // routes
	all       bool            // the zones themselves have changed
}

// publisher hands publications on: to the hub's name server, to those who keep
// external zones, to the statuses. It belongs to the loop.
type publisher struct {
	caches    *caches
	clock     clock.PassiveClock
	announcer *announcer
	listener  *listener
	transfers *transfer.Transfers
	external  externalZones
	statuses  statusWriter
	off       bool // the hub was told not to listen
	terms     grant.Terms
	book      *grant.Book
	// keep has pages of the book written; it does not block.
	keep func(pages map[string][]byte)

	snapshot   *zone.Snapshot
	zones      map[string]*zoneState               // by domain with a final dot
	serials    uint32                              // the highest serial of zones that have gone
	named      map[string]bool                     // DNSZones, last time
	zonesOf    map[string][]string                 // the zones that a route had hosts in, last time
	zoneOfHost map[string]string                   // the DNSZone of each host that is answered
	lost       map[string]map[string]grant.Refusal // why routes had lost hosts, last time; nil before the first
	refused    map[string]bool                     // DNSZones whose domain another one has, last time
	homeless   []grant.Homeless                    // zones that hosts need which are in none
	trouble    trouble.Log[string]
}

// zoneState is what has to be remembered of a zone that the hub serves.
type zoneState struct {
	serial uint32
	made   zone.Zone // as it was published last
}

// externalZones are the zones that others serve.
type externalZones interface {
	Want(z *v1alpha1.DNSZone, hosts []steer.Host)
	Only(zones []*v1alpha1.DNSZone)
	Host(zone, host string) (external.Report, bool)
}

// statusWriter has statuses written.
type statusWriter interface {
	Route(*v1alpha1.GlobalRoute, v1alpha1.GlobalRouteStatus)
	Zone(*v1alpha1.DNSZone, v1alpha1.DNSZoneStatus)
	ForgetZone(name string)
}

// needs is what routes and zones the hub may have to make by itself.
func (b *publisher) needs(zones []*v1alpha1.DNSZone) needs {
	n := needs{zones: zones, homeless: b.homeless, inUse: map[string]bool{}}
	for _, used := range b.zonesOf {
		for _, z := range used {
			n.inUse[z] = true
		}
	}
	return n
}

// publish makes the answers those of p, and returns what is answered then.
func (b *publisher) publish(p publication) *view {
	hosts, verdict := b.assign(p)
	b.zoneOfHost = verdict.zone
	touched := b.touched(p, verdict)
	var served []zone.Zone
	var secondaries []transfer.Zone
	reports := map[string]zoneReport{}
	index := route.NewZones(p.zones)
	for _, z := range p.zones {
		if index.Of(dotted(z.Spec.Domain)) != z {
			reports[z.Name] = zoneReport{refused: "another DNSZone, which is older, has this domain"}
			continue
		}
		if z.Spec.Route53 != nil || z.Spec.RFC2136 != nil {
			b.external.Want(z, residence.ForAll(hosts[z.Name]))
			continue
		}
		state := b.state(z)
		made := buildZone(z, state.serial, hosts[z.Name], b.listener.addresses())
		if (p.all || touched[z.Name]) && !reflect.DeepEqual(made.Zone, state.made) {
			state.serial = nextSerial(state.serial, z.Status.Serial, b.clock.Now())
			made.SOA.Serial = state.serial
		}
		state.made = made.Zone
		served = append(served, made.Zone)
		t, ok, err := b.caches.transferZone(z)
		if ok {
			secondaries = append(secondaries, t)
		}
		if err != nil {
			made.problems = append(made.problems, err.Error())
		}
		if _, why := b.caches.misread("", z.Name); why != "" {
			made.problems = append(made.problems, why)
		}
		reports[z.Name] = zoneReport{problems: made.problems, serial: state.serial, hosts: len(hosts[z.Name]), nameServers: made.nameServers}
	}
	b.external.Only(p.zones)
	b.forget(p.zones, index)
	b.snapshot = zone.Build(b.snapshot, p.db, served)
	b.listener.swap(p.ctx, b.snapshot)
	b.transfer(p.ctx, secondaries)
	b.report(p, verdict, reports)
	return b.look(p, hosts)
}

// transfer hands the new versions to the zones' secondaries.
func (b *publisher) transfer(ctx context.Context, zones []transfer.Zone) {
	err := b.transfers.SetZones(zones)
	for _, t := range zones {
		// To say the same again is no change, but listing thousands of records is work.
		if status, ok := b.transfers.Status(t.Name); ok && status.Serial == b.zones[t.Name].serial {
			continue
		}
		err = errors.Join(err, b.transfers.Update(t.Name, b.snapshot.Records(t.Name)))
	}
	if err != nil {
		b.trouble.Failed(klog.FromContext(ctx), "transfer", err, "A zone cannot be transferred to its secondaries")
	} else {
		b.trouble.Worked(klog.FromContext(ctx), "transfer", "All zones can be transferred to their secondaries")
	}
}

// look lets people ask what is answered now, and why.
func (b *publisher) look(p publication, hosts map[string][]steer.Host) *view {
	now := &view{snapshot: b.snapshot, db: p.db, zones: route.NewZones(p.zones), hosts: map[string]steer.Host{}, zoneOf: map[string]string{}, resolved: maps.Clone(p.resolved)}
	for zone, list := range hosts {
		for _, h := range list {
			now.hosts[h.Name], now.zoneOf[h.Name] = h, zone
		}
	}
	return now
}

// verdict is what has become of the hosts of each route.
type verdict struct {
	zone map[string]string                   // by host: the DNSZone
	lost map[string]map[string]grant.Refusal // by route, then host: why it is not answered
}

// assign gives each host to one route, and each route's hosts to their zones.
func (b *publisher) assign(p publication) (map[string][]steer.Host, verdict) {
	var asks []grant.Ask
	for key, res := range p.resolved {
		for i := range res.Hosts {
			asks = append(asks, grant.Ask{Host: res.Hosts[i].Name, Route: p.routes[key]})
		}
	}
	// Which route comes first when all else is equal must not depend on the order of a map.
	slices.SortFunc(asks, func(a, c grant.Ask) int { return strings.Compare(a.Host, c.Host) })
	decided := grant.Decide(grant.Question{
		Asks: asks, Zones: route.NewZones(p.zones), Labels: b.caches.labels, Terms: b.terms, Now: b.clock.Now(),
	}, b.book)
	b.note()
	b.homeless = decided.Homeless
	v := verdict{zone: map[string]string{}, lost: decided.Refused}
	hosts := map[string][]steer.Host{}
	for _, a := range asks {
		if decided.Routes[a.Host] != a.Route {
			continue
		}
		z := decided.Zones[a.Host].Name
		v.zone[a.Host] = z
		res := p.resolved[keyOf(a.Route)]
		at := slices.IndexFunc(res.Hosts, func(h steer.Host) bool { return h.Name == a.Host })
		hosts[z] = append(hosts[z], res.Hosts[at])
	}
	for name, f := range p.federated {
		for _, h := range f.hosts {
			if v.zone[h.Name] == "" {
				hosts[name] = append(hosts[name], h)
			}
		}
	}
	return hosts, v
}

// has says whether a route (NAMESPACE/NAME) had a host the last time that answers were published.
func (b *publisher) has(key, host string) bool {
	return b.zoneOfHost[host] != "" && b.lost[key][host].Reason == ""
}

// note has what has changed in the book written.
func (b *publisher) note() {
	pages := map[string][]byte{}
	for _, namespace := range b.book.Changed() {
		pages[namespace] = b.book.Page(namespace)
	}
	b.keep(pages)
}

// touched are the zones in which an answer may have changed.
func (b *publisher) touched(p publication, v verdict) map[string]bool {
	touched := map[string]bool{}
	now := map[string][]string{}
	for key, res := range p.resolved {
		for i := range res.Hosts {
			if z := v.zone[res.Hosts[i].Name]; z != "" && !slices.Contains(now[key], z) {
				now[key] = append(now[key], z)
			}
		}
	}
	for key := range p.changed {
		for _, z := range slices.Concat(b.zonesOf[key], now[key]) {
			touched[z] = true
		}
	}
	for name := range p.federated {
		touched[name] = true
	}
	b.zonesOf = now
	return touched
}

// state is kept by domain. A zone that is deleted and made again goes on above all
// serials of zones that have gone, whichever they were: one number is remembered of them.
func (b *publisher) state(z *v1alpha1.DNSZone) *zoneState {
	domain := dotted(z.Spec.Domain)
	s := b.zones[domain]
	if s == nil {
		s = &zoneState{serial: max(nextSerial(0, z.Status.Serial, b.clock.Now()), b.serials+1)}
		b.zones[domain] = s
	}
	return s
}

// forget drops what is remembered of zones that there are no more.
func (b *publisher) forget(zones []*v1alpha1.DNSZone, index route.Zones) {
	for domain, s := range b.zones {
		if index[route.Canonical(domain)] == nil {
			b.serials = max(b.serials, s.serial)
			delete(b.zones, domain)
		}
	}
	named := make(map[string]bool, len(zones))
	for _, z := range zones {
		named[z.Name] = true
	}
	for name := range b.named {
		if !named[name] {
			b.statuses.ForgetZone(name)
		}
	}
	b.named = named
}

// serialReserve is how many serials a hub may have used since it last noted one in
// a zone's status: a second of passes, with room to spare.
const serialReserve = 1000

// nextSerial is a serial above all that have been used: the time in seconds,
// unless there were more changes than seconds. noted is what the status says,
// which a hub that was killed may have been ahead of.
func nextSerial(last uint32, noted int64, now time.Time) uint32 {
	next := uint32(now.Unix())
	if last != 0 {
		return max(last+1, next)
	}
	if noted == 0 {
		return next
	}
	return max(next, uint32(noted)+serialReserve)
}

// listenAddresses are the addresses that listeners are reached at: of the wildcard
// address those of the machine's interfaces.
func listenAddresses(listeners []string, interfaces func() []netip.Addr) []netip.Addr {
	var all []netip.Addr
	for _, l := range listeners {
		ap, err := netip.ParseAddrPort(l)
		if err != nil {
			continue
		}
		if ap.Addr().IsUnspecified() {
			all = append(all, interfaces()...)
		} else {
			all = append(all, ap.Addr().Unmap().WithZone(""))
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// dotted is a domain name with a final dot.
func dotted(s string) string { return strings.TrimSuffix(route.Canonical(s), ".") + "." }
