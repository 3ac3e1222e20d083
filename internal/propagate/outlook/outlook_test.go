package outlook

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/schedule"
)

func at(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }

func around(change func(aws *cluster.Cluster)) Around {
	losses := cluster.NewLosses(0)
	all := map[string]*cluster.Cluster{}
	for i, name := range []string{"aws", "azure"} {
		all[name] = &cluster.Cluster{Name: name, Ready: true, Joined: at(i), Facts: policy.Cluster{Name: name}}
	}
	change(all["aws"])
	losses.Keep(all, at(0))
	return Around{Clusters: all, Losses: &losses, Now: at(0)}
}

func four() *schedule.Workload { return &schedule.Workload{Key: "web", Divided: true, Total: 4} }

// TestWhatKeepsPodsOut is not in the snapshot of what only rules say; a drain not in that of what it is not to move.
func TestWhatKeepsPodsOut(t *testing.T) {
	outlooks := New()
	o := outlooks.Of(policy.NoPolicy(), around(func(aws *cluster.Cluster) { aws.Cordoned, aws.Drained = true, true }))
	if !o.Closed || !o.Ready || o.Policy != nil {
		t.Errorf("closed %t, ready %t, policy %v", o.Closed, o.Ready, o.Policy)
	}
	drained := four()
	drained.Current = map[string]int32{"aws": 2, "azure": 2}
	if d := o.Snapshot.Schedule(drained); d.Division()["azure"] != 4 {
		t.Errorf("aws is drained, and it is %s", d)
	}
	if d := o.Undrained.Schedule(drained); d.String() != "aws=2,azure=2" {
		t.Errorf("the drain is not to move it, and it is %s", d)
	}
	if d := o.Unharmed.Schedule(four()); d.String() != "aws=2,azure=2" {
		t.Errorf("by the rules it is %s", d)
	}
	away := outlooks.Of(policy.NoPolicy(), around(func(aws *cluster.Cluster) { aws.Ready = false }))
	if away.Ready || away.Closed {
		t.Errorf("aws is away: ready %t, closed %t", away.Ready, away.Closed)
	}
}

// TestAPolicySaysWhyNot in its own words.
func TestAPolicySaysWhyNot(t *testing.T) {
	made := &v1alpha1.PlacementPolicy{}
	made.Spec.Clusters = &v1alpha1.ClusterSelector{Names: []string{"azure"}}
	p, err := policy.FromPolicy(made)
	if err != nil {
		t.Fatal(err)
	}
	outlooks := New()
	o := outlooks.Of(p, around(func(*cluster.Cluster) {}))
	if o.Policy == nil || o.Rejected["aws"] == "" || o.Because("aws", "other") != o.Rejected["aws"] || o.Because("azure", "other") != "other" {
		t.Errorf("rejected: %v", o.Rejected)
	}
}

// TestOutlooksAreKept until they are forgotten, or time itself changes them.
func TestOutlooksAreKept(t *testing.T) {
	outlooks, p := New(), policy.NoPolicy()
	in := around(func(*cluster.Cluster) {})
	first := outlooks.Of(p, in)
	in.Now = at(60)
	if outlooks.Of(p, in) != first {
		t.Error("it is made again although nothing is different")
	}
	clone := outlooks.Clone()
	outlooks.Forget()
	if outlooks.Of(p, in) == first || clone.Of(p, in) != first {
		t.Error("one that is forgotten is kept, or the clone's is forgotten")
	}
	in = around(func(aws *cluster.Cluster) {
		aws.Taints = []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoExecute}}
	})
	outlooks.Forget()
	first = outlooks.Of(p, in)
	in.Now = at(2)
	if outlooks.Of(p, in) == first {
		t.Error("there is a taint that may be tolerated for some time, and the time of an earlier outlook counts")
	}
}

func TestTheRoll(t *testing.T) {
	outlooks := New()
	r := outlooks.Roll(around(func(*cluster.Cluster) {}).Clusters)
	if got := r.JoinedBy(at(0)); len(got) != 1 || got[0] != "aws" || len(r.JoinedBy(at(1))) != 2 || !r.Last.Equal(at(1)) {
		t.Errorf("at 0 there was %v, the last joined at %s", got, r.Last)
	}
}
