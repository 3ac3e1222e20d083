package failover

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world looks at clusters as a hub does, second by second.
type world struct {
	*Judge
	now   time.Time
	names []string
	down  map[string]bool
}

func newWorld(settle time.Duration, names ...string) *world {
	w := &world{Judge: New(settle), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), names: names, down: map[string]bool{}}
	for _, n := range names {
		w.Add(n)
	}
	return w
}

// pass lets seconds go by, with a look at each cluster in each.
func (w *world) pass(seconds int) {
	for range seconds {
		w.now = w.now.Add(time.Second)
		for _, n := range w.names {
			if w.down[n] {
				w.Failed(n, w.now, w.now)
			} else {
				w.Answered(n, w.now, w.now)
			}
		}
		w.Weigh(w.now)
	}
}

func (w *world) lose(names ...string) {
	for _, n := range names {
		w.down[n] = true
	}
}

func (w *world) restore(names ...string) {
	for _, n := range names {
		delete(w.down, n)
	}
}

func (w *world) lost() string {
	var out []string
	for _, n := range w.names {
		if w.Lost(n, w.settle) {
			out = append(out, n)
		}
	}
	return strings.Join(out, ",")
}

func (w *world) want(t *testing.T, what, want string) {
	t.Helper()
	if got := w.lost(); got != want {
		t.Errorf("%s: lost are %q, want %q", what, got, want)
	}
}

const after = 30 * time.Second

func TestOneOfTwoAndOneOfThreeAreLost(t *testing.T) {
	for _, names := range [][]string{{"aws", "azure"}, {"aws", "azure", "google"}} {
		w := newWorld(after, names...)
		w.pass(5)
		w.lose("aws")
		w.pass(30)
		w.want(t, "29 s after the first failure", "")
		if next := w.Next(w.now, after, time.Hour); !next.Equal(w.now.Add(time.Second)) {
			t.Errorf("next look is at %s, want a second from %s", next, w.now)
		}
		w.pass(1)
		w.want(t, "30 s after", "aws")
		w.restore("aws")
		w.pass(1)
		w.want(t, "when it is back", "")
	}
}

func TestWhoIsAloneOrSeesNobodyLosesNothing(t *testing.T) {
	for _, names := range [][]string{{"aws"}, {"aws", "azure"}, {"aws", "azure", "google"}} {
		w := newWorld(after, names...)
		w.pass(5)
		w.lose(names...)
		w.pass(1000)
		w.want(t, strings.Join(names, " and ")+" away", "")
		if v, why := w.Explain("aws", after); v != CutOff || !strings.Contains(why, "hanse drain aws") {
			t.Errorf("explained as %d: %s", v, why)
		}
	}
}

func TestHalfBackCountsAnew(t *testing.T) {
	w := newWorld(after, "aws", "azure", "google")
	w.pass(5)
	w.lose("aws")
	w.pass(20)
	w.lose("azure")
	w.pass(1000)
	w.want(t, "two of three away", "")
	w.restore("azure")
	w.pass(30)
	w.want(t, "29 s after one of the two is back", "")
	w.pass(1)
	w.want(t, "30 s after", "aws")
}

func TestOneAfterTheOther(t *testing.T) {
	w := newWorld(after, "aws", "azure", "google")
	w.pass(5)
	w.lose("aws")
	w.pass(40)
	w.lose("azure")
	w.pass(31)
	w.want(t, "a second one, after the first was lost", "aws,azure")
	w.lose("google")
	w.pass(1000)
	w.want(t, "the last one", "aws,azure")
}

func TestNothingIsLostBeforeTheOthersWereHeard(t *testing.T) {
	w := newWorld(after, "aws", "azure", "google")
	// A hub that has just started: one refuses, two do not answer yet.
	for range 100 {
		w.now = w.now.Add(time.Second)
		w.Failed("aws", w.now, w.now)
	}
	w.want(t, "nobody else was heard", "")
	w.Answered("azure", w.now, w.now)
	w.Failed("aws", w.now, w.now)
	w.want(t, "one of three was heard", "")
	w.Answered("google", w.now, w.now)
	w.want(t, "two of three were heard", "aws")
}

func TestAHubThatWasStoppedCountsNoAbsence(t *testing.T) {
	w := newWorld(after, "aws", "azure", "google")
	w.pass(5)
	w.lose("aws")
	w.pass(3)
	w.now = w.now.Add(10 * time.Minute) // kill -STOP, kill -CONT
	w.Weigh(w.now)
	for _, n := range []string{"azure", "google"} {
		w.Answered(n, w.now, w.now)
	}
	w.want(t, "before aws was looked at again", "")
	w.restore("aws")
	w.pass(1)

	began := w.now
	w.now = w.now.Add(10 * time.Minute)
	w.Failed("aws", began, w.now) // a look that spans it
	for _, n := range []string{"azure", "google"} {
		w.Answered(n, w.now, w.now)
	}
	w.want(t, "after a look that spans it", "")
}

func TestOneLookThatFailsIsNotEnough(t *testing.T) {
	w := newWorld(5*time.Second, "aws", "azure", "google")
	w.pass(1)
	began := w.now
	w.now = w.now.Add(6 * time.Second)
	for _, n := range []string{"azure", "google"} {
		w.Answered(n, w.now, w.now)
	}
	w.Failed("aws", began, w.now) // no answer in time
	w.want(t, "after one look that took long", "")
	w.Failed("aws", w.now, w.now)
	w.want(t, "after another", "aws")
}

func TestOffIsNever(t *testing.T) {
	w := newWorld(after, "aws", "azure")
	w.lose("aws")
	w.pass(1000)
	if w.Lost("aws", 0) {
		t.Error("lost although failover is off")
	}
	if next := w.Next(w.now, 0); !next.IsZero() {
		t.Errorf("something is awaited: %s", next)
	}
}

func TestClustersThatLeaveAreForgotten(t *testing.T) {
	w := newWorld(after, "aws", "azure", "google")
	w.pass(1)
	w.lose("aws")
	w.pass(100)
	w.Keep(func(name string) bool { return name != "aws" })
	if w.Lost("aws", after) || w.Failing() {
		t.Error("a cluster that left is lost still")
	}
}

// TestLaws lets clusters go and come at random.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := []string{"a", "b", "c", "d", "e", "f", "g"}
		w := newWorld(after, all[:rapid.IntRange(1, len(all)).Draw(t, "clusters")]...)
		quick := 5 * time.Second
		away := map[string]int{} // seconds since the first look that failed
		wasLost := map[string]bool{}
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			name := rapid.SampledFrom(w.names).Draw(t, "who")
			if rapid.Bool().Draw(t, "goes") {
				w.lose(name)
			} else {
				w.restore(name)
			}
			for range rapid.IntRange(1, 60).Draw(t, "seconds") {
				before := map[string]bool{}
				settled, failing := 0, 0
				for _, n := range w.names {
					before[n] = w.Lost(n, after)
					_, known := away[n]
					switch {
					case !known || !w.down[n]:
					case before[n]:
						settled++
					default:
						failing++
					}
				}
				w.pass(1)
				for _, n := range w.names {
					if !w.down[n] {
						delete(away, n)
						wasLost[n] = false
					} else if _, ok := away[n]; ok {
						away[n]++
					} else {
						away[n] = 0
					}
					lost, lostQuick := w.Lost(n, after), w.Lost(n, quick)
					switch {
					case lost && !w.down[n]:
						t.Fatalf("%s is in reach and lost", n)
					case lost && away[n] < 30, lostQuick && away[n] < 5:
						t.Fatalf("%s is lost after %d s", n, away[n])
					case wasLost[n] && !lost:
						t.Fatalf("%s was lost, is still away, and is lost no more", n)
					case lost && !before[n] && 2*failing > len(w.names)-settled:
						t.Fatalf("%s is lost although %d of %d others are away too", n, failing, len(w.names)-settled)
					case lost && !lostQuick:
						t.Fatalf("%s is lost for a long time and not for a short one", n)
					}
					wasLost[n] = lost
				}
			}
		}
	})
}
