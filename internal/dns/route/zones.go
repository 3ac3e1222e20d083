package route

import (
	"cmp"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/hanse-dev/hanse/api/v1alpha1"
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
