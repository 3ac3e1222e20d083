package rollout

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// world is clusters whose pods follow what they were let have.
type world struct {
	in       Input
	state    *State
	has      map[string]string // revision by cluster
	slow     map[string]bool   // not ready with what they have
	events   []string
	last     Output
	restarts bool // the state goes through its annotation each time
}

func newWorld(steps ...Step) *world {
	w := &world{has: map[string]string{}, slow: map[string]bool{}}
	w.in = Input{Revision: "r1", Steps: steps, Deadline: time.Minute, Stop: true, Now: noon}
	for _, s := range steps {
		for _, name := range s.Clusters {
			w.in.Clusters = append(w.in.Clusters, Cluster{Name: name})
			w.has[name] = "r1"
		}
	}
	w.look()
	return w
}

func byCluster(names ...string) []Step {
	var out []Step
	for _, n := range names {
		out = append(out, Step{Name: n, Clusters: []string{n}})
	}
	return out
}

// look advances once and lets the clusters take what they may have.
func (w *world) look() Output {
	for i := range w.in.Clusters {
		c := &w.in.Clusters[i]
		c.Updated = w.has[c.Name] == w.in.Revision
		c.Ready = c.Updated && !w.slow[c.Name]
	}
	w.last = Advance(w.state, w.in)
	w.state = w.last.State
	if w.restarts {
		parsed, err := Parse(w.state.String())
		if err != nil {
			panic(err)
		}
		w.state = parsed
	}
	if w.state.Stopped != "" {
		w.in.Held = true
	}
	for _, e := range w.last.Events {
		w.events = append(w.events, e.Reason+" "+e.Message)
	}
	for _, c := range w.in.Clusters {
		if w.state.Opens(c.Name, w.in.Revision) && !c.Away {
			w.has[c.Name] = w.in.Revision
		}
	}
	return w.last
}

// settle looks until nothing changes any more.
func (w *world) settle(t interface{ Fatalf(string, ...any) }) Output {
	for range 6*len(w.in.Clusters) + 10 {
		before, has := w.state.String(), fmt.Sprint(w.has)
		w.look()
		if w.state.String() == before && fmt.Sprint(w.has) == has {
			return w.last
		}
	}
	t.Fatalf("does not come to rest: %s", w.state)
	return Output{}
}

func (w *world) cluster(name string) *Cluster {
	for i := range w.in.Clusters {
		if w.in.Clusters[i].Name == name {
			return &w.in.Clusters[i]
		}
	}
	return nil
}

func (w *world) updated() string {
	var out []string
	for _, c := range w.in.Clusters {
		if w.has[c.Name] == w.in.Revision {
			out = append(out, c.Name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func (w *world) expect(t *testing.T, phase, updated string) {
	t.Helper()
	if got := w.settle(t); got.Phase != phase || w.updated() != updated {
		t.Fatalf("%s (%s) with the change in %q, want %s with it in %q", got.Phase, got.Message, w.updated(), phase, updated)
	}
}

func TestWhatIsCreatedGoesEverywhereAtOnce(t *testing.T) {
	w := newWorld(byCluster("aws", "azure")...)
	if !w.state.Done || !w.state.Opens("azure", "r1") || !w.state.Opens("joins-later", "r1") {
		t.Fatalf("%s", w.state)
	}
	var none *State
	if !none.Opens("aws", "r1") {
		t.Error("without a state a cluster has to wait")
	}
}

func TestOneStepAfterAnother(t *testing.T) {
	w := newWorld(Step{"eu", []string{"azure", "ovh"}}, Step{"us", []string{"aws"}})
	w.slow = map[string]bool{"azure": true, "aws": true}
	w.in.Revision = "r2"
	w.expect(t, Progressing, "azure,ovh")
	if want := "step eu waits for azure to be ready"; w.last.Message != want {
		t.Errorf("%q, want %q", w.last.Message, want)
	}
	w.slow["azure"] = false
	w.expect(t, Progressing, "aws,azure,ovh")
	w.slow["aws"] = false
	w.expect(t, Complete, "aws,azure,ovh")
	want := []string{"RolloutStep step eu: revision r2 goes to azure, ovh", "RolloutStepDone step eu is done",
		"RolloutStep step us: revision r2 goes to aws", "RolloutStepDone step us is done", "RolloutComplete revision r2 is in all clusters"}
	if !reflect.DeepEqual(w.events, want) {
		t.Errorf("events %q", w.events)
	}
}

func TestWaitBetweenSteps(t *testing.T) {
	w := newWorld(byCluster("aws", "azure")...)
	w.in.Wait = 10 * time.Minute
	w.in.Revision = "r2"
	w.expect(t, Waiting, "aws")
	if w.last.Again != 10*time.Minute {
		t.Errorf("looks again after %s", w.last.Again)
	}
	w.in.Now = w.in.Now.Add(9 * time.Minute)
	w.slow["aws"] = true // is not ready for a moment: waits again
	w.in.Progress = w.in.Now
	w.expect(t, Progressing, "aws")
	w.slow["aws"] = false
	w.expect(t, Waiting, "aws")
	w.in.Now = w.in.Now.Add(9 * time.Minute)
	w.expect(t, Waiting, "aws")
	w.in.Now = w.in.Now.Add(time.Minute)
	w.expect(t, Complete, "aws,azure") // nothing comes after azure: no wait
}

func TestPauseHoldsBeforeTheNextStep(t *testing.T) {
	w := newWorld(byCluster("aws", "azure")...)
	w.slow["aws"] = true
	w.in.Revision = "r2"
	w.expect(t, Progressing, "aws")
	w.in.Paused = true
	w.expect(t, Progressing, "aws")
	w.slow["aws"] = false
	w.expect(t, Paused, "aws")
	w.in.Paused = false
	w.expect(t, Complete, "aws,azure")
}

func TestFailureStops(t *testing.T) {
	for name, fail := range map[string]func(w *world){
		"the member says so": func(w *world) { w.cluster("azure").Failed = "quota exceeded" },
		"no progress": func(w *world) {
			w.in.Progress = w.in.Now
			w.in.Now = w.in.Now.Add(time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(byCluster("aws", "azure", "google")...)
			w.slow["azure"] = true
			w.in.Revision = "r2"
			w.expect(t, Progressing, "aws,azure")
			fail(w)
			w.expect(t, Stopped, "aws,azure")
			if !strings.Contains(w.last.Message, "azure: ") {
				t.Errorf("%q does not say what failed", w.last.Message)
			}
			w.cluster("azure").Failed, w.slow["azure"] = "", false
			w.expect(t, Stopped, "aws,azure") // until somebody looks
			w.slow["azure"] = true
			w.in.Held = false
			w.expect(t, Complete, "aws,azure,google")
			if !strings.Contains(w.last.Message, "azure failed and was skipped") {
				t.Errorf("%q", w.last.Message)
			}
		})
	}
}

func TestFailureIsPassedOverIfThePolicySaysSo(t *testing.T) {
	w := newWorld(byCluster("aws", "azure")...)
	w.in.Stop = false
	w.slow["aws"] = true
	w.in.Revision = "r2"
	w.expect(t, Progressing, "aws")
	w.cluster("aws").Failed = "quota exceeded"
	w.expect(t, Complete, "aws,azure")
}

func TestChangeInTheMiddleStartsAtTheFirstStep(t *testing.T) {
	w := newWorld(byCluster("aws", "azure", "google")...)
	w.slow["azure"] = true
	w.in.Revision = "r2"
	w.expect(t, Progressing, "aws,azure")
	w.in.Revision = "r3"
	w.slow["aws"] = true
	w.expect(t, Progressing, "aws")
	if w.has["azure"] != "r2" || w.state.Proven != "r1" {
		t.Errorf("azure has %s, proven is %s", w.has["azure"], w.state.Proven)
	}
}

func TestUndoInTheMiddle(t *testing.T) {
	w := newWorld(byCluster("aws", "azure", "google")...)
	w.slow["azure"] = true
	w.in.Revision = "r2"
	w.expect(t, Progressing, "aws,azure")
	w.cluster("azure").Failed = "crashes"
	w.expect(t, Stopped, "aws,azure")
	w.cluster("azure").Failed, w.slow["azure"] = "", false
	w.in.Revision = "r1" // the annotation of the stop is there still
	w.expect(t, Complete, "aws,azure,google")
	if w.state.Stopped != "" {
		t.Errorf("still stopped: %s", w.state)
	}
	for _, e := range w.events {
		if strings.Contains(e, "revision r1 goes to google") {
			t.Errorf("google has a turn for what it never left: %s", e)
		}
	}
}

func TestResumeGivesTheOthersTheirDeadlineAgain(t *testing.T) {
	w := newWorld(Step{"eu", []string{"azure", "ovh"}})
	w.slow = map[string]bool{"azure": true, "ovh": true}
	w.in.Revision = "r2"
	w.expect(t, Progressing, "azure,ovh")
	w.cluster("azure").Failed = "quota exceeded"
	w.expect(t, Stopped, "azure,ovh")
	w.in.Now = w.in.Now.Add(time.Hour)
	w.in.Held = false
	w.expect(t, Progressing, "azure,ovh")
}

func TestUndoDoesNotWaitForThoseThatNeverLeft(t *testing.T) {
	w := newWorld(byCluster("aws", "azure")...)
	w.slow["aws"] = true
	w.in.Revision = "r2"
	w.expect(t, Progressing, "aws")
	w.in.Revision = "r1"
	w.slow["azure"] = true // is being scaled, perhaps
	w.look()
	if w.updated() != "aws,azure" {
		t.Errorf("waits with %q: %s", w.updated(), w.last.Message)
	}
}

func TestAwayClustersHaveTheirTurnLater(t *testing.T) {
	w := newWorld(byCluster("aws", "azure", "google")...)
	w.cluster("azure").Away = true
	w.slow["google"] = true
	w.in.Revision = "r2"
	w.expect(t, Progressing, "aws,google")
	w.cluster("azure").Away = false
	w.expect(t, Progressing, "aws,google") // google is in motion
	w.slow["google"] = false
	w.expect(t, Complete, "aws,azure,google")
}

func TestAwayClustersLeaveTheRolloutIncomplete(t *testing.T) {
	w := newWorld(byCluster("aws", "azure")...)
	w.cluster("azure").Away = true
	w.in.Revision = "r2"
	w.expect(t, Progressing, "aws")
	if want := "azure out of reach, will get it when back"; w.last.Message != want {
		t.Errorf("%q, want %q", w.last.Message, want)
	}
}

func TestClusterThatGoesAwayInItsStepIsWaitedFor(t *testing.T) {
	w := newWorld(byCluster("aws", "azure")...)
	w.slow["aws"] = true
	w.in.Revision = "r2"
	w.expect(t, Progressing, "aws")
	w.cluster("aws").Away = true
	w.expect(t, Progressing, "aws")
	w.in.Now = w.in.Now.Add(2 * time.Minute)
	w.expect(t, Progressing, "aws,azure")
	if want := "aws out of reach, will get it when back"; w.last.Message != want {
		t.Errorf("%q, want %q", w.last.Message, want)
	}
	w.cluster("aws").Away = false
	w.in.Progress = w.in.Now
	w.slow["aws"] = false
	w.expect(t, Complete, "aws,azure")
}

// TestLaws runs rollouts in which anything happens at any time.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var steps []Step
		names := []string{"a", "b", "c", "d", "e", "f"}[:rapid.IntRange(1, 6).Draw(t, "clusters")]
		for i, n := range names {
			if i == 0 || rapid.Bool().Draw(t, "new step") {
				steps = append(steps, Step{Name: fmt.Sprint("s", i)})
			}
			last := &steps[len(steps)-1]
			last.Clusters = append(last.Clusters, n)
		}
		w := newWorld(steps...)
		w.in.Stop = rapid.Bool().Draw(t, "stop")
		w.in.Wait = time.Duration(rapid.IntRange(0, 2).Draw(t, "wait")) * time.Second
		w.restarts = rapid.Bool().Draw(t, "restarts")
		for range rapid.IntRange(1, 30).Draw(t, "events") {
			name := rapid.SampledFrom(names).Draw(t, "cluster")
			switch rapid.SampledFrom([]string{"change", "slow", "fail", "away", "pause", "resume", "time", "look"}).Draw(t, "event") {
			case "change":
				w.in.Revision = fmt.Sprint("r", rapid.IntRange(1, 4).Draw(t, "revision"))
			case "slow":
				w.slow[name] = !w.slow[name]
			case "fail":
				w.cluster(name).Failed = rapid.SampledFrom([]string{"", "quota"}).Draw(t, "why")
			case "away":
				w.cluster(name).Away = !w.cluster(name).Away
			case "pause":
				w.in.Paused = !w.in.Paused
			case "resume":
				w.in.Held = false
			case "time":
				w.in.Now = w.in.Now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
			}
			lawfulLook(t, w)
		}
		// At last all is well.
		w.in.Paused, w.in.Held = false, false
		clear(w.slow)
		for i := range w.in.Clusters {
			w.in.Clusters[i].Failed, w.in.Clusters[i].Away = "", false
		}
		for range 2*len(steps) + 4 {
			w.in.Held = false
			w.in.Now = w.in.Now.Add(10 * time.Second)
			w.in.Progress = w.in.Now
			lawfulLook(t, w)
		}
		if w.last.Phase != Complete || w.updated() != strings.Join(names, ",") {
			t.Fatalf("ends as %s (%s), %s", w.last.Phase, w.last.Message, w.state)
		}
	})
}

// earlier says whether the step of a comes before that of b.
func (w *world) earlier(a, b string) bool {
	for _, s := range w.in.Steps {
		if slices.Contains(s.Clusters, b) {
			return false
		}
		if slices.Contains(s.Clusters, a) {
			return true
		}
	}
	return false
}

// lawfulLook looks once and checks what must be true of every look.
func lawfulLook(t *rapid.T, w *world) {
	opened := func() []string {
		var out []string
		for _, c := range w.in.Clusters {
			if w.state.Opens(c.Name, w.in.Revision) {
				out = append(out, c.Name)
			}
		}
		return out
	}
	current := w.state.Current
	before, paused, held := opened(), w.in.Paused, w.in.Held && w.state.Stopped != "" && w.state.Revision == w.in.Revision
	updated := map[string]bool{}
	ready := map[string]bool{}
	for _, c := range w.in.Clusters {
		updated[c.Name] = w.has[c.Name] == w.in.Revision
		ready[c.Name] = updated[c.Name] && !w.slow[c.Name]
	}
	w.look()
	var fresh []string
	for _, name := range opened() {
		if !slices.Contains(before, name) && !updated[name] {
			fresh = append(fresh, name)
		}
	}
	if len(fresh) == 0 {
		return
	}
	if paused || held {
		t.Fatalf("%v begins while paused or stopped", fresh)
	}
	// Only one step, and nothing else in motion.
	for _, s := range w.in.Steps {
		in := 0
		for _, name := range fresh {
			if slices.Contains(s.Clusters, name) {
				in++
			}
		}
		if in > 0 && in != len(fresh) {
			t.Fatalf("%v are let through at once, of different steps", fresh)
		}
	}
	overdue := w.in.Now.Sub(w.in.Progress) >= w.in.Deadline
	for _, name := range before {
		c := w.cluster(name)
		if !w.earlier(name, fresh[0]) && !slices.Contains(current, name) {
			continue // of the same step or a later one, and had it already
		}
		if !ready[name] && !slices.Contains(w.state.Skipped, name) && !(c.Away && (overdue || !slices.Contains(w.state.Current, name))) {
			t.Fatalf("%v begins while %s is in motion: %s", fresh, name, w.state)
		}
	}
	// In order: whoever comes earlier has it, or is away.
	for _, s := range w.in.Steps {
		if slices.Contains(s.Clusters, fresh[0]) {
			break
		}
		for _, name := range s.Clusters {
			if !w.state.Opens(name, w.in.Revision) && !w.cluster(name).Away {
				t.Fatalf("%v begins before %s: %s", fresh, name, w.state)
			}
		}
	}
}
