package propagate

import (
	"testing"
	"time"

	"github.com/hanse-dev/hanse/internal/capacity"
)

func stuckIn(cluster string, n int32, since time.Time) map[string]map[string]capacity.Unschedulable {
	return map[string]map[string]capacity.Unschedulable{cluster: {"deployments.apps/shop/web": {Count: n, Since: since}}}
}

func TestWhatAClusterCannotRunIsMovedAfterAWhile(t *testing.T) {
	h := newHours(deployments())
	h.deployment("web", 10, 9, nil)
	since := h.now
	h.engine.moveStuck(stuckIn("aws", 2, since), since.Add(5*time.Minute-time.Second))
	h.want(t, "before 5 minutes are over", "aws=3,azure=3,google=3")
	h.engine.moveStuck(stuckIn("aws", 2, since), since.Add(5*time.Minute))
	h.want(t, "after 5 minutes", "aws=1,azure=4,google=4")
	h.record()
	h.want(t, "recorded", "aws=1,azure=4,google=4")

	// Nothing is given back for a while.
	h.scaled(12)
	h.record()
	if got := h.get("web").decision.Division(); got["aws"] != 1 || got["azure"]+got["google"] != 11 {
		t.Errorf("with more to place: %v", got)
	}
	h.engine.moveStuck(nil, since.Add(time.Hour))
	h.scaled(15)
	if got := h.get("web").decision.Division(); got["aws"] <= 1 {
		t.Errorf("after an hour: %v", got)
	}
}

// scaled sets the replicas of web as kubectl scale does.
func (h *hours) scaled(n int64) {
	obj := h.get("web").obj.DeepCopy()
	obj.Object["spec"] = map[string]any{"replicas": n}
	h.sink.apply(obj)
}

func TestWhatFitsNowhereElseWaitsWhereItIs(t *testing.T) {
	h := newHours(deployments())
	h.deployment("web", 10, 9, nil)
	h.show(func(all map[string]*cluster) { all["azure"].cordoned, all["google"].cordoned = true, true })
	since := h.now
	h.engine.moveStuck(stuckIn("aws", 2, since), since.Add(time.Hour))
	h.want(t, "with no other to take it", "aws=3,azure=3,google=3")
	h.show(nil)
	h.want(t, "when others can", "aws=1,azure=4,google=4")
}

func TestAPolicyMayKeepWhatIsStuck(t *testing.T) {
	h := newHours(deployments())
	patient := *h.engine.policies.none
	patient.Failover.UnschedulableAfter = 0
	h.engine.policies.none = &patient
	h.deployment("web", 10, 9, nil)
	h.engine.moveStuck(stuckIn("aws", 2, h.now), h.now.Add(time.Hour))
	h.want(t, "with unschedulableAfter 0", "aws=3,azure=3,google=3")
}
