package schedule_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// drawn is a workload with the clusters it is scheduled to.
type drawn struct {
	schedule.Workload
	clusters []schedule.Cluster
}

// draw makes any situation, clusters that left and nonsense included.
func draw(t *rapid.T) drawn {
	d := drawn{Workload: schedule.Workload{
		Key:     rapid.StringMatching(`deployments\.apps/[a-z]{1,3}/[a-z]{1,3}`).Draw(t, "key"),
		Total:   rapid.OneOf(rapid.Int32Range(0, 20), rapid.Int32()).Draw(t, "total"),
		Divided: true,
	}}
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,4}`), 0, 8, rapid.ID).Draw(t, "clusters")
	for _, name := range names {
		d.clusters = append(d.clusters, schedule.Cluster{Name: name, Ready: rapid.Bool().Draw(t, "ready")})
	}
	replicas := rapid.OneOf(rapid.Int32Range(0, 9), rapid.Int32Min(-1))
	for _, name := range append(names, "gone") {
		if rapid.Bool().Draw(t, name+" held") {
			if d.Current == nil {
				d.Current = map[string]int32{}
			}
			d.Current[name] = replicas.Draw(t, name)
		}
	}
	return d
}

func (d drawn) schedule() schedule.Decision { return schedule.Schedule(d.Workload, d.clusters) }

// away is how many replicas the clusters that are not ready hold.
func (d drawn) away() (sum int64) {
	for _, c := range d.clusters {
		if !c.Ready {
			sum += int64(max(0, d.Current[c.Name]))
		}
	}
	return sum
}

func (d drawn) ready() int {
	return len(slices.DeleteFunc(slices.Clone(d.clusters), func(c schedule.Cluster) bool { return !c.Ready }))
}

func total(d schedule.Decision) (sum int64) {
	for _, s := range d.Shares {
		sum += int64(s.Replicas)
	}
	return sum
}

func TestEveryReplicaIsPlacedOrAccountedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		got := d.schedule()
		want := max(int64(d.Total), 0)
		if placed := total(got) + int64(got.Unplaced); placed != max(want, d.away()) {
			t.Fatalf("%d placed or unplaced of %d, with %d away:\n%s", placed, want, d.away(), explain(got))
		}
		if d.ready() > 0 && got.Unplaced != 0 {
			t.Fatalf("unplaced although a cluster is ready:\n%s", explain(got))
		}
		if (got.Unplaced != 0 || d.away() > want) && got.Reason == "" {
			t.Fatalf("not said why:\n%s", explain(got))
		}
		if d.ready() > 0 && len(got.Shares) == 0 {
			t.Fatal("the object is nowhere")
		}
	})
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.Divided = rapid.Bool().Draw(t, "divided")
		want := d.schedule()
		d.clusters = rapid.Permutation(d.clusters).Draw(t, "permutation")
		if got := d.schedule(); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %s\nwant %s", explain(got), explain(want))
		}
	})
}

func TestInputIsNotModified(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		clusters, current := slices.Clone(d.clusters), maps.Clone(d.Current)
		d.schedule()
		schedule.Even(d.Workload, d.clusters)
		if !reflect.DeepEqual(clusters, d.clusters) || !maps.Equal(current, d.Current) {
			t.Fatal("modified")
		}
	})
}

func TestFreshDivisionIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.Current = nil
		got := d.schedule().Division()
		if len(got) == 0 {
			return
		}
		var least, most int32 = max(0, d.Total), 0
		for _, c := range d.clusters {
			if c.Ready {
				least, most = min(least, got[c.Name]), max(most, got[c.Name])
			} else if _, ok := got[c.Name]; ok {
				t.Fatalf("%s is not ready", c.Name)
			}
		}
		if most-least > 1 {
			t.Fatalf("uneven: %v", got)
		}
	})
}

// TestScalingFromEvenIsEven is why a division need not be remembered as long
// as all clusters are ready: the way there does not matter.
func TestScalingFromEvenIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		for i := range d.clusters {
			d.clusters[i].Ready = true
		}
		if len(d.clusters) == 0 {
			return
		}
		start := d.Workload
		start.Total = rapid.Int32Range(0, 30).Draw(t, "start")
		d.Current = schedule.Even(start, d.clusters)
		got, want := d.schedule().Division(), schedule.Even(d.Workload, d.clusters)
		for _, c := range d.clusters { // a share of 0 may be there or not
			if got[c.Name] != want[c.Name] {
				t.Fatalf("from %v to %d: got %v, want %v", d.Current, d.Total, got, want)
			}
		}
	})
}

func TestMovesNoMoreThanItMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		if d.ready() == 0 {
			return
		}
		got := d.schedule().Division()
		var before, moved int64
		for _, c := range d.clusters {
			had := int64(max(0, d.Current[c.Name]))
			has, holds := got[c.Name]
			if _, held := d.Current[c.Name]; held && !holds {
				t.Fatalf("%s lost the object: %v, before %v", c.Name, got, d.Current)
			}
			if !c.Ready && int64(has) != had {
				t.Fatalf("%s is not ready and went from %d to %d", c.Name, had, has)
			}
			if c.Ready {
				before += had
				moved += max(had-int64(has), int64(has)-had)
			}
		}
		wanted := max(0, int64(d.Total)-d.away())
		if least := max(before-wanted, wanted-before); moved != least {
			t.Fatalf("moved %d replicas where %d suffice: %v, before %v", moved, least, got, d.Current)
		}
	})
}

func TestIncrementsGoToTheFewestAndDecrementsComeFromTheMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		got := d.schedule().Division()
		for _, a := range d.clusters {
			for _, b := range d.clusters {
				beforeA, beforeB := max(0, d.Current[a.Name]), max(0, d.Current[b.Name])
				afterA, afterB := int64(got[a.Name]), int64(got[b.Name])
				if !a.Ready || !b.Ready {
					continue
				}
				if afterA > int64(beforeA) && afterA > afterB+1 {
					t.Fatalf("%s was raised to %d while %s has %d", a.Name, afterA, b.Name, afterB)
				}
				if afterB < int64(beforeB) && afterA > afterB+1 {
					t.Fatalf("%s was lowered to %d while %s has %d", b.Name, afterB, a.Name, afterA)
				}
			}
		}
	})
}

func TestSchedulingAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		if d.ready() == 0 {
			return
		}
		first := d.schedule()
		d.Current = first.Division()
		if got := d.schedule(); got.String() != first.String() {
			t.Fatalf("%s, then %s", first, got)
		}
	})
}

// TestRemainderIsFair divides one replica over n clusters for many workloads:
// each cluster gets its n-th part, give or take.
func TestRemainderIsFair(t *testing.T) {
	const workloads = 10_000
	for _, names := range [][]string{{"aws", "azure", "google"}, numbered(10), numbered(64)} {
		won := map[string]int{}
		var cs []schedule.Cluster
		for _, name := range names {
			cs = append(cs, schedule.Cluster{Name: name, Ready: true})
		}
		for i := range workloads {
			w := schedule.Workload{Key: fmt.Sprintf("deployments.apps/default/app-%d", i), Total: 1, Divided: true}
			won[schedule.Schedule(w, cs).Shares[0].Cluster]++
		}
		fair := workloads / len(names)
		for _, name := range names {
			if won[name] < fair*7/10 || won[name] > fair*13/10 {
				t.Errorf("%s won %d of %d among %d clusters, fair is %d", name, won[name], workloads, len(names), fair)
			}
		}
	}
}

func TestSummaryOfADecision(t *testing.T) {
	d := schedule.Schedule(schedule.Workload{Key: "k", Total: 6, Divided: true}, clusters("google aws azure"))
	if got, want := d.String(), "aws=2,azure=2,google=2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := schedule.Schedule(schedule.Workload{Key: "k"}, clusters("google aws!")); got.String() != "aws,google" || got.Division() != nil {
		t.Errorf("got %s and %v", got, got.Division())
	}
}

func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("cluster-%d", i)
	}
	return names
}

func BenchmarkSchedule(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("clusters=%d", n), func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			w := schedule.Workload{Key: "deployments.apps/default/whoami", Total: int32(3 * n), Divided: true, Current: map[string]int32{}}
			var cs []schedule.Cluster
			for _, name := range numbered(n) {
				cs = append(cs, schedule.Cluster{Name: name, Ready: random.IntN(10) > 0})
				w.Current[name] = random.Int32N(5)
			}
			b.ReportAllocs()
			for b.Loop() {
				schedule.Schedule(w, cs)
			}
		})
	}
}
