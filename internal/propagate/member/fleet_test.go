package member

import (
	"fmt"
	"runtime"
	"testing"
)

// TestASessionCostsLittle: members in which nothing is placed cost a few goroutines and little memory each.
func TestASessionCostsLittle(t *testing.T) {
	const sessions, mostGoroutines, mostBytes = 100, 4, 60 << 10
	m, h := newMemberAPI(t), newHub()
	m.join(t, h, "first")
	goroutines, before := runtime.NumGoroutine(), heapNow()
	for i := range sessions {
		member := m.join(t, h, fmt.Sprint("aws", i))
		waitFor(t, "it to be read", member.heardAll)
	}
	m.server.Client().CloseIdleConnections()
	waitOr(t, "goroutines to end", func() bool { return (runtime.NumGoroutine()-goroutines)/sessions <= mostGoroutines }, func() string {
		return fmt.Sprint(float64(runtime.NumGoroutine()-goroutines)/sessions, " a session")
	})
	bytes := int64(heapNow()-before) / sessions
	t.Logf("%.1f goroutines and %d bytes a session", float64(runtime.NumGoroutine()-goroutines)/sessions, bytes)
	if bytes > mostBytes {
		t.Errorf("%d bytes a session", bytes)
	}
}
