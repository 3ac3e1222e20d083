// Package transfer lets other name servers follow Hanse's zones: it tells them of
// a new version (NOTIFY, RFC 1996) and gives them the zone (AXFR, RFC 5936) or
// what has changed in it (IXFR, RFC 1995), to those alone who may have it, by
// their address or by a TSIG key (RFC 8945).
package transfer

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"
)

// Zone is who may have a zone.
type Zone struct {
	Name string
	// Secondaries are told of new versions. Without a Key, requests from their
	// addresses are the ones that are answered.
	Secondaries []netip.AddrPort
	// Key, if any, is required of every request, wherever it comes from, and
	// signs what is sent.
	Key *Key
}

// Transfers is the zones, their last versions, and who has been told of them. All
// its methods may be called at the same time.
type Transfers struct {
	clock clock.Clock

	send sender
	keys keyring

	mu      sync.RWMutex
	zones   map[string]*zone
	changed chan struct{} // holds one; Run looks at everything whenever it gets one
}

// zone is guarded by Transfers.mu; what the pointers lead to never changes.
type zone struct {
	Zone     // as configured; the zero Zone until SetZones names it
	versions *history
	notified map[netip.AddrPort]Secondary
}

// Status is how far a zone's secondaries are.
type Status struct {
	Serial      uint32
	Secondaries []Secondary // in the order of Zone.Secondaries
}

// Secondary is how far one of them is.
type Secondary struct {
	Address netip.AddrPort
	// Acknowledged is the serial that it has confirmed the NOTIFY of, at the time
	// At; none yet if At is zero.
	Acknowledged uint32
	At           time.Time
	// Error is why the last NOTIFY was not confirmed; empty: it was, or none was
	// sent.
	Error string
}

// New returns Transfers without zones.
func New(c clock.Clock) *Transfers {
	t := &Transfers{
		clock:   c,
		zones:   map[string]*zone{},
		changed: make(chan struct{}, 1),
	}
	t.send = t.notify
	return t
}

// SetZones says which zones there are, and who may have them. Versions of a zone
// that is no longer there are forgotten; those of the others are kept. A zone
// whose key cannot be used is given to nobody, and the error says which; all the
// others are in force nevertheless.
func (t *Transfers) SetZones(zones []Zone) error {
	errs := t.keys.set(zones)
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.zones
	t.zones = make(map[string]*zone, len(zones))
	for _, z := range zones {
		z.Name = dns.CanonicalName(z.Name)
		state := &zone{Zone: z, notified: map[netip.AddrPort]Secondary{}}
		if before, ok := old[z.Name]; ok {
			state.versions = before.versions
			for _, addr := range z.Secondaries {
				state.notified[addr] = before.notified[addr]
			}
		}
		t.zones[z.Name] = state
	}
	t.wake()
	return errs
}

// Update makes records, the SOA first, a zone's current version, and has its
// secondaries told. The records must not be changed afterwards. Differences from
// the version before are kept for IXFR, if the serial has risen (RFC 1982); if it
// has not, all that was before is forgotten. To say the same again is no change.
// The order of Update and SetZones does not matter.
func (t *Transfers) Update(name string, records []dns.RR) error {
	name = dns.CanonicalName(name)
	t.mu.RLock()
	var before *history
	if z, ok := t.zones[name]; ok {
		before = z.versions
	}
	t.mu.RUnlock()

	// Comparing thousands of records takes milliseconds: not under the lock.
	after, err := before.next(records)
	if err != nil {
		return fmt.Errorf("new version of zone %s: %w", name, err)
	}
	if after == before {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	z, ok := t.zones[name]
	if !ok {
		z = &zone{notified: map[netip.AddrPort]Secondary{}}
		t.zones[name] = z
	}
	z.versions = after
	t.wake()
	return nil
}

// Status says how far the secondaries of a zone are; false if there is no version
// of it.
func (t *Transfers) Status(name string) (Status, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	z, ok := t.zones[dns.CanonicalName(name)]
	if !ok || z.versions == nil {
		return Status{}, false
	}
	s := Status{Serial: z.versions.soa.Serial}
	for _, addr := range z.Secondaries {
		n := z.notified[addr]
		n.Address = addr
		s.Secondaries = append(s.Secondaries, n)
	}
	return s, true
}

// TSIG signs and verifies with the keys of the zones. The server that calls
// ServeDNS must use it for its messages.
func (t *Transfers) TSIG() dns.TsigProvider { return &t.keys }

// wake makes Run look at everything; it does not block.
func (t *Transfers) wake() {
	select {
	case t.changed <- struct{}{}:
	default: // it will look anyway
	}
}

var errNotSOA = errors.New("its first record is not a SOA")
