package workloads

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	testclock "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/record"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// moment is when the tests of what was decided when are.
var moment = time.Date(2026, 1, 31, 3, 30, 0, 0, time.Local)

func historyVerb(s genericiooptions.IOStreams) *cobra.Command {
	return NewHistoryCommand(s, testclock.NewFakePassiveClock(moment))
}

func recordedHistory() propagate.History {
	first := record.Outcome{At: moment.Add(-time.Hour), Object: "deployments.apps/default/web", Cause: "the object was written at the hub (generation 1)", Policy: "PlacementPolicy default/few",
		Now: map[string]int32{"aws": 3},
		Decision: schedule.Decision{Divided: true, Unplaced: 1, Reason: "google is full",
			Shares:   []schedule.Share{{Cluster: "aws", Replicas: 2, Reason: "even share"}},
			Rejected: []schedule.Rejection{{Cluster: "google", Reason: "not ready"}}}}
	last := record.Outcome{At: moment, Object: first.Object, Cause: "the object was deleted at the hub", Gone: true}
	return propagate.History{Object: first.Object, Entries: []record.Entry{
		{Outcome: &first}, {Write: &record.Write{At: first.At, Object: first.Object, Cluster: "aws", Verb: "create"}},
		{Write: &record.Write{At: first.At, Object: first.Object, Cluster: "azure", Verb: "patch", Error: "quota"}}, {Outcome: &last},
	}}
}

func TestHistory(t *testing.T) {
	h := hubtest.New(t)
	var asked string
	h.Handle("GET "+propagate.PathHistory, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query().Encode()
		answer := recordedHistory()
		switch q := r.URL.Query(); {
		case q.Get("name") == "none":
			answer.Entries = nil
		case q.Get("at") != "":
			answer.Entries = answer.Entries[:1]
		}
		hubtest.Respond(w, http.StatusOK, answer)
	})
	try(t, h, historyVerb,
		example{line: "deploy/web --since 2h", out: `TIME                  WHAT      WHERE   WHY
2026-01-31 02:30:00   decided   aws=2   the object was written at the hub (generation 1); google is full
2026-01-31 02:30:00   create    aws     as decided
2026-01-31 02:30:00   patch     azure   quota
2026-01-31 03:30:00   gone      -       the object was deleted at the hub
`},
		example{line: "deploy/web -o jsonpath={.entries[1].write.verb}", out: "create"},
		example{line: "deploy/none", error: "nothing is recorded of deploy/none"},
		example{line: "deploy/web --since yesterday", error: `--since: "yesterday" is no moment of the past`})
	try(t, h, whyVerb,
		example{line: "deploy/web --at 02:40", out: `deploy/web: aws=2
not placed: 1 replica
decided 2026-01-31 02:30:00, because the object was written at the hub (generation 1); google is full
policy: PlacementPolicy default/few
CLUSTER   CHOSEN   REPLICAS   STATE   REASON
aws       yes      2          -       even share
google    no       -          -       not ready
aws: ran 3 until others were ready
`},
		example{line: "deploy/none --at 10m", error: "nothing is recorded of deploy/none at 2026-01-31 03:20:00"},
		example{line: "deploy/web --at noon", error: `--at: "noon" is no moment of the past`})
	out, _, err := h.Run(t, historyVerb, "", "deploy/web", "-n", "shop", "-o", "wide")
	if err != nil || !strings.Contains(out, "aws=2, meanwhile 3   even share") || !strings.Contains(out, "not google           not ready") {
		t.Errorf("%v: wide is\n%s", err, out)
	}
	if asked != "limit=100&name=web&namespace=shop&resource=deployments.apps" {
		t.Errorf("asked is %s", asked)
	}
}

func TestParseWhen(t *testing.T) {
	for value, want := range map[string]time.Time{
		"10m": moment.Add(-10 * time.Minute), "10m ago": moment.Add(-10 * time.Minute), "2026-01-01T00:00:00Z": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		"03:12": time.Date(2026, 1, 31, 3, 12, 59, 999999999, time.Local), "03:30": time.Date(2026, 1, 31, 3, 30, 59, 999999999, time.Local),
		"03:12:05": time.Date(2026, 1, 31, 3, 12, 5, 0, time.Local), "23:00": time.Date(2026, 1, 30, 23, 0, 59, 999999999, time.Local),
	} {
		if got, err := parseWhen(value, testclock.NewFakePassiveClock(moment)); err != nil || !got.Equal(want) {
			t.Errorf("%s is %s, %v", value, got, err)
		}
	}
	for _, value := range []string{"", "-5m", "now", "ago", "25:00"} {
		if got, err := parseWhen(value, testclock.NewFakePassiveClock(moment)); err == nil {
			t.Errorf("%q is %s", value, got)
		}
	}
}

func TestReplay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "flight")
	clock := testclock.NewFakeClock(moment)
	r, err := record.Open(dir, 1<<20, decide.Options{}, clock)
	if err != nil {
		t.Fatal(err)
	}
	world := decide.NewWorld(decide.Options{})
	in := decide.Served{GVR: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}}
	r.Trace(moment, in, world.Apply(in, moment), world.Checkpoint)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Run(ctx) // writes what waits, and ends
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("something that is no recording"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []example{
		{line: dir, out: fmt.Sprintf("replayed %s to %[1]s: 1 input, 0 decisions\nall is decided as it was\n", moment.Format(shownTime))},
		{line: dir + " -o jsonpath={.Inputs}", out: "1"},
		{line: t.TempDir(), error: "has nothing that can be replayed"},
		{line: "/none", error: "no such file"},
		{line: other, error: "no flight recording, or one of another version"},
	} {
		out, _, err := hubtest.Run(t, NewReplayCommand, "", strings.Fields(c.line)...)
		if out != c.out || (err == nil) != (c.error == "") || err != nil && !strings.Contains(err.Error(), c.error) {
			t.Errorf("%s prints %q, want %q; error %v, want %q", c.line, out, c.out, err, c.error)
		}
	}
}
