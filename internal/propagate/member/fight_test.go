package member

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/apitest"
)

// TestACorrectionThatFailsIsNoFight: a member that refuses writes for a while does not fight, and what drifted there is not left for
// longer and longer because of it.
func TestACorrectionThatFailsIsNoFight(t *testing.T) {
	m, h := newMemberAPI(t), newHub()
	key := h.put(configMaps(), configMap("settings"))
	member := m.join(t, h, "aws")
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	var refused atomic.Int32
	m.setFault(func(r *http.Request) (int, string) {
		if r.Method == http.MethodPatch && refused.Add(1) <= freeCorrections+1 {
			return 503, apitest.Status(503, "ServiceUnavailable")
		}
		return 0, ""
	})
	m.change(settings, set("drift", "data", "key"))
	waitFor(t, "it to be put back", func() bool { return m.get(settings)["data"].(map[string]any)["key"] == "value" })
	waitFor(t, "that to be noted", func() bool {
		rec := member.get(key)
		return rec.asLeft() && rec.trouble != nil && rec.trouble.corrections > 0
	})
	if n := member.get(key).trouble.corrections; n != 1 {
		t.Errorf("%d corrections are counted, want 1", n)
	}
}
