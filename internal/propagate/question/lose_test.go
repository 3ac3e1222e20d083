package question

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

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// federation is a hub with some clusters, policies and workloads, as it is some time after they were made.
type federation struct {
	*hub
	names []string
}

func drawFederation(t *rapid.T) *federation {
	f := &federation{hub: newHub(decide.Options{FailoverAfter: 2 * time.Second, Measures: true})}
	for i := range rapid.IntRange(2, 6).Draw(t, "clusters") {
		f.names = append(f.names, fmt.Sprint("c", i))
	}
	f.clusters(f.names)
	for _, name := range f.names {
		f.see(name, rapid.IntRange(0, 12).Draw(t, "free in "+name), 0)
	}
	for i, spec := range []map[string]any{
		{"failover": map[string]any{"enabled": false}},
		{"division": map[string]any{"strategy": "Duplicate"}},
		{"division": map[string]any{"limits": map[string]any{"c1": map[string]any{"max": int64(1)}}}},
		{"clusters": map[string]any{"names": []any{"c0"}}},
		{"clusters": map[string]any{"names": []any{"c0", "c1"}}},
	} {
		if name := fmt.Sprint("w", i); rapid.Bool().Draw(t, "policy of "+name) {
			f.rule(name, spec)
		}
	}
	for i := range rapid.IntRange(1, 9).Draw(t, "workloads") {
		cpu := ""
		if rapid.Bool().Draw(t, "asks for a cpu") {
			cpu = "1"
		}
		f.put(fmt.Sprint("w", i), int64(rapid.IntRange(0, 7).Draw(t, "replicas")), cpu)
	}
	f.record()
	f.look(f.names, true)
	return f
}

// lose has clusters be lost indeed, as a hub sees it: they are not ready, then out of reach until they count as lost, all at once.
func (f *federation) lose(lost []string) {
	f.clusters(f.names, lost...)
	others := slices.DeleteFunc(slices.Clone(f.names), func(name string) bool { return slices.Contains(lost, name) })
	for range 2 {
		f.now = f.now.Add(time.Second / 2)
		f.look(lost, false)
	}
	f.now = f.now.Add(2 * time.Second)
	f.look(others, true)
	f.record()
}

// TestALossIsForeseen compares what is said of a loss with what is decided when it comes.
func TestALossIsForeseen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFederation(t)
		lost := rapid.SliceOfNDistinct(rapid.SampledFrom(f.names), 1, len(f.names)/2, rapid.ID[string]).Draw(t, "lost")
		before := f.divisions()
		q := NewLosses(f.Fork(), f.now)
		if q.CutsOff(lost...) {
			t.Fatalf("the loss of %d of %d cuts the hub off", len(lost), len(f.names))
		}
		foreseen, err := q.Of(t.Context(), lost...)
		must(t, err)
		again, err := q.Of(t.Context(), lost...)
		must(t, err)
		if fmt.Sprint(said(foreseen)) != fmt.Sprint(said(again)) {
			t.Fatalf("asked twice:\n%v\n%v", said(foreseen), said(again))
		}
		f.apply(decide.Tick{})
		if now := f.divisions(); before != now {
			t.Fatalf("a question changed\n%s\nto\n%s", before, now)
		}
		f.lose(lost)
		for _, l := range foreseen {
			got := f.all[l.Before.Key].Decision
			if !same(got.Division(), l.After.Division()) || got.Unplaced != l.After.Unplaced {
				t.Fatalf("%s, lost %v: %s (%d unplaced), foreseen was %s (%d): %s", l.Before.Key, lost, got, got.Unplaced, l.After, l.After.Unplaced, l.Why)
			}
		}
	})
}

// same compares two divisions; a cluster with 0 is as one without.
func same(a, b map[string]int32) bool {
	none := func(_ string, n int32) bool { return n == 0 }
	a, b = maps.Clone(a), maps.Clone(b)
	maps.DeleteFunc(a, none)
	maps.DeleteFunc(b, none)
	return maps.Equal(a, b)
}

func said(all []Loss) (lines []string) {
	for _, l := range all {
		lines = append(lines, fmt.Sprint(l.Before.Key, l.After, l.Wanted, l.Kept, l.FailedOver, l.Unplaced, l.Already, l.Why, l.Disallowed))
	}
	return lines
}

// TestEveryReplicaIsAccountedFor is the sum, and that nothing that runs elsewhere is touched.
func TestEveryReplicaIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFederation(t)
		lost := rapid.SliceOfNDistinct(rapid.SampledFrom(f.names), 1, len(f.names), rapid.ID[string]).Draw(t, "lost")
		all, err := NewLosses(f.Fork(), f.now).Of(t.Context(), lost...)
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
		for _, a := range f.all {
			runs := slices.ContainsFunc(a.Decision.Shares, func(s schedule.Share) bool { return s.Replicas > 0 && slices.Contains(lost, s.Cluster) })
			if runs != there[a.Key.Name] {
				t.Fatalf("%s runs in what is lost: %t, is decided about: %t", a.Key, runs, there[a.Key.Name])
			}
		}
	})
}

func TestWhyNotAllSurvives(t *testing.T) {
	h := newHub(decide.Options{FailoverAfter: 30 * time.Second, Measures: true})
	h.clusters([]string{"aws", "azure", "google"})
	for name, free := range map[string]int{"aws": 9, "azure": 3, "google": 2} {
		h.see(name, free, 0)
	}
	h.rule("eu", map[string]any{"clusters": map[string]any{"names": []any{"aws"}}})
	h.rule("off", map[string]any{"failover": map[string]any{"enabled": false}})
	h.put("web", 6, "1")
	h.put("eu", 2, "")
	h.put("off", 3, "")
	h.record()
	all, err := NewLosses(h.Fork(), h.now).Of(t.Context(), "aws")
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
	if _, err := NewLosses(h.Fork(), h.now).Of(ctx, "aws"); !errors.Is(err, context.Canceled) {
		t.Errorf("it goes on although nobody asks any more: %v", err)
	}
}

func TestFailoverThatIsOffIsNoPlaceElsewhere(t *testing.T) {
	h := newHub(decide.Options{})
	h.clusters([]string{"aws", "azure"})
	h.put("web", 4, "")
	all, err := NewLosses(h.Fork(), h.now).Of(t.Context(), "aws")
	must(t, err)
	if got := all[0].Said(); got != "2 of 4 replicas without a place: failover is off at this hub" {
		t.Error(got)
	}
}

func TestAPlanSaysWhatWouldNotSurvive(t *testing.T) {
	h := newHub(decide.Options{FailoverAfter: 30 * time.Second, Measures: true})
	h.clusters([]string{"aws", "azure"})
	h.see("aws", 4, 0)
	h.see("azure", 4, 0)
	h.put("aaa", 2, "1") // is decided before, and takes one of the 3 that are free
	plan := func(losses bool, objects ...*unstructured.Unstructured) string {
		t.Helper()
		out, err := Plan(t.Context(), h.Fork(), h.now, PlanRequest{Objects: objects, Losses: losses})
		must(t, err)
		return strings.Join(out[0].WouldNotSurvive, "\n")
	}
	want := "the loss of aws: 2 of 4 replicas without a place: "
	if got := plan(true, wanting("web", 4, "1")); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("%s\nwant %s, and as much of azure", got, want)
	}
	if got := plan(false, wanting("web", 4, "1")); got != "" {
		t.Errorf("nobody asked, and it says %s", got)
	}
	if got := plan(true, wanting("web", 2, "1")); got != "" {
		t.Errorf("there is room, and it says %s", got)
	}
	off := policyFor("web", map[string]any{"failover": map[string]any{"enabled": false}})
	if got := plan(true, wanting("web", 4, "1"), off); got != "" {
		t.Errorf("it is not to fail over, and it says %s", got)
	}
}

// BenchmarkLosses is the loss of each of 100 clusters with 10,000 workloads, each on its own: how long all takes, and for how long at
// most the World that it is asked of is held up, by the fork or by the first writes after it.
func BenchmarkLosses(b *testing.B) {
	for _, cpu := range []string{"", "10m"} {
		b.Run("requests="+cpu, func(b *testing.B) {
			h := newHub(decide.Options{FailoverAfter: 30 * time.Second, Measures: true})
			var names []string
			for i := range 100 {
				names = append(names, fmt.Sprintf("cluster-%03d", i))
			}
			h.clusters(names)
			for _, name := range names {
				h.see(name, 1000, 0)
			}
			var last *decide.Assignment
			for i := range 10_000 {
				last = h.put(fmt.Sprint("web", i), 3, cpu)
			}
			h.record()
			var held time.Duration
			for b.Loop() {
				began := time.Now()
				f := h.Fork()
				held = max(held, time.Since(began))
				l := NewLosses(f, h.now.Add(2*time.Minute))
				for _, name := range names {
					if _, err := l.Of(b.Context(), name); err != nil {
						b.Fatal(err)
					}
				}
				began = time.Now()
				h.Apply(decide.Written{Template: last.Template}, h.now)
				held = max(held, time.Since(began))
			}
			b.ReportMetric(float64(held.Microseconds())/1000, "ms-held-up")
		})
	}
}
