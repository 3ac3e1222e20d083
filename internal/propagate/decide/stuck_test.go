package decide

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/internal/capacity"
)

// stuckIn has n pods of web be unschedulable in a cluster since a time, and the World look at that at another.
func (h *hours) stuckIn(cluster string, n int, since, at time.Time) {
	node := &corev1.Node{}
	node.Name = "full"
	pods := podsOf("web", n)
	for _, p := range pods {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, LastTransitionTime: metav1.NewTime(since)}}
	}
	h.now = at
	h.do(func() {
		h.w.room.Measured(cluster, capacity.NewView([]*corev1.Node{node}, pods), h.w.now)
		h.w.moveStuck()
	})
}

func TestWhatAClusterCannotRunIsMovedAfterAWhile(t *testing.T) {
	h := newHours(deployments())
	h.deployment("web", 10, 9, nil)
	since := h.now
	h.stuckIn("aws", 2, since, since.Add(5*time.Minute-time.Second))
	h.want(t, "before 5 minutes are over", "aws=3,azure=3,google=3")
	h.stuckIn("aws", 2, since, since.Add(5*time.Minute))
	h.want(t, "after 5 minutes", "aws=1,azure=4,google=4")
	h.record()
	h.want(t, "recorded", "aws=1,azure=4,google=4")

	// Nothing is given back for a while.
	h.scaled(12)
	h.record()
	if got := h.get("web").Decision.Division(); got["aws"] != 1 || got["azure"]+got["google"] != 11 {
		t.Errorf("with more to place: %v", got)
	}
	h.stuckIn("aws", 0, since, since.Add(time.Hour))
	h.scaled(15)
	if got := h.get("web").Decision.Division(); got["aws"] <= 1 {
		t.Errorf("after an hour: %v", got)
	}
}

// scaled sets the replicas of web as kubectl scale does.
func (h *hours) scaled(n int64) {
	obj := h.get("web").Object.DeepCopy()
	obj.Object["spec"] = map[string]any{"replicas": n}
	h.write(h.gr, obj)
}

func TestWhatFitsNowhereElseWaitsWhereItIs(t *testing.T) {
	h := newHours(deployments())
	h.deployment("web", 10, 9, nil)
	h.show(func(all map[string]*Cluster) { all["azure"].Cordoned, all["google"].Cordoned = true, true })
	since := h.now
	h.stuckIn("aws", 2, since, since.Add(time.Hour))
	h.want(t, "with no other to take it", "aws=3,azure=3,google=3")
	h.show(nil)
	h.want(t, "when others can", "aws=1,azure=4,google=4")
}

func TestAPolicyMayKeepWhatIsStuck(t *testing.T) {
	h := newHours(deployments())
	patient := *h.w.policies.None
	patient.Failover.UnschedulableAfter = 0
	h.w.policies.None = &patient
	h.deployment("web", 10, 9, nil)
	h.stuckIn("aws", 2, h.now, h.now.Add(time.Hour))
	h.want(t, "with unschedulableAfter 0", "aws=3,azure=3,google=3")
}
