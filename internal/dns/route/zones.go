package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// Zones finds the DNSZone of a host.
type Zones map[string]*v1alpha1.DNSZone

// NewZones indexes zones. Of two with the same domain that of a user counts, not the
// one that the hub has made for want of another, and then the older.
func NewZones(zones []*v1alpha1.DNSZone) Zones {
	index := Zones{}
	for _, z := range zones {
		domain := Canonical(z.Spec.Domain)
		if other := index[domain]; other == nil || precedes(z, other) {
			index[domain] = z
		}
	}
	return index
}

// Of is the DNSZone that a host (with final dot) is in, the one with the longest
// domain; nil if there is none.
func (z Zones) Of(host string) *v1alpha1.DNSZone {
	for name := Canonical(host); name != ""; {
		if zone := z[name]; zone != nil {
			return zone
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return nil
}

// Within says whether a host (with final dot) is a domain (without) or below it.
func Within(host, domain string) bool {
	domain = Canonical(domain) + "."
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// precedes says whether a counts, and not b, which has the same domain.
func precedes(a, b *v1alpha1.DNSZone) bool {
	if derived := a.Labels[v1alpha1.LabelDerivedFrom] != ""; derived != (b.Labels[v1alpha1.LabelDerivedFrom] != "") {
		return !derived
	}
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name)) < 0
}

// Domain is the domain of the zone to make for a host that is in none: what
// somebody can register (the public suffix and a label), or the host itself.
func Domain(host string) string {
	host = strings.TrimPrefix(Canonical(host), "*.")
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}

// Claim is a host of a route.
type Claim struct {
	Host  *steer.Host
	Route *v1alpha1.GlobalRoute
}

// Arbitrate gives each name to one route: the older, or of two of the same age the
// first by namespace and name. It returns the winners by name, and for each
// losing route what it has lost, by name.
func Arbitrate(claims []Claim) (winners []Claim, lost map[*v1alpha1.GlobalRoute]map[string]string) {
	sorted := slices.Clone(claims)
	slices.SortStableFunc(sorted, func(a, b Claim) int {
		return cmp.Or(strings.Compare(a.Host.Name, b.Host.Name), compareAge(a.Route, b.Route))
	})
	lost = map[*v1alpha1.GlobalRoute]map[string]string{}
	for _, c := range sorted {
		if n := len(winners); n > 0 && winners[n-1].Host.Name == c.Host.Name {
			if lost[c.Route] == nil {
				lost[c.Route] = map[string]string{}
			}
			owner := winners[n-1].Route
			lost[c.Route][c.Host.Name] = fmt.Sprintf("%s belongs to GlobalRoute %s/%s, which is older",
				strings.TrimSuffix(c.Host.Name, "."), owner.Namespace, owner.Name)
			continue
		}
		winners = append(winners, c)
	}
	return winners, lost
}

func compareAge(a, b *v1alpha1.GlobalRoute) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}
