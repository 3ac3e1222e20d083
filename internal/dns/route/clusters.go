package route

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/health"
)

// clusterState is a ClusterState with the probes that it needs.
type clusterState struct {
	ClusterState
	checks  []health.Check
	problem string // with what was asked for, that is not done
}

// resolveCluster works out where a route is reached in one cluster, and whether
// it is healthy there; ok is false if the route has nothing to do with the
// cluster.
//
// Either side can take the cluster out of the answers. A side that does not know
// cannot, but what was known to be down stays so until something better is known:
// that the hub has lost sight of a member starts no pods there. What was up may not
// be any more, so that the other side decides.
func resolveCluster(r *v1alpha1.GlobalRoute, c *Cluster, targets []*Target, p *prober, w World) (s clusterState, ok bool) {
	s.Name = c.Name
	before, restarted := stateBefore(r, c.Name, p.name)
	exposure, known, inside := reached(r, c, targets, p, before, w)
	if exposure.Empty() && inside.State == "" {
		return s, false
	}
	s.Hostname, s.Inside = exposure.Hostname, inside
	s.Addresses = exposure.Addresses
	if s.Hostname != "" {
		s.Addresses = append(slices.Clone(s.Addresses), public(w.Flat(s.Hostname), p.zone, w)...)
	}
	slices.SortFunc(s.Addresses, netip.Addr.Compare)
	s.Addresses = slices.Compact(s.Addresses)
	if exposure.Empty() && !known && restarted {
		s.Addresses, s.Hostname = before.addresses, before.hostname
	}
	up := s.probe(r, exposure, p, before, w)
	s.Healthy = (len(s.Addresses) > 0 || s.Hostname != "") &&
		s.Inside.State != v1alpha1.HealthDown && s.Outside.State != v1alpha1.HealthDown
	if s.Healthy && s.Hostname == "" {
		s.Addresses = up
	}
	return s, true
}

// public are those of the addresses of a hostname that the hub would probe. Others are not
// answered with, and not shown: a name is looked up as the hub sees it, not as its author.
func public(all []netip.Addr, host string, w World) (some []netip.Addr) {
	for _, a := range all {
		if why, _ := w.Refuse(a, host); why == "" {
			some = append(some, a)
		}
	}
	return some
}

// reached is where the cluster exposes the route, whether that is known for all
// targets, and what its endpoints say. The zero Health: the route has nothing to do
// with it.
func reached(r *v1alpha1.GlobalRoute, c *Cluster, targets []*Target, p *prober, b before, w World) (all Exposure, known bool, inside Health) {
	known = true
	for _, e := range r.Spec.Endpoints {
		if e.Cluster == c.Name {
			all = endpointExposure(e)
			inside = Health{v1alpha1.HealthUnknown, "no object to look at"}
		}
	}
	for _, t := range targets {
		e, seen := w.Exposure(c.Name, t.Key)
		known = known && seen
		if o, ok := override(t.Annotations); ok {
			e = Exposure{Addresses: o.Addresses, Hostname: o.Hostname, Named: true}
		}
		all.Named = all.Named || e.Named
		all.Addresses = append(all.Addresses, e.Addresses...)
		if e.Hostname != "" {
			all.Hostname = e.Hostname
		}
		all.PortOffset = max(all.PortOffset, e.PortOffset)
		inside = better(inside, insideOf(c, t, p, e, seen, b, w))
	}
	return all, known, inside
}

func endpointExposure(e v1alpha1.RouteEndpoint) Exposure {
	x := Exposure{Hostname: Canonical(e.Hostname), Named: true}
	for _, s := range e.Addresses {
		if a, err := netip.ParseAddr(s); err == nil {
			x.Addresses = append(x.Addresses, a.Unmap().WithZone(""))
		}
	}
	return x
}

// better of two targets' healths: a route is served where one of its targets is.
func better(a, b Health) Health {
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// rank orders what one side says, from worst to best.
func rank(h Health) int {
	return slices.Index([]string{"", v1alpha1.HealthDown, v1alpha1.HealthUnknown, v1alpha1.HealthUp}, h.State)
}

// lastKnown goes between what is said of a member and why it is not of this moment.
const lastKnown = ", when it was looked at last; "

// insideOf is what the member says of a target: whether the Service behind the
// path that is probed has a ready endpoint there.
func insideOf(c *Cluster, t *Target, p *prober, e Exposure, known bool, b before, w World) Health {
	why := outdated(c, t, w)
	h, looked := said(c, t, p, e, known, w)
	if !looked {
		why = cmp.Or(why, "it has not been looked at yet")
		if b.inside.State == v1alpha1.HealthDown {
			h = b.inside
		}
	}
	switch {
	case why == "":
		return h
	case h.State == v1alpha1.HealthDown:
		message, _, _ := strings.Cut(h.Message, lastKnown)
		return Health{v1alpha1.HealthDown, message + lastKnown + why}
	}
	return Health{v1alpha1.HealthUnknown, why + ": its probes decide"}
}

// outdated is why what is known of a member is not of this moment.
func outdated(c *Cluster, t *Target, w World) string {
	if !c.Answers {
		return "the member does not answer the hub"
	}
	return cmp.Or(w.Outdated(c.Name, KindSlices), w.Outdated(c.Name, t.Key.Kind))
}

// said is what the member said when it was looked at last; looked is false if it
// never was, since the hub was started.
func said(c *Cluster, t *Target, p *prober, e Exposure, known bool, w World) (h Health, looked bool) {
	switch {
	case !known:
		return Health{}, false
	case e.Empty():
		return Health{v1alpha1.HealthDown, fmt.Sprintf("%s has no address there", t.Key)}, true
	}
	service := t.backend(p.name, p.path)
	if service == "" {
		return Health{v1alpha1.HealthUnknown, "the Service behind it cannot be told"}, true
	}
	endpoints, known := w.Endpoints(c.Name, t.Key.Namespace, service)
	switch {
	case !known:
		return Health{}, false
	case endpoints.Ready == 0:
		return Health{v1alpha1.HealthDown, fmt.Sprintf("Service %s has no ready endpoint (of %d)", service, endpoints.Total)}, true
	}
	return Health{v1alpha1.HealthUp, fmt.Sprintf("Service %s has %d of %d endpoints ready", service, endpoints.Ready, endpoints.Total)}, true
}

// before is what the route's status says of a cluster: what the hub knew before
// it was started.
type before struct {
	inside    Health
	outside   string
	addresses []netip.Addr
	hostname  string
}

// stateBefore is that of one host: the status has the worst of all hosts, and the
// clusters that were healthy for each.
func stateBefore(r *v1alpha1.GlobalRoute, cluster, host string) (b before, ok bool) {
	i := slices.IndexFunc(r.Status.Clusters, func(c v1alpha1.RouteCluster) bool { return c.Name == cluster })
	if i < 0 {
		return b, false
	}
	c := &r.Status.Clusters[i]
	for _, s := range c.Addresses {
		if a, err := netip.ParseAddr(s); err == nil {
			b.addresses = append(b.addresses, a)
		}
	}
	if len(c.Hostnames) > 0 {
		b.hostname = c.Hostnames[0]
	}
	if slices.ContainsFunc(r.Status.Hosts, func(h v1alpha1.RouteHost) bool {
		return h.Name == host && slices.Contains(h.Clusters, cluster)
	}) {
		return b, true // another host was down there
	}
	// What the status says of endpoints is of the targets that the route had then.
	if c.Inside != nil && r.Status.ObservedGeneration == r.Generation {
		b.inside = Health{c.Inside.State, c.Inside.Message}
	}
	if c.Outside != nil {
		b.outside = c.Outside.State
	}
	return b, true
}

// probe asks what the probes say of the addresses, and returns those that pass
// or are not known to fail.
func (s *clusterState) probe(r *v1alpha1.GlobalRoute, e Exposure, p *prober, b before, w World) []netip.Addr {
	if p.protocol == "" || len(s.Addresses) == 0 {
		s.Outside = Health{v1alpha1.HealthUnknown, "not probed"}
		return s.Addresses
	}
	var good []netip.Addr
	passed, unknown := 0, 0
	var failure, success, waiting, refused string
	for _, a := range s.Addresses {
		why, within := w.Refuse(a, p.zone)
		if why != "" {
			refused = fmt.Sprintf("not probed: %s %s", a, why)
			unknown++
			good = append(good, a)
			continue
		}
		check := p.check(a, e.PortOffset)
		check.Within = within
		if e.Named && check.Text != "" {
			check.Text, s.problem = "", textIsNotLooked
		}
		s.checks = append(s.checks, check)
		result := w.Probe(check)
		if e.Named && result.State != health.Unknown {
			result.Message = strings.ToLower(result.State) // what is said there is not for whoever can name an address
		}
		switch result.State {
		case v1alpha1.HealthUp:
			passed++
			success = result.Message
			good = append(good, a)
		case v1alpha1.HealthDown:
			failure = fmt.Sprintf("%s: %s", check.Address, result.Message)
		default:
			unknown++
			waiting = result.Message
			good = append(good, a)
		}
	}
	all := len(s.Addresses)
	count := ""
	if all > 1 {
		count = fmt.Sprintf("%d of %d addresses pass", passed, all)
	}
	switch {
	case unknown > 0 && enough(r.Spec.MinHealthy, passed+unknown, all) && !enough(r.Spec.MinHealthy, passed, all):
		s.Outside = Health{v1alpha1.HealthUnknown, cmp.Or(refused, waiting, "not probed yet")}
		if b.outside == v1alpha1.HealthDown && refused == "" {
			s.Outside = Health{v1alpha1.HealthDown, "down before the hub was started, and not probed again yet"}
		}
	case enough(r.Spec.MinHealthy, passed, all):
		s.Outside = Health{v1alpha1.HealthUp, lines(count, success)}
	default:
		s.Outside = Health{v1alpha1.HealthDown, lines(count, failure)}
	}
	return good
}

// textIsNotLooked is said where expectedText could tell somebody what is said to the hub
// alone.
const textIsNotLooked = "spec.healthCheck.expectedText counts only at addresses that a cluster has given to a target, " +
	"asked for by a host of this route: it is left out elsewhere"
