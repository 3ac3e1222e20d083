package health

import (
	"net/netip"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// TestMachine: its addresses are asked for now and then, not for every probe.
func TestMachine(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Unix(1e9, 0))
	asked := 0
	m := &Machine{Clock: now, Ask: func() []netip.Addr {
		asked++
		return []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(asked)})}
	}}
	for i, want := range []int{1, 1, 2} {
		if got := m.Addresses(); len(got) != 1 || int(got[0].As4()[3]) != want || asked != want {
			t.Errorf("%d: %v, asked %d times, want %d", i, got, asked, want)
		}
		now.SetTime(now.Now().Add(ownFor/2 + time.Second))
	}
}
