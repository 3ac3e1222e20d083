package grant

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// Probing is which private networks the owners of zones let be probed.
type Probing struct {
	zones    route.Zones
	networks map[string][]netip.Prefix // by DNSZone
	said     string                    // all of it, to be compared
}

// ProbingOf reads zones; what is no network, which admission lets nobody write, is none.
func ProbingOf(zones []*v1alpha1.DNSZone) *Probing {
	l := &Probing{zones: route.NewZones(zones), networks: map[string][]netip.Prefix{}}
	var said []string
	for _, z := range l.zones {
		for _, s := range z.Spec.ProbeNetworks {
			if all, err := health.ParseNetworks([]string{s}); err == nil {
				l.networks[z.Name] = append(l.networks[z.Name], all...)
			}
		}
		if len(z.Spec.ProbeNetworks) > 0 {
			said = append(said, fmt.Sprint(z.Spec.Domain, z.Spec.ProbeNetworks))
		}
	}
	slices.Sort(said)
	l.said = strings.Join(said, "\n")
	return l
}

// Same says whether two let the same be probed, as far as there is anything.
func (l *Probing) Same(other *Probing) bool {
	return other != nil && l.said == other.said && (l.said == "" || len(l.zones) == len(other.zones))
}

// Of are the networks that may be probed for a host.
func (l *Probing) Of(host string) []netip.Prefix {
	if l == nil || len(l.networks) == 0 {
		return nil
	}
	if z := l.zones.Of(host); z != nil {
		return l.networks[z.Name]
	}
	return nil
}
