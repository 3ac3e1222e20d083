package propagate

import (
	"testing"

	"github.com/hanse-dev/hanse/internal/guard"
)

// TestAPanicGivesTheLockBack: what makes an error of a panic goes on with the hub.
func TestAPanicGivesTheLockBack(t *testing.T) {
	rig := newRig(configMaps())
	err := guard.Run(func() error {
		rig.engine.locked(func() { panic("rubbish") })
		return nil
	})
	if err == nil || !rig.engine.mu.TryLock() {
		t.Errorf("after %v, the lock is still held", err)
	}
}
