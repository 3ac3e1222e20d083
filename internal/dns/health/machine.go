package health

import (
	"net/netip"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// ownFor is for how long the machine's addresses are taken to be what they were.
const ownFor = 10 * time.Second

// Machine is this machine's addresses. Asking for them costs system calls, and every probe
// wants to know.
type Machine struct {
	Clock clock.PassiveClock
	// Ask asks for them.
	Ask func() []netip.Addr

	mu    sync.Mutex
	known []netip.Addr
	asked time.Time
}

// Addresses are the machine's; nobody changes them.
func (m *Machine) Addresses() []netip.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.Clock.Now(); m.asked.IsZero() || now.Sub(m.asked) >= ownFor {
		m.known, m.asked = m.Ask(), now
	}
	return m.known
}
