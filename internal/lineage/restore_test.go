package lineage

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// world is a hub's database with its history, and what was made by it: mine are
// the origins that this database, or the copy that it was made from, lived
// through.
type world struct {
	revision uint64
	ends     []uint64
	history  History
	mine     []Origin
}

func (w world) copy() world {
	return world{revision: w.revision, ends: slices.Clone(w.ends), history: w.history, mine: slices.Clone(w.mine)}
}

// boot sets the revision forward, as the hub does before it serves anybody.
func (w *world) boot(clock uint64) {
	w.ends = append(w.ends, w.revision)
	w.ends = w.ends[max(0, len(w.ends)-MaxEnds):]
	w.revision++ // the end is recorded
	w.revision = max(clock, w.revision+1)
}

// A hub knows what its database lived through and nothing else, however often it
// is restarted, fails to start, is copied and put back.
func TestAHubKnowsWhatItsDatabaseLivedThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock, names := uint64(1000), 0
		var now world
		var copies []world
		var all []Origin
		running := ""
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			// The clock may stand still, and goes on faster than revisions do.
			clock += rapid.Uint64Range(0, 1_000_000).Draw(t, "time")
			switch rapid.SampledFrom([]string{"start", "fail", "make", "make", "copy", "restore"}).Draw(t, "what") {
			case "start":
				now.boot(clock)
				now.revision += rapid.Uint64Range(0, 20).Draw(t, "writes")
				names++
				running = fmt.Sprint("s", names)
				now.history = now.history.Begin(running, Database{Revision: now.revision, Ends: now.ends})
				now.revision++ // the history is written
			case "fail":
				now.boot(clock)
				now.revision += rapid.Uint64Range(0, 20).Draw(t, "writes")
				running = ""
			case "make":
				if running == "" {
					continue
				}
				now.revision += rapid.Uint64Range(0, 50).Draw(t, "writes")
				o := Origin{Session: running, Revision: now.revision}
				now.mine, all = append(now.mine, o), append(all, o)
			case "copy":
				copies = append(copies, now.copy())
				if running != "" {
					now.revision += rapid.Uint64Range(1, 50).Draw(t, "writes") // what the copy does not have
				}
			case "restore":
				if len(copies) > 0 {
					now, running = rapid.SampledFrom(copies).Draw(t, "copy").copy(), ""
				}
			}
			if running == "" {
				continue
			}
			for _, o := range all {
				if want := slices.Contains(now.mine, o); now.history.Knows(o) != want {
					t.Fatalf("Knows(%s@%d) = %v, want %v in %+v", o.Session, o.Revision, !want, want, now.history)
				}
			}
		}
	})
}

// Where more starts have failed than are remembered, a session's end is not
// known, and what it made is asked about.
func TestForgottenEndsAreOnTheSafeSide(t *testing.T) {
	now := world{revision: 10, history: History{}.Begin("A", Database{Revision: 10})}
	now.revision = 100
	for i := range uint64(MaxEnds - 1) {
		now.boot(1000 * (i + 1))
	}
	if h := now.history.Begin("B", Database{Revision: now.revision, Ends: now.ends}); !h.Knows(Origin{Session: "A", Revision: 100}) {
		t.Error("as many as are remembered are too many")
	}
	for i := range uint64(2) {
		now.boot(1_000_000_000 * (i + 1))
	}
	if h := now.history.Begin("B", Database{Revision: now.revision, Ends: now.ends}); h.Knows(Origin{Session: "A", Revision: 150}) {
		t.Error("an end that is forgotten is made up")
	}
}
