package hub

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/lineage"
)

const (
	lineagePath = "/api/v1/namespaces/hanse-system/configmaps/hanse-lineage"
	seenPath    = "/api/v1/namespaces/hanse-system/configmaps/hanse-session"
)

func begin(t *testing.T, api *hubAPI, ends []uint64) *Run {
	t.Helper()
	r, err := Begin(t.Context(), api.client(t), ends, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRunsFollowEachOther in the history that is at the hub, each with the revision at which it began.
func TestRunsFollowEachOther(t *testing.T) {
	api := newHubAPI(t)
	first := begin(t, api, []uint64{})
	second := begin(t, api, []uint64{50})
	if len(first.Name) != 8 || first.Name == second.Name {
		t.Errorf("they are called %q and %q", first.Name, second.Name)
	}
	encoded, _, _ := unstructured.NestedString(api.get(lineagePath).Object, "data", "history")
	written, err := lineage.Decode(encoded)
	if err != nil || len(written.Sessions) != 2 || written.Sessions[0].Name != first.Name || written.Sessions[1].Name != second.Name {
		t.Fatalf("the history is %s (%v)", encoded, err)
	}
	if from := written.Sessions[0].From; from != 100 {
		t.Errorf("the first began at %d, want 100", from)
	}
	if !second.History.Lived(first.Name) || first.History.Lived(second.Name) {
		t.Error("they do not know of each other as they should")
	}
}

// TestOfTwoHubsOnOneDatabaseOneBegins.
func TestOfTwoHubsOnOneDatabaseOneBegins(t *testing.T) {
	api := newHubAPI(t)
	begin(t, api, nil)
	api.setFault(func(r *http.Request) fault {
		if r.Method == http.MethodPut { // another begins between
			api.put(lineagePath, api.get(lineagePath).Object)
		}
		return fault{}
	})
	if _, err := Begin(t.Context(), api.client(t), nil, clock.RealClock{}); err == nil || !strings.Contains(err.Error(), "write the hub's history") {
		t.Errorf("both began: %v", err)
	}
}

// TestAHistoryThatCannotBeReadIsNotOverwritten: it says what to do.
func TestAHistoryThatCannotBeReadIsNotOverwritten(t *testing.T) {
	api := newHubAPI(t)
	api.put(lineagePath, configMap(historyName, map[string]any{"history": "{"}).Object)
	if _, err := Begin(t.Context(), api.client(t), nil, clock.RealClock{}); err == nil || !strings.Contains(err.Error(), "Try: delete it") {
		t.Errorf("%v", err)
	}
	if data, _, _ := unstructured.NestedString(api.get(lineagePath).Object, "data", "history"); data != "{" {
		t.Errorf("it is %q now", data)
	}
	api.setFault(func(*http.Request) fault { return fault{code: 500} })
	if _, err := Begin(t.Context(), api.client(t), nil, clock.RealClock{}); err == nil {
		t.Error("a history that cannot be read is taken for none")
	}
}

// TestARunSaysHowFarItHasCome where nobody knows the ends of revisions, so that the next one knows how far a database that was
// set forward by somebody else had come.
func TestARunSaysHowFarItHasCome(t *testing.T) {
	api := newHubAPI(t)
	lines := &lines{}
	ctx := klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(lines))))
	c := clocktesting.NewFakeClock(time.Unix(1000, 0))
	r, err := Begin(ctx, api.client(t), nil, c)
	if err != nil {
		t.Fatal(err)
	}
	running(t, func(ended context.Context) { r.SayHowFar(klog.NewContext(ended, klog.FromContext(ctx))) })
	said := func(times int) func() bool {
		return func() bool { return api.asked("PATCH "+seenPath) >= times && c.HasWaiters() }
	}
	waitFor(t, "the first time", said(1))
	api.setFault(func(*http.Request) fault { return fault{code: 500} })
	for n := range 3 {
		if n == 2 {
			api.setFault(nil)
		}
		c.Step(seenInterval)
		waitFor(t, "the next time", said(n+2))
	}
	if n, m := strings.Count(lines.String(), "Cannot write"), strings.Count(lines.String(), "Can write again"); n != 1 || m != 1 {
		t.Errorf("it is logged %d times that it fails and %d times that it does no more", n, m)
	}
	seen := api.get(seenPath)
	if name, _, _ := unstructured.NestedString(seen.Object, "data", "session"); name != r.Name {
		t.Errorf("it says %v", seen)
	}

	api.mu.Lock()
	api.version += 1_000_000_000 // as a restore that bumps revisions
	api.mu.Unlock()
	next := begin(t, api, nil)
	if to := next.History.Sessions[0].To; to == 0 || to > 200 {
		t.Errorf("the first run ends at %d: what it wrote after the snapshot is taken for known", to)
	}
}

// TestWhereEndsAreKnownNothingIsSaid, which would cost a write each time.
func TestWhereEndsAreKnownNothingIsSaid(t *testing.T) {
	api := newHubAPI(t)
	begin(t, api, []uint64{}).SayHowFar(t.Context()) // returns
	if api.get(seenPath) != nil {
		t.Error("it says how far it has come")
	}
}

func TestARunKnowsWhetherItWasRestored(t *testing.T) {
	var none *Run
	if now, restored := none.Session("aws", "any"); now != "" || restored || none.TellsRestored("aws", 1) {
		t.Errorf("before it has begun: %q, %v", now, restored)
	}
	r := &Run{Name: "B", restored: map[string]int{},
		History: lineage.History{}.Begin("A", lineage.Database{Revision: 10}).Begin("B", lineage.Database{Revision: 20})}
	for last, want := range map[string]bool{"": false, "A": false, "B": false, "C": true} {
		if now, restored := r.Session("aws-"+last, last); now != "B" || restored != want {
			t.Errorf("after %q: %q, restored %v", last, now, restored)
		}
		if told := r.TellsRestored("aws-"+last, 19); told != want {
			t.Errorf("after %q: events are told: %v", last, told)
		}
	}
	if r.TellsRestored("aws-C", 20) {
		t.Error("what was written since is taken for older")
	}
	r.Session("aws-C", "C") // again: events are not counted from the start
	for range maxRestored - 1 {
		if !r.TellsRestored("aws-C", 19) {
			t.Fatal("events end early")
		}
	}
	if r.TellsRestored("aws-C", 19) {
		t.Error("there is no end of events")
	}
}
