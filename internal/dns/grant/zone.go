package grant

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// Refusal is why a route does not have a name.
type Refusal struct {
	// Reason is one of v1alpha1.Reason….
	Reason string
	// Message says what is in the way, and who can grant it.
	Message string
}

// rules are what one zone says of the names in it.
type rules struct {
	zone   *v1alpha1.DNSZone
	domain string // without a final dot
	// shared: GlobalRoutes of other namespaces than the zone's own may have names.
	shared   bool
	selector labels.Selector
	hosts    []string // canonical patterns; none: all names below the domain
	// records are the names of the zone's own records, absolute; true: they have addresses,
	// or lead elsewhere, so that no route can be beside them.
	records map[string]bool
	cuts    []string // names that are delegated
}

// Selects reads a zone's selector of namespaces; nil if it has none. It fails for what
// admission lets nobody write.
func Selects(z *v1alpha1.DNSZone) (labels.Selector, error) {
	a := z.Spec.AllowedRoutes
	if a == nil || a.Namespaces.Selector == nil {
		return nil, nil
	}
	in := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for k, v := range a.Namespaces.Selector.MatchLabels {
		in.MatchLabels[k] = string(v)
	}
	for _, e := range a.Namespaces.Selector.MatchExpressions {
		r := metav1.LabelSelectorRequirement{Key: e.Key, Operator: metav1.LabelSelectorOperator(e.Operator)}
		for _, v := range e.Values {
			r.Values = append(r.Values, string(v))
		}
		in.MatchExpressions = append(in.MatchExpressions, r)
	}
	s, err := metav1.LabelSelectorAsSelector(in)
	if err != nil {
		return nil, fmt.Errorf("spec.allowedRoutes.namespaces.selector: %w", err)
	}
	return s, nil
}

// compile reads a zone. What cannot be read allows nobody.
func compile(z *v1alpha1.DNSZone) *rules {
	r := &rules{zone: z, domain: route.Canonical(z.Spec.Domain), records: map[string]bool{}}
	r.selector, _ = Selects(z)
	if a := z.Spec.AllowedRoutes; a != nil {
		r.shared = a.Namespaces.From == v1alpha1.FromAll || a.Namespaces.From == v1alpha1.FromSelector
		for _, h := range a.Hosts {
			r.hosts = append(r.hosts, route.Canonical(h))
		}
	}
	for i := range z.Spec.Records {
		record := &z.Spec.Records[i]
		name := route.Canonical(record.Name)
		if name == "@" {
			name = r.domain
		} else {
			name += "." + r.domain
		}
		switch record.Type {
		case "A", "AAAA", "CNAME":
			r.records[name] = true
		case "NS", "DS":
			if name != r.domain {
				r.records[name] = true
				r.cuts = append(r.cuts, name)
			}
		default:
			r.records[name] = r.records[name]
		}
	}
	return r
}

// namespace says whether GlobalRoutes of a namespace may have names in the zone at all.
func (r *rules) namespace(name string, labelled labels.Set) bool {
	from := v1alpha1.FromSame
	if a := r.zone.Spec.AllowedRoutes; a != nil && a.Namespaces.From != "" {
		from = a.Namespaces.From
	}
	switch from {
	case v1alpha1.FromAll:
		return true
	case v1alpha1.FromSelector:
		return r.selector != nil && r.selector.Matches(labelled)
	}
	return name != "" && name == r.zone.Spec.Namespace
}

// listed says whether a host is one of the zone's patterns itself.
func (r *rules) listed(host string) bool { return slices.Contains(r.hosts, host) }

// name says whether a GlobalRoute that the zone allows may have a host (without a final
// dot), which is in the zone.
func (r *rules) name(host string) bool {
	switch {
	case r.listed(host):
		return true
	case host == r.domain:
		return false
	case r.shared && strings.HasPrefix(strings.TrimPrefix(host, "*."), "_") || r.shared && strings.Contains(host, "._"):
		return false // _acme-challenge.DOMAIN is a certificate for all of it
	case len(r.hosts) == 0:
		return !r.shared || !strings.HasPrefix(host, "*.")
	}
	return slices.ContainsFunc(r.hosts, func(pattern string) bool {
		base, wild := strings.CutPrefix(pattern, "*.")
		return wild && strings.HasSuffix(host, "."+base)
	})
}

// reserved says what of the zone's own a host is; empty if it is not.
func (r *rules) reserved(host string) string {
	if inTheWay, is := r.records[host]; is && (inTheWay || !r.listed(host)) {
		return "has records of its own in"
	}
	for _, cut := range r.cuts {
		if strings.HasSuffix(host, "."+cut) {
			return "is below " + cut + ", which is delegated by"
		}
	}
	if f := r.zone.Spec.Federation; f != "" && strings.Contains("."+host, "."+f+".svc.") {
		return "is kept for Services by"
	}
	return ""
}

// allow says whether a namespace may have a host; nil: it may. nameServers are the names
// of all zones' name servers.
func (r *rules) allow(namespace string, labelled labels.Set, host string, nameServers map[string]bool) *Refusal {
	zone := r.zone.Name
	switch own := r.reserved(host); {
	case !r.namespace(namespace, labelled):
		return &Refusal{v1alpha1.ReasonNotAllowedByZone, fmt.Sprintf("%s is in DNSZone %s, whose allowedRoutes do not have namespace %s. %s",
			host, zone, namespace, whoGrants(zone))}
	case nameServers[host]:
		return &Refusal{v1alpha1.ReasonNameReserved, host + " is the name of a name server. Try: another name"}
	case own != "":
		return &Refusal{v1alpha1.ReasonNameReserved, fmt.Sprintf("%s %s DNSZone %s. Try: another name", host, own, zone)}
	case !r.name(host):
		return &Refusal{v1alpha1.ReasonNotAllowedByZone, fmt.Sprintf("%s is none of the hosts that DNSZone %s has in its allowedRoutes. %s", host, zone, whoGrants(zone))}
	}
	return nil
}

func whoGrants(zone string) string {
	return "Whoever may update that DNSZone can allow it. Try: ask them for `kubectl edit dnszone " + zone + "`"
}

// nameServers are the names of all zones' name servers.
func nameServers(zones route.Zones) map[string]bool {
	names := map[string]bool{}
	add := func(name string) {
		if name = route.Canonical(name); name != "" {
			names[name] = true
		}
	}
	for domain, z := range zones {
		for _, name := range z.Status.NameServers {
			add(name)
		}
		if z.Spec.Route53 == nil && z.Spec.RFC2136 == nil && (z.Spec.Embedded == nil || len(z.Spec.Embedded.NameServers) == 0) {
			add("ns1." + domain)
		}
		if z.Spec.Embedded != nil {
			for _, name := range z.Spec.Embedded.NameServers {
				add(name)
			}
		}
		for i := range z.Spec.Records {
			if r := &z.Spec.Records[i]; r.Type == "NS" {
				for _, v := range r.Values {
					add(v)
				}
			}
		}
	}
	return names
}

// AutoDomain is the domain of the zone that may be made for a host that is in none: a
// suffix that the administrator lists, the longest that fits, and one label more; below
// the suffix "*" what somebody can register. It is empty if none may be made.
func AutoDomain(host string, suffixes []string) string {
	host = strings.TrimPrefix(route.Canonical(host), "*.")
	best := ""
	for _, s := range suffixes {
		if s = route.Canonical(s); s != "*" && strings.HasSuffix(host, "."+s) && len(s) > len(best) {
			best = s
		}
	}
	switch {
	case best != "":
		below := strings.TrimSuffix(host, "."+best)
		return below[strings.LastIndex(below, ".")+1:] + "." + best
	case slices.Contains(suffixes, "*"):
		return route.Domain(host)
	}
	return ""
}
