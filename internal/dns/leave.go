package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// leave is which private networks the owners of zones let be probed.
type leave struct {
	zones    route.Zones
	networks map[string][]netip.Prefix // by DNSZone
	said     string                    // all of it, to be compared
}

// leaveOf reads zones; what is no network, which admission lets nobody write, is none.
func leaveOf(zones []*v1alpha1.DNSZone) *leave {
	l := &leave{zones: route.NewZones(zones), networks: map[string][]netip.Prefix{}}
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

// same says whether two let the same be probed, as far as there is anything.
func (l *leave) same(other *leave) bool {
	return other != nil && l.said == other.said && (l.said == "" || len(l.zones) == len(other.zones))
}

// of are the networks that may be probed for a host.
func (l *leave) of(host string) []netip.Prefix {
	if l == nil || len(l.networks) == 0 {
		return nil
	}
	if z := l.zones.Of(host); z != nil {
		return l.networks[z.Name]
	}
	return nil
}

// Refuse is part of route.World.
func (w world) Refuse(a netip.Addr, host string) (why string, within netip.Prefix) {
	networks := w.leave.of(host)
	if why := w.networks.Refuse(a, networks); why != "" {
		return why, netip.Prefix{}
	}
	for _, p := range networks {
		if p.Contains(a) {
			return "", p
		}
	}
	return "", netip.Prefix{}
}

// ownFor is for how long the machine's addresses are taken to be what they were.
const ownFor = 10 * time.Second

// machine is this machine's addresses. Asking for them costs system calls, and every probe
// wants to know.
type machine struct {
	clock clock.PassiveClock
	ask   func() []netip.Addr

	mu    sync.Mutex
	known []netip.Addr
	asked time.Time
}

// addresses are the machine's; nobody changes them.
func (m *machine) addresses() []netip.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.clock.Now(); m.asked.IsZero() || now.Sub(m.asked) >= ownFor {
		m.known, m.asked = m.ask(), now
	}
	return m.known
}
