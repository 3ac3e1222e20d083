package room

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

func at(second int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC)
}

// cpus is a node that has so many free.
func cpus(n int64) *capacity.View {
	node := &corev1.Node{}
	node.Name = "node"
	node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: *quantity.NewQuantity(n, quantity.DecimalSI),
		corev1.ResourceMemory: quantity.MustParse("64Gi"), corev1.ResourcePods: quantity.MustParse("100")}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	return capacity.NewView([]*corev1.Node{node}, nil)
}

// one is the demand of pods that ask for a CPU each.
func one() *template.Demand {
	pods := &corev1.PodTemplateSpec{}
	pods.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse("1")}}}}
	return &template.Demand{Template: pods, Request: schedule.RequestOf(pods), Room: true}
}

func key(name string) template.Key {
	return template.Key{GR: template.Scalable()[0], Namespace: "shop", Name: name}
}

// federation is clusters by name, all of which answer.
func federation(names ...string) (plain *schedule.Snapshot, all map[string]*cluster.Cluster) {
	all = map[string]*cluster.Cluster{}
	var clusters []schedule.Cluster
	for _, name := range names {
		all[name] = &cluster.Cluster{Name: name, Ready: true}
		clusters = append(clusters, schedule.Cluster{Name: name, Ready: true})
	}
	return schedule.NewSnapshot(clusters, schedule.Surroundings{}), all
}

// placed is how many of 100 pods that ask for a CPU each find a place in aws.
func placed(t *testing.T, r *Room, now time.Time) int32 {
	t.Helper()
	plain, all := federation("aws")
	profile, err := ProfileOf(one(), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Snapshot(plain, one(), profile, Around{Clusters: all, Now: now}).Schedule(&schedule.Workload{Key: "new", Divided: true, Total: 100, Template: one().Template})
	return 100 - d.Unplaced
}

// granted has web be given n replicas in aws.
func granted(r *Room, n int32, now time.Time) {
	_, all := federation("aws")
	r.Grant(key("web"), one(), false, all, func(string) int32 { return n }, now)
}

// TestAPromiseIsNotFree until it is taken back, or nobody came for it.
func TestAPromiseIsNotFree(t *testing.T) {
	r := New()
	r.Measured("aws", cpus(8), at(0))
	want := func(n int32, second int, when string) {
		t.Helper()
		if got := placed(t, &r, at(second)); got != n {
			t.Errorf("%s there is room for %d, want %d", when, got, n)
		}
	}
	want(8, 0, "at first")
	granted(&r, 3, at(1))
	want(5, 1, "with 3 promised")
	granted(&r, 5, at(2))
	want(3, 2, "with 5 promised")
	r.Withdraw(key("web"), map[string]int32{"aws": 1}, at(3))
	want(7, 3, "with 4 of them withdrawn")
	want(8, 100, "after nobody came for it")
	granted(&r, 2, at(101))
	want(6, 101, "with 2 promised")
	r.Ungrant(key("web"), at(102))
	want(8, 102, "without the workload")
}

// TestACloneGoesItsOwnWay, in both directions, and a question's copy leaves nothing behind.
func TestACloneGoesItsOwnWay(t *testing.T) {
	r := New()
	r.Measured("aws", cpus(8), at(0))
	granted(&r, 3, at(0))
	asked := r.Granting()
	granted(&asked, 8, at(0))
	if got := placed(t, &asked, at(0)); got != 0 {
		t.Errorf("the copy has room for %d", got)
	}
	if got := placed(t, &r, at(0)); got != 5 {
		t.Errorf("what was granted in a copy is granted in all: room for %d", got)
	}
	twin := r.Clone()
	granted(&r, 4, at(0))
	twin.Measured("aws", cpus(20), at(0))
	if a, b := placed(t, &r, at(0)), placed(t, &twin, at(0)); a != 4 || b != 17 {
		t.Errorf("room for %d and %d, want 4 and 17", a, b)
	}
}

// TestNewsHaveWhatIsShortLookedAt, not more often than it rests, and at times without any.
func TestNewsHaveWhatIsShortLookedAt(t *testing.T) {
	r := New()
	_, all := federation("aws")
	r.Measured("aws", cpus(1), at(0))
	if r.Step(at(0)) || !r.Next(at(0)).IsZero() {
		t.Error("nothing waits, and it is looked at")
	}
	r.Grant(key("web"), one(), true, all, func(string) int32 { return 1 }, at(0))
	r.Rest(2000, at(0))
	r.Measured("aws", cpus(2), at(1))
	if next := r.Next(at(1)); r.Step(at(1)) || !next.Equal(at(2)) {
		t.Errorf("it is to rest until 2 seconds, and it is looked at at %s", next)
	}
	if !r.Step(at(2)) || r.Step(at(2)) {
		t.Error("it is to be looked at once")
	}
	if next := r.Next(at(2)); !next.Equal(at(31)) && !next.Equal(at(32)) {
		t.Errorf("without news it is looked at at %s", next)
	}
	r.Ungrant(key("web"), at(3))
	if len(r.Short()) != 0 {
		t.Errorf("%v wait", r.Short())
	}
}

// TestUnreadIsWaitedForAWhile and no longer.
func TestUnreadIsWaitedForAWhile(t *testing.T) {
	r := New()
	_, all := federation("aws", "azure")
	all["google"] = &cluster.Cluster{Name: "google"}
	r.Measured("azure", cpus(1), at(0))
	if got := r.Unread(all, false, at(0)); got != "aws" {
		t.Errorf("waits for %q, want aws", got)
	}
	if got := r.Unread(all, false, at(20)); got != "" {
		t.Errorf("after 20 seconds it waits for %q", got)
	}
	if volumes, tell := r.Watch(false); volumes || !tell {
		t.Errorf("watches volumes: %t, told: %t", volumes, tell)
	}
	if volumes, tell := r.Watch(true); !volumes || !tell {
		t.Errorf("watches volumes: %t, told: %t", volumes, tell)
	}
	if volumes, tell := r.Watch(false); !volumes || tell {
		t.Errorf("watches volumes: %t, told again: %t", volumes, tell)
	}
}

func TestWhatIsRememberedIsRestored(t *testing.T) {
	r := New()
	_, all := federation("aws", "azure")
	r.Unread(all, false, at(0))
	r.Measured("aws", cpus(8), at(0))
	r.Grant(key("web"), one(), true, all, func(string) int32 { return 2 }, at(1))
	r.News(at(2))
	r.Watch(true)
	data, err := json.Marshal(r.Remember())
	if err != nil {
		t.Fatal(err)
	}
	var in Remembered
	if err := json.Unmarshal(data, &in); err != nil {
		t.Fatal(err)
	}
	twin := New()
	twin.RestoreViews(r.Views())
	twin.Restore(in, func(template.Key) *template.Demand { return one() })
	if !reflect.DeepEqual(r.Remember(), twin.Remember()) {
		t.Errorf("%+v\nis restored as\n%+v", r.Remember(), twin.Remember())
	}
	if got := placed(t, &twin, at(2)); got != 6 {
		t.Errorf("there is room for %d, want 6", got)
	}
}

// TestCeilings keep replicas out of where they do not run, as long as others can take them.
func TestCeilings(t *testing.T) {
	plain, _ := federation("aws", "azure")
	c := NewCeilings()
	if c.Some() || !c.Set(key("web"), "aws", 1, at(0)) || c.Set(key("web"), "aws", 3, at(1)) || !c.Set(key("web"), "aws", 0, at(1)) || !c.Some() {
		t.Error("a ceiling is new if it is lower than the one before")
	}
	wl := func() *schedule.Workload { return &schedule.Workload{Key: "web", Divided: true, Total: 4} }
	if d := c.Place(key("web"), plain, wl()); d.String() != "azure=4" {
		t.Errorf("below its ceiling it is %s", d)
	}
	limited := wl()
	limited.Policy = &schedule.Policy{Max: map[string]int32{"azure": 3}}
	if d := c.Place(key("web"), plain, limited); d.String() != "aws=1,azure=3" || !d.Waits {
		t.Errorf("the other takes 3, and it is %s, waits: %t", d, d.Waits)
	}
	twin := c.Clone()
	again := NewCeilings()
	again.Restore(c.Remember())
	c.Expire(at(1 + 601))
	if d := c.Place(key("web"), plain, wl()); c.Some() || d.String() != "aws=2,azure=2" {
		t.Errorf("after ten minutes it is %s", d)
	}
	if !reflect.DeepEqual(twin, again) || !twin.Some() {
		t.Errorf("%+v is restored as %+v", twin, again)
	}
	twin.Forget(key("web"))
	if twin.Some() {
		t.Error("a workload that is gone has a ceiling")
	}
}
