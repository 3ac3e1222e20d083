package decide

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// hours is a rig with three clusters, whose members are looked at once a second.
type hours struct {
	*rig
	down map[string]bool
}

func newHours(gr schema.GroupResource) *hours {
	h := &hours{rig: newRigWith(gr, Options{FailoverAfter: 30 * time.Second}), down: map[string]bool{}}
	h.serves(template.Budgets())
	h.show(nil)
	return h
}

// show has the hub see the clusters as they are, changed as asked for.
func (h *hours) show(change func(map[string]*Cluster)) {
	all := map[string]*Cluster{}
	for _, name := range []string{"aws", "azure", "google"} {
		all[name] = ready(name, 0)
		if h.down[name] {
			all[name] = away(name, 0, 1000)
		}
	}
	if change != nil {
		change(all)
	}
	h.do(func() { h.w.setClusters(all) })
}

// pass lets seconds go by, and has what is decided recorded as the hub would.
func (h *hours) pass(seconds int) {
	for range seconds {
		h.now = h.now.Add(time.Second)
		for _, name := range h.w.names {
			h.apply(Looked{Cluster: name, Began: h.now, Reached: !h.down[name]})
		}
		h.record()
	}
}

func (h *hours) want(t *testing.T, when, want string) {
	t.Helper()
	if got := h.get("web").Decision.String(); got != want {
		t.Errorf("%s: %s, want %s", when, got, want)
	}
}

func TestALostClusterIsMadeUpFor(t *testing.T) {
	h := newHours(deployments())
	h.deployment("web", 10, 9, nil)
	h.pass(1)
	h.down["aws"] = true
	h.show(nil)
	h.pass(30)
	h.want(t, "29 s after the first failure", "aws=3,azure=3,google=3")
	h.pass(1)
	got := h.get("web").Decision.Division()
	if got["aws"] != 0 || got["azure"]+got["google"] != 9 || got["azure"] < 4 || got["google"] < 4 {
		t.Errorf("30 s after: %v", got)
	}
	if c := h.w.Standing(h.now, "aws").FailedOver; c == nil || c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonLost {
		t.Errorf("condition: %+v", c)
	}
	after := h.get("web").Decision.String()
	delete(h.down, "aws")
	h.show(nil)
	h.pass(100)
	h.want(t, "when it is back", after)
	if c := h.w.Standing(h.now, "aws").FailedOver; c != nil {
		t.Errorf("condition when it is back: %+v", c)
	}
}

func TestABlipAndTheLossOfMostChangeNothing(t *testing.T) {
	h := newHours(deployments())
	h.deployment("web", 10, 9, nil)
	h.pass(1)
	for range 10 {
		h.down["aws"] = true
		h.show(nil)
		h.pass(29)
		delete(h.down, "aws")
		h.show(nil)
		h.pass(1)
	}
	h.want(t, "after blips", "aws=3,azure=3,google=3")
	h.down["aws"], h.down["google"] = true, true
	h.show(nil)
	h.pass(500)
	h.want(t, "with two of three away", "aws=3,azure=3,google=3")
	if c := h.w.Standing(h.now, "aws").FailedOver; c == nil || c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonCutOff {
		t.Errorf("condition: %+v", c)
	}
}

func TestAHubThatStartsCountsFromThen(t *testing.T) {
	h := newHours(deployments())
	h.down["aws"] = true
	h.show(nil) // away since long before the hub started
	h.deployment("web", 10, 9, nil)
	h.pass(30)
	h.want(t, "29 s after the first look", "aws=3,azure=3,google=3")
}

func TestJobsOfALostClusterAreNotMadeUpFor(t *testing.T) {
	h := newHours(schema.GroupResource{Resource: "pods"})
	h.deployment("web", 10, 1, nil)
	where := h.get("web").Decision.String()
	h.pass(1)
	for _, s := range h.get("web").Decision.Shares {
		h.down[s.Cluster] = s.Replicas > 0
	}
	h.show(nil)
	h.pass(100)
	h.want(t, "a bare pod, whose cluster is lost", where)
}

func TestACordonedClusterKeepsWhatItHas(t *testing.T) {
	h := newHours(deployments())
	h.deployment("web", 10, 6, nil)
	cordon := func(all map[string]*Cluster) { all["aws"].Cordoned = true }
	h.show(cordon)
	h.want(t, "cordoned", "aws=2,azure=2,google=2")
	h.deployment("web", 10, 9, nil)
	got := h.get("web").Decision.Division()
	if got["aws"] != 2 || got["azure"]+got["google"] != 7 {
		t.Errorf("more: %v", got)
	}
	h.deployment("new", 2000, 6, nil)
	if got := h.get("new").Decision.Division(); got["aws"] != 0 {
		t.Errorf("new: %v", got)
	}

	// A hub that starts while it is cordoned: what has no record was divided evenly.
	again := newHours(deployments())
	again.show(cordon)
	again.w.resources[deployments()].synced = false
	again.deployment("web", 10, 6, nil)
	again.w.resources[deployments()].synced = true
	again.want(t, "after a restart", "aws=2,azure=2,google=2")
}

func TestADrainedClusterIsEmptied(t *testing.T) {
	h := newHours(deployments())
	h.deployment("web", 10, 6, nil)
	h.show(func(all map[string]*Cluster) { all["aws"].Drained, all["aws"].Cordoned = true, true })
	h.want(t, "drained", "aws=0,azure=3,google=3")

	// One that is out of reach need not be waited for: somebody said so.
	h = newHours(deployments())
	h.deployment("web", 10, 6, nil)
	h.pass(1)
	h.down["aws"], h.down["google"] = true, true
	h.show(func(all map[string]*Cluster) { all["aws"].Drained, all["aws"].Cordoned = true, true })
	h.pass(1)
	h.want(t, "drained although out of reach", "aws=0,azure=4,google=2")
}

func TestTaints(t *testing.T) {
	h := newHours(deployments())
	h.deployment("web", 10, 6, nil)
	taint := func(effect corev1.TaintEffect) func(map[string]*Cluster) {
		return func(all map[string]*Cluster) {
			all["aws"].Taints = []corev1.Taint{{Key: "maintenance", Effect: effect}}
		}
	}
	h.show(taint(corev1.TaintEffectNoSchedule))
	h.want(t, "NoSchedule", "aws=2,azure=2,google=2")
	h.show(taint(corev1.TaintEffectNoExecute))
	h.want(t, "NoExecute", "aws=0,azure=3,google=3")
}

func TestTolerationSecondsCountFromWhenTheTaintWasSeen(t *testing.T) {
	h := newHours(deployments())
	seconds := int64(60)
	tolerant := *h.w.policies.None
	tolerant.Tolerations = []corev1.Toleration{{Key: "maintenance", Operator: corev1.TolerationOpExists, TolerationSeconds: &seconds}}
	h.w.policies.None = &tolerant
	h.deployment("web", 10, 6, nil)
	h.record()
	h.show(func(all map[string]*Cluster) {
		all["aws"].Taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}}
	})
	h.want(t, "tolerated", "aws=2,azure=2,google=2")
	h.rig.pass(59 * time.Second)
	h.want(t, "tolerated still", "aws=2,azure=2,google=2")
	h.rig.pass(2 * time.Second)
	h.want(t, "tolerated no more", "aws=0,azure=3,google=3")
}
