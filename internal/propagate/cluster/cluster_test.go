package cluster

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// TestPrices reads them as they may be written.
func TestPrices(t *testing.T) {
	cpu, memory := quantity.MustParse("0.0316"), quantity.MustParse("2")
	if p := readPrice(&v1alpha1.ClusterPrice{CPU: &cpu, MemoryGiB: &memory}); p.CPU != 0.0316 || p.GiB != 2 {
		t.Errorf("%+v", p)
	}
	if p := readPrice(nil); p.CPU != 0 || p.GiB != 0 {
		t.Errorf("no price is %+v", p)
	}
}

func TestReadTakesACordonForADrain(t *testing.T) {
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "aws"}, Spec: v1alpha1.ClusterSpec{Drain: true}}
	c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	if got := Read(c); !got.Drained || !got.Cordoned || !got.Ready {
		t.Errorf("drained %t, cordoned %t, ready %t", got.Drained, got.Cordoned, got.Ready)
	}
	c.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	if Read(c).Ready {
		t.Error("a cluster that leaves is ready")
	}
}

func TestNodesAreSpreadOverDomains(t *testing.T) {
	c := &v1alpha1.Cluster{}
	c.Status.Nodes = 5
	c.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse("20"), "example.com/gpu": quantity.MustParse("2")}
	s := Read(c).Size
	got := s.Fill(make([]schedule.Domain, 2))
	if a, b := got[0].Nodes[0], got[1].Nodes[0]; a.Count != 3 || b.Count != 2 || a.Free.MilliCPU != 4000 || b.Free.Extended["example.com/gpu"] != 1 {
		t.Errorf("%+v and %+v", a, b)
	}
	if got := (Size{}).Fill(nil); got != nil {
		t.Errorf("%+v, although nothing is known of its nodes", got)
	}
}

// lost has looks at three clusters a second apart, of which aws fails.
func lost(l *Losses, clusters map[string]*Cluster, seconds int) (changed []int) {
	l.Keep(clusters, time.Unix(0, 0))
	for at := range seconds {
		now := time.Unix(int64(at), 0)
		for name := range clusters {
			l.Looked(name, now, name != "aws", now)
		}
		if len(l.Weigh(now, nil, clusters)) > 0 {
			changed = append(changed, at)
		}
	}
	return changed
}

func three() map[string]*Cluster {
	all := map[string]*Cluster{}
	for _, name := range []string{"aws", "azure", "google"} {
		all[name] = &Cluster{Name: name, Ready: name != "aws"}
	}
	return all
}

func TestLost(t *testing.T) {
	off := policy.NoPolicy()
	off.Failover.Enabled = false
	l := NewLosses(10 * time.Second)
	changed := lost(&l, three(), 20)
	if len(changed) != 1 || changed[0] < 10 {
		t.Fatalf("something changed after %v seconds", changed)
	}
	is := l.Lost()
	for _, c := range []struct {
		name       string
		p          *policy.Policy
		lost, dead bool
	}{{"aws", policy.NoPolicy(), true, true}, {"azure", policy.NoPolicy(), false, false}, {"aws", off, false, true}} {
		if a, b := is.For(c.name, c.p), is.Dead(c.name, c.p); a != c.lost || b != c.dead {
			t.Errorf("%s, failing over %t: lost %t, dead %t", c.name, c.p.Failover.Enabled, a, b)
		}
	}
	if more := is.With("azure"); !more.For("azure", off) || is.For("azure", off) {
		t.Error("lost are others in the copy, and only there")
	}
	if c := l.FailedOver("aws"); c == nil || c.Status != metav1.ConditionTrue || l.FailedOver("azure") != nil {
		t.Errorf("aws is %+v, azure %+v", c, l.FailedOver("azure"))
	}
	never := NewLosses(0)
	lost(&never, three(), 60)
	if is := never.Lost(); is.For("aws", policy.NoPolicy()) || !is.Dead("aws", policy.NoPolicy()) {
		t.Error("with failover off a cluster is not lost, and its pods are dead in the end")
	}
	if c := never.FailedOver("aws"); c == nil || c.Reason != v1alpha1.ReasonOff {
		t.Errorf("with failover off: %+v", c)
	}
}

func TestADrainedClusterThatIsAwayIsLeft(t *testing.T) {
	l, all := NewLosses(0), three()
	all["aws"].Drained = true
	lost(&l, all, 5)
	if !l.IsLost(all["aws"], policy.NoPolicy()) || !l.Lost().For("aws", policy.NoPolicy()) {
		t.Error("it is drained, does not answer and is waited for")
	}
}

func TestTaintsCountFromWhenTheyWereSeen(t *testing.T) {
	l := NewLosses(0)
	said := metav1.Time{Time: time.Unix(5, 0)}
	c := &Cluster{Name: "aws", Taints: []corev1.Taint{
		{Key: "a", Effect: corev1.TaintEffectNoExecute}, {Key: "b", Effect: corev1.TaintEffectNoSchedule, TimeAdded: &said},
	}}
	l.Keep(map[string]*Cluster{"aws": c}, time.Unix(10, 0))
	copied := l.Clone()
	l.Keep(map[string]*Cluster{"aws": c}, time.Unix(20, 0))
	got := l.TaintsOf(c)
	if !got[0].TimeAdded.Time.Equal(time.Unix(10, 0)) || !got[1].TimeAdded.Time.Equal(said.Time) || c.Taints[0].TimeAdded != nil || !l.Tainted() {
		t.Errorf("%v; of the cluster %v; tainted %t", got, c.Taints, l.Tainted())
	}
	l.Keep(map[string]*Cluster{"aws": {Name: "aws"}}, time.Unix(30, 0))
	if l.Tainted() || !copied.Tainted() {
		t.Error("the taint is gone, but not from the copy")
	}
}
