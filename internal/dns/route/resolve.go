package route

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// Defaults of a GlobalRoute.
const (
	// DefaultTTL lets a change reach clients within half a minute, and costs a
	// resolver two queries a minute.
	DefaultTTL      = 30
	defaultInterval = 10 * time.Second
	defaultTimeout  = 4 * time.Second
	defaultDown     = 3
	defaultUp       = 2
	defaultStatus   = "200-399"
	// maxHosts is how many hosts a route has, wherever they come from, as spec.hosts is bounded.
	maxHosts = 64
	// maxAddresses is how many addresses a target's annotation has.
	maxAddresses = 64
)

// Resolved is what has become of a GlobalRoute.
type Resolved struct {
	// Key is NAMESPACE/NAME.
	Key string
	// Hosts are what is to be answered, a Host for each name.
	Hosts []steer.Host
	// Clusters are those that the route could lead to, by name.
	Clusters []ClusterState
	// Checks are the probes that it needs, and ByHost those of each host, with final dot.
	Checks []health.Check
	ByHost map[string][]health.Check
	// Policy that is in force.
	Policy string
	// Unknown names what the spec takes for a cluster and is none; empty if there is
	// nothing of that kind. Such names are passed over: a cluster that leaves must
	// not take the route with it.
	Unknown string
	// Problems make sense of nothing that is answered: each says in a sentence
	// what is wrong, and what is done instead.
	Problems []string
	// Unread is why the route's present spec is not the one that is in effect; empty: it is.
	Unread string
	// Refused is why nothing is answered; empty if something is.
	Refused string
}

// ClusterState is one cluster of a Resolved.
type ClusterState struct {
	Name      string
	Addresses []netip.Addr
	Hostname  string
	Healthy   bool
	Inside    Health
	Outside   Health
}

// Health is what one side says.
type Health struct {
	State   string // one of v1alpha1.Health…
	Message string
}

// Resolve works out a route. nearest is what Nearest says of the world's clusters.
func Resolve(r *v1alpha1.GlobalRoute, w World, nearest []steer.Rule) *Resolved {
	res := &Resolved{Key: r.Namespace + "/" + r.Name, Policy: policyOf(&r.Spec.Routing), ByHost: map[string][]health.Check{}}
	targets, missing := res.targets(r, w)
	hosts := res.hosts(r, targets)
	if len(hosts) == 0 {
		res.Refused = cmp.Or(missing, "neither the route nor its targets have a hostname. Try: spec.hosts, "+
			"or the annotation external-dns.kubernetes.io/hostname on the target")
		return res
	}
	clusters := w.Clusters()
	res.Unknown = unknownClusters(&r.Spec, clusters)
	if missing != "" {
		res.Problems = append(res.Problems, missing)
	}
	template := steered(r, targets, res, clusters, nearest)
	for _, host := range hosts {
		res.add(r, hosts, host, template, targets, clusters, w)
	}
	return res
}

// problem notes one, once.
func (res *Resolved) problem(p string) {
	if p != "" && !slices.Contains(res.Problems, p) {
		res.Problems = append(res.Problems, p)
	}
}

// add works out one host: each has backends of its own, and probes where these differ.
func (res *Resolved) add(r *v1alpha1.GlobalRoute, hosts []string, name string, h steer.Host, targets []*Target, clusters []Cluster, w World) {
	p := newProber(r, targets, name)
	p.share(r, hosts, targets)
	res.problem(p.own(r, hosts))
	h.Name, h.Check = name+".", p.forProviders()
	residence := w.Residence(r.Namespace)
	if residence != nil {
		h.Serving = residence.Serving
	}
	for i := range clusters {
		if why := residence.keepsOut(clusters[i].Name); why != "" {
			res.namedOutside(r, clusters[i].Name, why)
			continue // neither answered with nor probed
		}
		s, ok := resolveCluster(r, &clusters[i], targets, p, w)
		if !ok {
			continue
		}
		res.problem(s.problem)
		for _, check := range s.checks {
			res.ByHost[h.Name] = append(res.ByHost[h.Name], check)
			if !slices.Contains(res.Checks, check) {
				res.Checks = append(res.Checks, check)
			}
		}
		hostname := ""
		if s.Hostname != "" {
			hostname = s.Hostname + "."
		}
		h.Clusters = append(h.Clusters, steer.Cluster{
			Name: s.Name, Addresses: s.Addresses, Hostname: hostname, Up: s.Healthy,
			Weight: uint32(max(0, r.Spec.Routing.Weights[s.Name])),
		})
		res.merge(name, s.ClusterState)
	}
	res.Hosts = append(res.Hosts, h)
}

// namedOutside notes that a route names addresses in a cluster that a Residency keeps it out of.
func (res *Resolved) namedOutside(r *v1alpha1.GlobalRoute, cluster, why string) {
	if slices.ContainsFunc(r.Spec.Endpoints, func(e v1alpha1.RouteEndpoint) bool { return e.Cluster == cluster }) {
		res.problem(fmt.Sprintf("spec.endpoints names cluster %s, which is not answered with: %s", cluster, why))
	}
}

// merge makes one state of a cluster of those that its hosts have: it is healthy
// if it is for all of them, and else says for which it is not.
func (res *Resolved) merge(host string, s ClusterState) {
	i := slices.IndexFunc(res.Clusters, func(c ClusterState) bool { return c.Name == s.Name })
	if i < 0 {
		res.Clusters = append(res.Clusters, s)
		return
	}
	c := &res.Clusters[i]
	c.Healthy = c.Healthy && s.Healthy
	c.Inside = worse(c.Inside, s.Inside, host)
	c.Outside = worse(c.Outside, s.Outside, host)
	for _, a := range s.Addresses {
		if !slices.Contains(c.Addresses, a) {
			c.Addresses = append(c.Addresses, a)
		}
	}
}

// worse is what one side says where it is at its worst.
func worse(known, of Health, host string) Health {
	if rank(of) >= rank(known) {
		return known
	}
	return Health{of.State, host + ": " + of.Message}
}

// targets are the objects that the route leads to; missing says which are not
// there.
func (res *Resolved) targets(r *v1alpha1.GlobalRoute, w World) (found []*Target, missing string) {
	for _, t := range r.Spec.Targets {
		key := TargetKey{t.Kind, r.Namespace, t.Name}
		if target, ok := w.Target(key); ok {
			found = append(found, target)
		} else if missing == "" {
			what := ""
			if t.Kind == KindService {
				what = " of type LoadBalancer"
			}
			missing = fmt.Sprintf("there is no %s %s%s in namespace %s", t.Kind, t.Name, what, r.Namespace)
		}
	}
	return found, missing
}

// hosts are the names of a route, each once, in the order they are written.
func (res *Resolved) hosts(r *v1alpha1.GlobalRoute, targets []*Target) []string {
	names := r.Spec.Hosts
	if len(names) == 0 {
		for _, t := range targets {
			names = append(names, t.hostnames()...)
		}
	}
	var hosts []string
	for _, name := range names {
		switch name = Canonical(name); {
		case name == "" || slices.Contains(hosts, name):
		case len(hosts) >= maxHosts:
			res.problem(fmt.Sprintf("there are more than %d hosts: the others are skipped. Try: another GlobalRoute for them", maxHosts))
		case !Hostname(name): // of a target: the spec's are validated
			res.Problems = append(res.Problems, fmt.Sprintf("%.100q is not a hostname: it is skipped", name))
		default:
			hosts = append(hosts, name)
		}
	}
	return hosts
}

// unknownClusters says which name in the spec is no cluster's, the first of them.
func unknownClusters(s *v1alpha1.GlobalRouteSpec, clusters []Cluster) string {
	known := func(name string) bool {
		return slices.ContainsFunc(clusters, func(c Cluster) bool { return c.Name == name })
	}
	check := func(field string, names []string) string {
		for _, name := range names {
			if !known(name) {
				return fmt.Sprintf("%s names cluster %s, which does not exist: it is skipped. Try: kubectl get clusters", field, name)
			}
		}
		return ""
	}
	for _, e := range s.Endpoints {
		if wrong := check("spec.endpoints", []string{e.Cluster}); wrong != "" {
			return wrong
		}
	}
	for i, g := range s.Routing.Geography {
		if wrong := check(fmt.Sprintf("spec.routing.geography[%d]", i), g.Clusters); wrong != "" {
			return wrong
		}
	}
	for i, l := range s.Routing.Latency {
		if wrong := check(fmt.Sprintf("spec.routing.latency[%d]", i), sortedKeys(l.Milliseconds)); wrong != "" {
			return wrong
		}
	}
	for _, f := range []struct {
		field string
		names []string
	}{
		{"spec.routing.order", s.Routing.Order},
		{"spec.routing.default", s.Routing.Default},
		{"spec.routing.weights", sortedKeys(s.Routing.Weights)},
	} {
		if wrong := check(f.field, f.names); wrong != "" {
			return wrong
		}
	}
	return ""
}

// steered is what all hosts of a route have in common.
func steered(r *v1alpha1.GlobalRoute, targets []*Target, res *Resolved, all []Cluster, nearest []steer.Rule) steer.Host {
	h := steer.Host{
		TTL:         ttl(r, targets),
		Owner:       res.Key,
		Order:       r.Spec.Routing.Order,
		Default:     r.Spec.Routing.Default,
		WhenAllDown: whenAllDown(r.Spec.WhenAllDown),
	}
	switch res.Policy {
	case v1alpha1.RoutingWeighted:
		h.Policy = steer.Weighted
	case v1alpha1.RoutingFailover:
		h.Policy = steer.Failover
	case v1alpha1.RoutingAll:
		h.Policy = steer.All
	case v1alpha1.RoutingLatency:
		h.Policy = steer.Latency
		h.Rules = rules(&r.Spec.Routing, all, nearest)
	default:
		h.Rules = rules(&r.Spec.Routing, all, nearest)
	}
	return h
}

// ttl is the route's, or that of a target's annotation, or the default.
func ttl(r *v1alpha1.GlobalRoute, targets []*Target) uint32 {
	if r.Spec.TTL > 0 {
		return uint32(r.Spec.TTL)
	}
	for _, t := range targets {
		if s := annotation(t.Annotations, externalDNS("ttl")...); s != "" {
			if n, ok := parseTTL(s); ok {
				return uint32(n)
			}
		}
	}
	return DefaultTTL
}

func whenAllDown(s string) steer.AllDown {
	switch s {
	case v1alpha1.AllDownDefault:
		return steer.AnswerDefault
	case v1alpha1.AllDownNothing:
		return steer.AnswerNothing
	}
	return steer.AnswerAll
}

// enough says whether so many healthy addresses are.
func enough(want *intstr.IntOrString, healthy, all int) bool {
	least := 1
	if want != nil {
		if n, err := intstr.GetScaledValueFromIntOrPercent(want, all, true); err == nil {
			least = max(1, min(n, all))
		}
	}
	return healthy >= least
}

// lines joins what is worth saying.
func lines(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return strings.Join(parts, "; ")
}
