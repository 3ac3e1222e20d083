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

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/geo"
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
// zones elsewhere, to the statuses. It belongs to the loop.
type publisher struct {
	c        *Controller
	snapshot *zone.Snapshot
	zones    map[string]*zoneState        // by domain with a final dot
	zonesOf  map[string][]string          // the zones that a route had hosts in, last time
	lost     map[string]map[string]string // why routes had lost hosts, last time; nil before the first
	refused  map[string]bool              // DNSZones whose domain another one has, last time
	homeless []string                     // hosts that are in no zone
	trouble  *trouble.Log[string]
}

// zoneState is what has to be remembered of a zone that the hub serves.
type zoneState struct {
	serial uint32
	made   zone.Zone // as it was published last
}

func newPublisher(c *Controller) publisher {
	return publisher{c: c, zones: map[string]*zoneState{}, zonesOf: map[string][]string{}, trouble: &trouble.Log[string]{}}
}

// publish makes the answers those of p.
func (b *publisher) publish(p publication) {
	hosts, verdict := b.assign(p)
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
			b.c.elsewhere.want(z, hosts[z.Name])
			continue
		}
		state := b.state(z)
		made := buildZone(z, state.serial, hosts[z.Name], b.c.listener.addresses())
		if (p.all || touched[z.Name]) && !reflect.DeepEqual(made.Zone, state.made) {
			state.serial = nextSerial(state.serial, z.Status.Serial, time.Now())
			made.SOA.Serial = state.serial
		}
		state.made = made.Zone
		served = append(served, made.Zone)
		t, ok, err := b.c.caches.transferZone(z)
		if ok {
			secondaries = append(secondaries, t)
		}
		if err != nil {
			made.problems = append(made.problems, err.Error())
		}
		reports[z.Name] = zoneReport{problems: made.problems, serial: state.serial, hosts: len(hosts[z.Name]), nameServers: made.nameServers}
	}
	b.c.elsewhere.only(p.zones)
	b.snapshot = zone.Build(b.snapshot, p.db, served)
	b.c.listener.swap(p.ctx, b.snapshot)
	b.transfer(p.ctx, secondaries)
	b.look(p, hosts)
	b.report(p, verdict, reports)
}

// transfer hands the new versions to the zones' secondaries.
func (b *publisher) transfer(ctx context.Context, zones []transfer.Zone) {
	err := b.c.transfers.SetZones(zones)
	for _, t := range zones {
		// To say the same again is no change, but listing thousands of records is work.
		if status, ok := b.c.transfers.Status(t.Name); ok && status.Serial == b.zones[t.Name].serial {
			continue
		}
		err = errors.Join(err, b.c.transfers.Update(t.Name, b.snapshot.Records(t.Name)))
	}
	if err != nil {
		b.trouble.Failed(klog.FromContext(ctx), "transfer", err, "A zone cannot be transferred to its secondaries")
	} else {
		b.trouble.Worked(klog.FromContext(ctx), "transfer", "All zones can be transferred to their secondaries")
	}
}

// look lets people ask what is answered now, and why.
func (b *publisher) look(p publication, hosts map[string][]steer.Host) {
	now := &view{snapshot: b.snapshot, db: p.db, zones: route.NewZones(p.zones), hosts: map[string]steer.Host{}, zoneOf: map[string]string{}, resolved: maps.Clone(p.resolved)}
	for zone, list := range hosts {
		for _, h := range list {
			now.hosts[h.Name], now.zoneOf[h.Name] = h, zone
		}
	}
	b.c.view.Store(now)
}

// verdict is what has become of the hosts of each route.
type verdict struct {
	zone map[string]string            // by host: the DNSZone
	lost map[string]map[string]string // by route, then host: why it is not answered
}

// assign gives each host to one route and each route's hosts to their zones.
func (b *publisher) assign(p publication) (map[string][]steer.Host, verdict) {
	var claims []route.Claim
	for key, res := range p.resolved {
		for i := range res.Hosts {
			claims = append(claims, route.Claim{Host: &res.Hosts[i], Route: p.routes[key]})
		}
	}
	winners, lost := route.Arbitrate(claims)
	v := verdict{zone: map[string]string{}, lost: map[string]map[string]string{}}
	for r, hosts := range lost {
		v.lost[keyOf(r)] = hosts
	}
	index := route.NewZones(p.zones)
	hosts := map[string][]steer.Host{}
	b.homeless = nil
	for _, w := range winners {
		z := index.Of(w.Host.Name)
		if z == nil {
			b.homeless = append(b.homeless, w.Host.Name)
			continue
		}
		v.zone[w.Host.Name] = z.Name
		hosts[z.Name] = append(hosts[z.Name], *w.Host)
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

// state is kept by domain, and for the life of the process: a zone that is deleted
// and made again goes on with its serial.
func (b *publisher) state(z *v1alpha1.DNSZone) *zoneState {
	domain := dotted(z.Spec.Domain)
	s := b.zones[domain]
	if s == nil {
		s = &zoneState{serial: nextSerial(0, z.Status.Serial, time.Now())}
		b.zones[domain] = s
	}
	return s
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
