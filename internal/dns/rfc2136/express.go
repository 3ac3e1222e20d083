package rfc2136

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

// maxName is the length of a name with a final dot (RFC 1035, section 2.3.4).
const maxName = 254

// Express turns hosts into sets: what steer.Choose says now, provided that it says
// the same to everybody, and would if all clusters were up. A single cluster
// known by hostname is a CNAME; several are what they resolve to.
func (z *Zone) Express(hosts []steer.Host) provider.Expressed {
	out := provider.Expressed{Refused: map[string]string{}, Notes: map[string]string{}}
	for i := range hosts {
		sets, note, err := z.host(&hosts[i])
		if err != nil {
			out.Refused[hosts[i].Name] = err.Error()
			continue
		}
		out.Sets = append(out.Sets, sets...)
		if note != "" {
			out.Notes[hosts[i].Name] = note
		}
	}
	return out
}

func (z *Zone) host(h *steer.Host) (sets []provider.Set, note string, err error) {
	if n := len(provider.RegistryName(provider.Key{Name: h.Name, Type: "CNAME"})); n > maxName {
		return nil, "", fmt.Errorf("the name is too long for the record beside it that says whose it is. Try: a name shorter by %d", n-maxName)
	}
	clusters, err := everywhere(h)
	if err != nil || clusters == nil {
		return nil, "", err
	}
	base := provider.Set{Name: h.Name, TTL: h.TTL, Route: h.Owner}
	var addresses []netip.Addr
	var named []string
	for _, i := range clusters {
		addresses = append(addresses, h.Clusters[i].Addresses...)
		if n := h.Clusters[i].Hostname; n != "" {
			named = append(named, strings.ToLower(n))
		}
	}
	slices.Sort(named)
	named = slices.Compact(named)
	switch {
	case len(named) > 0 && h.Name == z.domain:
		return nil, "", errors.New("it is the zone itself, which cannot be a CNAME of a load balancer known by name. Try: a name below it, or endpoints with addresses")
	case len(clusters) == 1 && len(named) == 1:
		base.Type, base.Values = "CNAME", named
		return []provider.Set{base}, "", nil
	case len(named) > 0 && len(addresses) == 0:
		return nil, "", errors.New("load balancers known by name cannot be answered together, and none of them has resolved yet. Try: policy Failover")
	case len(named) > 0:
		note = fmt.Sprintf("addresses of %s are written, since a CNAME cannot be beside other records: while the hub is away they are not renewed", plainList(named))
	}
	v4, v6 := provider.Addresses(addresses)
	for typ, values := range map[string][]string{"A": v4, "AAAA": v6} {
		if s := base; len(values) > 0 {
			s.Type, s.Values = typ, values
			sets = append(sets, s)
		}
	}
	slices.SortFunc(sets, func(a, b provider.Set) int { return strings.Compare(a.Type, b.Type) })
	return sets, note, nil
}

// plainList is names as users write them.
func plainList(names []string) string {
	var plain []string
	for _, n := range names {
		plain = append(plain, strings.TrimSuffix(n, "."))
	}
	return strings.Join(plain, ", ")
}

// everywhere is the clusters that answer, if they are the same for everybody.
func everywhere(h *steer.Host) ([]int, error) {
	now, same := answers(h)
	up := *h
	up.Clusters = slices.Clone(h.Clusters)
	for i := range up.Clusters {
		up.Clusters[i].Up = true
	}
	if _, then := answers(&up); same && then {
		return now, nil
	}
	kind := map[steer.Policy]string{steer.Geography: "where a client is", steer.Latency: "where a client is", steer.Weighted: "weight"}[h.Policy]
	return nil, fmt.Errorf("its answers depend on %s, and a name server that takes updates answers everybody alike. Try: a zone that the hub serves or that is kept in Route 53, or policy Failover or All", kind)
}

// answers is what somebody nowhere is answered, and whether that is what everybody
// is.
func answers(h *steer.Host) (clusters []int, same bool) {
	choices := steer.Choose(h, geo.Place{})
	if len(choices) > 1 {
		return nil, false
	}
	if len(choices) == 1 {
		clusters = choices[0].Clusters
	}
	if h.Policy != steer.Geography && h.Policy != steer.Latency {
		return clusters, true
	}
	tried := map[string]bool{} // rules with the same clusters say the same
	for _, r := range h.Rules {
		key := strings.Join(r.Clusters, ",")
		if tried[key] {
			continue
		}
		tried[key] = true
		if there := steer.Choose(h, within(r.From)); len(there) != len(choices) || len(there) == 1 && !slices.Equal(there[0].Clusters, clusters) {
			return nil, false
		}
	}
	return clusters, true
}

// within is a place with the larger ones that it is in.
func within(p geo.Place) geo.Place {
	if country, _, ok := strings.Cut(p.Subdivision, "-"); ok {
		p.Country = country
	}
	if p.Country != "" {
		p.Continent = geo.ContinentOf(p.Country)
	}
	return p
}
