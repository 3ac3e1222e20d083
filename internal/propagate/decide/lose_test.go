package decide

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// federation is a rig with some clusters, policies and workloads, that is as a hub has it some time after.
type federation struct {
	*rig
	clusterNames []string
}

func drawFederation(t *rapid.T) *federation {
	f := &federation{rig: newRigWith(deployments(), Options{FailoverAfter: 2 * time.Second, Measures: true})}
	n := rapid.IntRange(2, 6).Draw(t, "clusters")
	var all []*Cluster
	for i := range n {
		f.clusterNames = append(f.clusterNames, fmt.Sprint("c", i))
		all = append(all, ready(f.clusterNames[i], 0))
	}
	f.clusters(all...)
	for _, name := range f.clusterNames {
		f.see(name, rapid.IntRange(0, 12).Draw(t, "free in "+name))
	}
	for i, spec := range []map[string]any{
		{"failover": map[string]any{"enabled": false}},
		{"division": map[string]any{"strategy": "Duplicate"}},
		{"division": map[string]any{"limits": map[string]any{"c1": map[string]any{"max": int64(1)}}}},
		{"clusters": map[string]any{"names": []any{"c0"}}},
		{"clusters": map[string]any{"names": []any{"c0", "c1"}}},
	} {
		if name := fmt.Sprint("w", i); rapid.Bool().Draw(t, "policy of "+name) {
			f.apply(policyOf(policyManifest(name, at(5), 1, selecting(name, spec))))
		}
	}
	for i := range rapid.IntRange(1, 9).Draw(t, "workloads") {
		name, n := fmt.Sprint("w", i), int64(rapid.IntRange(0, 7).Draw(t, "replicas"))
		if rapid.Bool().Draw(t, "asks for a cpu") {
			f.demanding(t, name, 10, n, nil, "")
		} else {
			f.deployment(name, 10, n, nil)
		}
	}
	f.record()
	f.look(f.clusterNames, true)
	return f
}

// look has members looked at, that answer or not.
func (f *federation) look(names []string, answer bool) {
	for _, name := range names {
		f.apply(Looked{Cluster: name, Began: f.now, Reached: answer})
	}
}

// lose has clusters be lost indeed, as a hub sees it: they are not ready, then out of reach until they count as lost.
func (f *federation) lose(lost []string) {
	var all []*Cluster
	for _, name := range f.clusterNames {
		if slices.Contains(lost, name) {
			all = append(all, away(name, 0, 1000))
		} else {
			all = append(all, ready(name, 0))
		}
	}
	f.clusters(all...)
	others := slices.DeleteFunc(slices.Clone(f.clusterNames), func(name string) bool { return slices.Contains(lost, name) })
	for range 4 {
		f.now = f.now.Add(time.Second)
		f.look(others, true)
		// At once: the World is not called between the looks at those that are lost.
		for _, name := range lost {
			f.w.losses.Looked(name, f.now, false, f.now)
		}
		f.do(f.w.weigh)
	}
	f.record()
}

// TestALossIsForeseen compares what is said of a loss with what is decided when it comes.
func TestALossIsForeseen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFederation(t)
		lost := rapid.SliceOfNDistinct(rapid.SampledFrom(f.clusterNames), 1, len(f.clusterNames)/2, rapid.ID[string]).Draw(t, "lost")
		before := f.divisions()
		q := f.w.Fork().Losses(f.now)
		if q.CutsOff(lost...) {
			t.Fatalf("the loss of %d of %d cuts the hub off", len(lost), len(f.clusterNames))
		}
		foreseen, err := q.Of(t.Context(), lost...)
		must(t, err)
		again, err := q.Of(t.Context(), lost...)
		must(t, err)
		if fmt.Sprint(said(foreseen)) != fmt.Sprint(said(again)) {
			t.Fatalf("asked twice:\n%v\n%v", said(foreseen), said(again))
		}
		if now := f.divisions(); !maps.Equal(before, now) {
			t.Fatalf("a question changed %v to %v", before, now)
		}
		f.lose(lost)
		for _, l := range foreseen {
			got := f.w.at(l.Before.Key).Decision
			if !sameDivision(got.Division(), l.After.Division()) || got.Unplaced != l.After.Unplaced {
				t.Fatalf("%s, lost %v: %s (%d unplaced), foreseen was %s (%d): %s", l.Before.Key, lost, got, got.Unplaced, l.After, l.After.Unplaced, l.Why)
			}
		}
	})
}

func said(all []Loss) (lines []string) {
	for _, l := range all {
		lines = append(lines, fmt.Sprint(l.Before.Key, l.After, l.Wanted, l.Kept, l.FailedOver, l.Unplaced, l.Already, l.Why, l.Disallowed))
	}
	return lines
}

func (f *federation) divisions() map[string]string {
	out := map[string]string{}
	for _, a := range f.all() {
		out[a.Key.Name] = fmt.Sprint(a.Decision, a.Decision.Unplaced)
	}
	return out
}

// TestEveryReplicaIsAccountedFor is the sum, and that nothing that runs elsewhere is touched.
func TestEveryReplicaIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFederation(t)
		lost := rapid.SliceOfNDistinct(rapid.SampledFrom(f.clusterNames), 1, len(f.clusterNames), rapid.ID[string]).Draw(t, "lost")
		all, err := f.w.Fork().Losses(f.now).Of(t.Context(), lost...)
		must(t, err)
		there := map[string]bool{}
		for _, l := range all {
			there[l.Before.Key.Name] = true
			a := l.Before
			if l.Kept < 0 || l.FailedOver < 0 || l.Unplaced < 0 || l.Kept+l.FailedOver+l.Unplaced != l.Wanted || l.Wanted != a.Total {
				t.Fatalf("%s of %d: kept %d, failed over %d, unplaced %d", a.Key, l.Wanted, l.Kept, l.FailedOver, l.Unplaced)
			}
			if (l.Unplaced > 0) != (l.Why != "") {
				t.Fatalf("%s: %d unplaced, because %q", a.Key, l.Unplaced, l.Why)
			}
			var elsewhere int32
			for _, s := range a.Decision.Shares {
				if !slices.Contains(lost, s.Cluster) {
					elsewhere += s.Replicas
				}
			}
			if l.Kept != min(elsewhere, l.Wanted) {
				t.Fatalf("%s: %d are kept, and %d run elsewhere", a.Key, l.Kept, elsewhere)
			}
			if !a.Policy.Failover.Enabled && l.FailedOver > 0 {
				t.Fatalf("%s fails over although its policy says that it does not", a.Key)
			}
		}
		for _, a := range f.all() {
			runs := slices.ContainsFunc(a.Decision.Shares, func(s schedule.Share) bool { return s.Replicas > 0 && slices.Contains(lost, s.Cluster) })
			if runs != there[a.Key.Name] {
				t.Fatalf("%s runs in what is lost: %t, is decided about: %t", a.Key, runs, there[a.Key.Name])
			}
		}
	})
}

func TestWhyNotAllSurvives(t *testing.T) {
	r := newRigWith(deployments(), Options{FailoverAfter: 30 * time.Second, Measures: true})
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	for name, free := range map[string]int{"aws": 9, "azure": 3, "google": 2} {
		r.see(name, free)
	}
	r.apply(policyOf(policyManifest("eu", at(5), 1, selecting("eu", map[string]any{"clusters": map[string]any{"names": []any{"aws"}}}))))
	r.apply(policyOf(policyManifest("off", at(5), 1, selecting("off", map[string]any{"failover": map[string]any{"enabled": false}}))))
	r.demanding(t, "web", 10, 6, nil, "")
	r.deployment("eu", 10, 2, nil)
	r.deployment("off", 10, 3, nil)
	r.record()
	all, err := r.w.Fork().Losses(r.now).Of(t.Context(), "aws")
	must(t, err)
	for i, want := range []string{
		"2 of 2 replicas without a place: PlacementPolicy shop/eu allows none of the clusters that would be left",
		"1 of 3 replicas without a place: PlacementPolicy shop/off says that it does not fail over",
		"1 of 6 replicas without a place: ",
	} {
		if got := all[i].Said(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", all[i].Before.Key.Name, got, want)
		}
	}
	if !strings.Contains(all[2].Why, "cpu") {
		t.Errorf("there is no room, and the reason is %s", all[2].Why)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.w.Fork().Losses(r.now).Of(ctx, "aws"); !errors.Is(err, context.Canceled) {
		t.Errorf("it goes on although nobody asks any more: %v", err)
	}
}

func TestFailoverThatIsOffIsNoPlaceElsewhere(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 10, 4, nil)
	all, err := r.w.Fork().Losses(r.now).Of(t.Context(), "aws")
	must(t, err)
	if got := all[0].Said(); got != "2 of 4 replicas without a place: failover is off at this hub" {
		t.Error(got)
	}
}

func TestAPlanSaysWhatWouldNotSurvive(t *testing.T) {
	r := newRigWith(deployments(), Options{FailoverAfter: 30 * time.Second, Measures: true})
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.see("aws", 4)
	r.see("azure", 4)
	r.demanding(t, "aaa", 10, 2, nil, "") // is decided before, and takes one of the 3 that are free
	planned := newRigWith(deployments(), Options{})
	manifest := planned.demanding(t, "web", 10, 4, nil, "").Object
	plan := func(losses bool, objects ...*unstructured.Unstructured) string {
		t.Helper()
		out, err := r.w.Fork().Plan(t.Context(), r.now, PlanRequest{Objects: objects, Losses: losses})
		must(t, err)
		return strings.Join(out[0].WouldNotSurvive, "\n")
	}
	want := "the loss of aws: 2 of 4 replicas without a place: "
	if got := plan(true, manifest); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("%s\nwant %s, and as much of azure", got, want)
	}
	if got := plan(false, manifest); got != "" {
		t.Errorf("nobody asked, and it says %s", got)
	}
	small := manifest.DeepCopy()
	must(t, unstructured.SetNestedField(small.Object, int64(2), "spec", "replicas"))
	if got := plan(true, small); got != "" {
		t.Errorf("there is room, and it says %s", got)
	}
	off := policyManifest("web", at(5), 1, selecting("web", map[string]any{"failover": map[string]any{"enabled": false}}))
	if got := plan(true, manifest, off); got != "" {
		t.Errorf("it is not to fail over, and it says %s", got)
	}
}
