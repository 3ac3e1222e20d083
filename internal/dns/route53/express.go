package route53

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// Limits of names and set identifiers.
const (
	maxName = 254 // with a final dot
	maxID   = 128
)

// answer is a set before it is one: who gets it, and which clusters are in it.
type answer struct {
	routing  provider.Routing
	id       string // after the owner
	clusters []int
}

// Express turns hosts into sets. What is written is what steer.Choose says now:
//
//   - Geography and Latency are geographic sets; without any rule, a simple one.
//   - Weighted is weighted sets.
//   - Failover is a primary, the cluster that answers now, and a secondary, the
//     next in order, if Route 53 probes; otherwise a simple set.
//   - All is one multivalue set for each address if Route 53 probes; otherwise a
//     simple set.
//
// Clusters known by hostname are CNAMEs if all answers of the host are single such
// clusters. Where they are beside clusters known by address, which a name with a
// CNAME cannot have, what they resolve to is written, and a note says so.
func (z *Zone) Express(hosts []steer.Host) provider.Expressed {
	out := provider.Expressed{Refused: map[string]string{}, Notes: map[string]string{}}
	cache := map[string][]answer{}
	for i := range hosts {
		e := &expression{zone: z, host: &hosts[i], cache: cache}
		sets, err := e.express()
		if err != nil {
			out.Refused[hosts[i].Name] = err.Error()
			continue
		}
		out.Sets = append(out.Sets, sets...)
		if len(e.notes) > 0 {
			slices.Sort(e.notes)
			out.Notes[hosts[i].Name] = strings.Join(slices.Compact(e.notes), "; ")
		}
	}
	return out
}

// expression is one host on its way.
type expression struct {
	zone  *Zone
	host  *steer.Host
	cache map[string][]answer // of geographic, by what it depends on
	notes []string
}

func (e *expression) note(format string, args ...any) {
	e.notes = append(e.notes, fmt.Sprintf(format, args...))
}

// probes says whether Route 53 shall probe the host.
func (e *expression) probes() bool { return e.zone.healthChecks && e.host.Check != nil }

func (e *expression) express() ([]provider.Set, error) {
	if n := provider.RegistryName(provider.Key{Name: e.host.Name, Type: "CNAME", ID: "x"}); len(n) > maxName {
		return nil, fmt.Errorf("the name is too long for the record beside it that says whose it is. Try: a name shorter by %d", len(n)-maxName)
	}
	answers, err := e.answers()
	if err != nil {
		return nil, err
	}
	named, err := e.byName(answers)
	if err != nil {
		return nil, err
	}
	if named {
		return e.cnames(answers), nil
	}
	if e.flatten() {
		if answers, err = e.answers(); err != nil { // without clusters that have no address
			return nil, err
		}
	}
	var sets []provider.Set
	for _, typ := range []string{"A", "AAAA"} {
		sets = append(sets, e.addresses(typ, answers)...)
	}
	return sets, nil
}

// answers by policy.
func (e *expression) answers() ([]answer, error) {
	choices := steer.Choose(e.host, geo.Place{})
	switch e.host.Policy {
	case steer.Geography, steer.Latency:
		key := e.dependsOn()
		if known, ok := e.cache[key]; ok {
			return known, nil
		}
		all, err := e.geographic()
		if err == nil {
			e.cache[key] = all
		}
		return all, err
	case steer.Weighted:
		return e.weighted(choices)
	case steer.Failover:
		return e.failover(choices), nil
	}
	if len(choices) == 0 {
		return nil, nil
	}
	return []answer{{clusters: choices[0].Clusters}}, nil
}

// dependsOn is what steer.Choose depends on. Hosts that share their Rules share
// the work of turning them into sets.
func (e *expression) dependsOn() string {
	h := e.host
	key := fmt.Appendf(nil, "%p %d %d %d %q", h.Rules, len(h.Rules), h.Policy, h.WhenAllDown, h.Default)
	for i := range h.Clusters {
		c := &h.Clusters[i]
		key = fmt.Appendf(key, " %q %t %t", c.Name, c.Up, c.Reachable())
	}
	return string(key)
}

// weighted divides the weights by what they have in common, for Route 53's end at
// 255.
func (e *expression) weighted(choices []steer.Choice) ([]answer, error) {
	var common, most uint32
	for _, c := range choices {
		common, most = divisor(common, c.Weight), max(most, c.Weight)
	}
	var all []answer
	for _, c := range choices {
		if most/common > 255 {
			return nil, fmt.Errorf("the ratio of its weights needs numbers up to %d, and Route 53 has 0 to 255. Try: rounder weights", most/common)
		}
		all = append(all, answer{provider.Routing{Kind: provider.Weighted, Weight: int64(c.Weight / common)}, e.names(c.Clusters), c.Clusters})
	}
	return all, nil
}

// divisor is the greatest common one.
func divisor(a, b uint32) uint32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// names of clusters, joined.
func (e *expression) names(clusters []int) string {
	var names []string
	for _, i := range clusters {
		names = append(names, e.host.Clusters[i].Name)
	}
	return strings.Join(names, "+")
}

// failover is the cluster that answers, and the one that would be next.
func (e *expression) failover(choices []steer.Choice) []answer {
	if len(choices) == 0 {
		return nil
	}
	now := choices[0].Clusters
	next, further := e.next(now)
	if !e.probes() || next < 0 {
		if len(e.host.Clusters) > 1 {
			e.note("Route 53 does not probe it: it stays with %s while the hub is away", e.names(now))
		}
		return []answer{{clusters: now}}
	}
	if further > 0 {
		e.note("Route 53 knows a primary and a secondary: while the hub is away it goes on to %s only", e.host.Clusters[next].Name)
	}
	return []answer{
		{provider.Routing{Kind: provider.Failover, Primary: true}, "primary", now},
		{provider.Routing{Kind: provider.Failover}, "secondary", []int{next}},
	}
}

// next is the cluster that follows those that answer: in order, those that are up
// first. -1: none; further counts those that come after it.
func (e *expression) next(now []int) (next, further int) {
	next = -1
	for _, up := range []bool{true, false} {
		for _, name := range e.host.Order {
			i := slices.IndexFunc(e.host.Clusters, func(c steer.Cluster) bool { return c.Name == name })
			switch {
			case i < 0 || slices.Contains(now, i) || e.host.Clusters[i].Up != up || !e.host.Clusters[i].Reachable():
			case next < 0:
				next = i
			default:
				further++
			}
		}
	}
	return next, further
}

// byName says whether the answers are CNAMEs.
func (e *expression) byName(answers []answer) (bool, error) {
	any, all, addresses := false, true, false
	for _, a := range answers {
		for _, i := range a.clusters {
			c := &e.host.Clusters[i]
			any, all = any || c.Hostname != "", all && c.Hostname != "" && len(a.clusters) == 1
			addresses = addresses || len(c.Addresses) > 0
		}
	}
	switch {
	case !any:
		return false, nil
	case e.host.Name == e.zone.domain:
		return false, errors.New("it is the zone itself, which cannot be a CNAME of a load balancer known by name. Try: a name below it, or endpoints with addresses")
	case all:
		return true, nil
	case !addresses:
		return false, errors.New("load balancers known by name cannot be answered together, and none of them has resolved yet. Try: routing.default with one cluster")
	}
	return false, nil
}

// flatten takes the addresses of clusters in place of their hostnames, and says
// whether there were any.
func (e *expression) flatten() bool {
	if !slices.ContainsFunc(e.host.Clusters, func(c steer.Cluster) bool { return c.Hostname != "" }) {
		return false
	}
	h := *e.host
	h.Clusters = slices.Clone(h.Clusters)
	for i := range h.Clusters {
		c := &h.Clusters[i]
		switch {
		case c.Hostname == "":
		case len(c.Addresses) == 0:
			e.note("%s is left out until %s resolves", c.Name, strings.TrimSuffix(c.Hostname, "."))
		default:
			e.note("addresses of %s are written, since a CNAME cannot be beside other records: while the hub is away they are not renewed", strings.TrimSuffix(c.Hostname, "."))
		}
		c.Hostname = ""
	}
	e.host = &h
	return true
}

// set is what all sets of the host have in common.
func (e *expression) set(typ string, a answer) provider.Set {
	s := provider.Set{Name: e.host.Name, Type: typ, TTL: e.host.TTL, Routing: a.routing, Route: e.host.Owner}
	if a.id != "" {
		s.ID = e.zone.owner + "/" + a.id
		if len(s.ID) > maxID {
			s.ID = s.ID[:maxID-17] + "-" + short(a.id)
		}
	}
	return s
}

// cnames are the sets of answers that are clusters known by name.
func (e *expression) cnames(answers []answer) []provider.Set {
	var sets []provider.Set
	for _, a := range answers {
		s := e.set("CNAME", a)
		s.Values = []string{strings.ToLower(e.host.Clusters[a.clusters[0]].Hostname)}
		if e.probes() && len(answers) > 1 {
			s.Health = e.probeName(s.Values[0])
		}
		sets = append(sets, s)
	}
	return sets
}

// addresses are the sets of one type.
func (e *expression) addresses(typ string, answers []answer) []provider.Set {
	var sets []provider.Set
	for _, a := range answers {
		v4, v6 := provider.Addresses(e.all(a.clusters))
		s := e.set(typ, a)
		s.Values = v4
		if typ == "AAAA" {
			s.Values = v6
		}
		switch {
		case len(s.Values) == 0:
		case e.host.Policy == steer.All && e.probes() && len(s.Values) > 1:
			sets = append(sets, e.multi(s)...)
		default:
			sets = append(sets, s)
		}
	}
	if e.probes() && len(sets) > 1 {
		for i := range sets {
			sets[i].Health = e.probe(sets[i].Values)
		}
	}
	return sets
}

// all are the addresses of clusters.
func (e *expression) all(clusters []int) []netip.Addr {
	var all []netip.Addr
	for _, i := range clusters {
		all = append(all, e.host.Clusters[i].Addresses...)
	}
	return all
}

// multi divides a set into one for each of its values.
func (e *expression) multi(s provider.Set) []provider.Set {
	if len(s.Values) > 8 {
		e.note("Route 53 answers with 8 of its %d addresses at a time", len(s.Values))
	}
	var sets []provider.Set
	for _, v := range s.Values {
		one := e.set(s.Type, answer{provider.Routing{Kind: provider.Multi}, v, nil})
		one.Values = []string{v}
		sets = append(sets, one)
	}
	return sets
}
