package decide

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// sized is a Cluster with two nodes of two CPUs each.
func sized(name string, change func(*v1alpha1.Cluster)) *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Status.Nodes = 2
	c.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse("4"), corev1.ResourceMemory: quantity.MustParse("64Gi"), corev1.ResourcePods: quantity.MustParse("110")}
	meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Drawn"})
	if change != nil {
		change(c)
	}
	return c
}

// history draws something that may happen to a rig.
func (r *rig) history(t *rapid.T) Input {
	name := rapid.SampledFrom([]string{"aws", "azure", "google"}).Draw(t, "cluster")
	object := rapid.SampledFrom([]string{"web", "db"}).Draw(t, "object")
	n := rapid.Int32Range(0, 9).Draw(t, "n")
	switch rapid.IntRange(0, 7).Draw(t, "what") {
	case 0, 1:
		c := sized(name, func(c *v1alpha1.Cluster) {
			c.Spec.Drain, c.Spec.Unschedulable = n == 0, n < 3
			c.Labels = map[string]string{"tier": fmt.Sprint(n % 2)}
		})
		return ClusterWritten{Cluster: c}
	case 2:
		return Engaged{name, n > 2}
	case 3:
		return Looked{Cluster: name, Began: r.now, Reached: n > 4}
	case 4:
		if a := r.get(object); a != nil {
			return Seen{name, a.Key, there(a.UID, n, map[string]any{"readyReplicas": int64(n)})}
		}
	case 5:
		limits := map[string]any{"division": map[string]any{"limits": map[string]any{name: map[string]any{"max": int64(n)}}}}
		return policyOf(policyManifest("web", at(5), int64(n)+1, selecting(object, limits)))
	case 6:
		if a := r.get(object); a != nil && n == 0 {
			return Deleted{a.Key, a.UID}
		}
	}
	r.deployment(object, 10, int64(n), nil)
	t2 := *r.get(object).Template
	t2.Revision++
	return Written{&t2}
}

// TestTheSameInputsHaveTheSameEffects applies a history to two Worlds, and forks and asks the first in between.
func TestTheSameInputsHaveTheSameEffects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRigWith(deployments(), Options{FailoverAfter: 30 * time.Second, Measures: true})
		r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
		twin := r.w.Fork()
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			scratch := r.w.Fork() // so that drawing, which writes, is not part of the history
			live := r.w
			r.w = scratch
			in := r.history(t)
			r.w = live
			r.now = r.now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "milliseconds")) * time.Millisecond)
			for _, one := range []Input{in, Tick{}, Tick{}} {
				first := r.w.Apply(one, r.now)
				asked := r.w.Fork()
				_ = asked.Accepts(r.now, r.key("web"), "aws", 100)
				_ = asked.Standing(r.now, "aws")
				if second := twin.Apply(one, r.now); !reflect.DeepEqual(first, second) {
					t.Fatalf("%T: one World has the effects\n%+v, the other\n%+v", one, first, second)
				}
			}
		}
	})
}

// TestNothingIsDecidedWhereNothingDecidesHasChanged: the status of an object, and the heartbeat of a cluster.
func TestNothingIsDecidedWhereNothingDecidesHasChanged(t *testing.T) {
	r := newRig(deployments())
	c := sized("aws", nil)
	r.apply(ClusterWritten{Cluster: c})
	web := r.deployment("web", 10, 4, nil)
	next := *web.Template
	next.Revision++
	all := r.apply(Written{&next})
	if published := effectsOf[Publish](all); len(all) != 1 || len(published) != 1 || published[0].Assignment.Revision != next.Revision || &published[0].Assignment.Decision.Shares[0] != &web.Decision.Shares[0] {
		t.Errorf("of a status follows %+v", all)
	}
	heartbeat := *c.DeepCopy()
	heartbeat.ResourceVersion = "8"
	if all := r.apply(ClusterWritten{Cluster: &heartbeat}); len(all) != 0 {
		t.Errorf("of a heartbeat follows %+v", all)
	}
	if next := r.w.next(); !next.IsZero() {
		t.Errorf("nothing waits, and yet it is to be called at %s", next)
	}
}

// TestManyDecisionsAreMadeInSlices, and what is urgent does not wait for the others.
func TestManyDecisionsAreMadeInSlices(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	for i := range 3*sliceSize + 1 {
		r.deployment(fmt.Sprintf("web%04d", i), 10, 4, nil)
	}
	closed := *ready("aws", 0)
	closed.Drained, closed.Cordoned = true, true
	r.w.now = r.now
	r.w.setClusters(map[string]*Cluster{"aws": &closed, "azure": ready("azure", 0)})
	r.w.drains.Read(nil, true)
	r.w.slice()
	all := r.w.finish()
	if n := len(effectsOf[Publish](all)); n != sliceSize || len(effectsOf[More](all)) != 1 {
		t.Fatalf("%d are decided at once, want %d and more to do", n, sliceSize)
	}
	last := r.w.at(template.Key{GR: deployments(), Namespace: "shop", Name: fmt.Sprintf("web%04d", 3*sliceSize)})
	if last.Shares["aws"].Replicas != 2 {
		t.Fatal("the last is decided already")
	}
	changed := last.Object.DeepCopy()
	changed.Object["spec"] = map[string]any{"replicas": int64(5)}
	tmpl, _ := template.Read(r.gr, changed, r.hasher.Content, last.Template)
	r.w.Apply(Written{tmpl}, r.now)
	if got := r.w.at(last.Key); got.Shares["azure"].Replicas != 5 {
		t.Errorf("what was written meanwhile is %s", got.Decision)
	}
	slices := 0
	for r.w.backlog.Some() {
		r.w.Apply(Tick{}, r.now)
		slices++
	}
	if slices != 2 {
		t.Errorf("the rest takes %d slices", slices)
	}
}

// TestWhatIsMadeAsTheHubBeginsIsNew: its creationTimestamp has no fraction of a second.
func TestWhatIsMadeAsTheHubBeginsIsNew(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 7, 628_000_000, time.UTC)
	w := NewWorld(Options{Began: began})
	if made := began.Truncate(time.Second); made.Before(w.Began) {
		t.Errorf("an object of %s is taken for one of before %s", made, w.Began)
	}
	if made := began.Add(-time.Second).Truncate(time.Second); !made.Before(w.Began) {
		t.Errorf("an object of %s is taken for one since %s", made, w.Began)
	}
}
