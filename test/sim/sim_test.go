package sim

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

var (
	histories = flag.Int("histories", 15, "how many histories")
	steps     = flag.Int("steps", 100, "steps of each")
	seed      = flag.Uint64("seed", 1, "the seed of the first; each further has the next")
	verbose   = flag.Bool("replay", false, "print what happens as it happens")
	keepGoing = flag.Bool("keep-going", false, "go on after a history has failed")
)

func TestMain(m *testing.M) {
	klog.SetLogger(logr.Discard())
	debug.SetGCPercent(1600)
	os.Exit(m.Run())
}

// TestHistories has random histories happen, and checks after each step what must always hold.
func TestHistories(t *testing.T) { playAll(t, false) }

// TestHistoriesWithResidencies is the same with a namespace that Residencies restrict.
func TestHistoriesWithResidencies(t *testing.T) { playAll(t, true) }

func playAll(t *testing.T, vault bool) {
	began, failed := time.Now(), 0
	for i := range uint64(*histories) {
		trace, wrong := play(t, *seed+i, *steps, *verbose, vault)
		if wrong == "" {
			continue
		}
		failed++
		file := filepath.Join(os.TempDir(), fmt.Sprintf("hanse-sim-%d.txt", *seed+i))
		if err := os.WriteFile(file, []byte(strings.Join(trace, "\n")+"\n"), 0o600); err != nil {
			t.Error(err)
		}
		t.Errorf("seed %d: %s\nThe whole replay is in %s. Try: make sim SEED=%d STEPS=%d HISTORIES=1\n%s",
			*seed+i, wrong, file, *seed+i, *steps, strings.Join(trace[max(0, len(trace)-25):], "\n"))
		if !*keepGoing {
			return
		}
	}
	t.Logf("%d histories of %d steps in %s, %d failed", *histories, *steps, time.Since(began).Round(time.Millisecond), failed)
}

// play has one history happen, in virtual time.
func play(t *testing.T, seed uint64, steps int, verbose, vault bool) (trace []string, wrong string) {
	synctest.Test(t, func(t *testing.T) {
		f := newFederation(t.Context(), seed)
		f.verbose, f.vault = verbose, vault
		f.start()
		defer func() {
			f.kill()
			trace = f.trace
		}()
		for _, m := range f.members[:3] {
			f.join(m)
		}
		writeNamespaceNow(f)
		if vault {
			makeVault(f)
		}
		for n := range steps {
			f.mu.Lock()
			f.note("step %d", n+1)
			f.mu.Unlock()
			f.step()
			f.unread()
			f.mu.Lock()
			f.watch.look()
			wrong = f.watch.report()
			f.mu.Unlock()
			if wrong != "" {
				return
			}
		}
		f.calm(seed%3 == 0)
		err := f.settle()
		if err == nil {
			err = f.rollWithoutTheDead()
		}
		if err == nil {
			err = f.nameOthers()
		}
		if err == nil && seed%2 == 1 {
			err = f.moveWhenRoomAppears()
		}
		f.mu.Lock()
		wrong = f.watch.report()
		f.mu.Unlock()
		if wrong == "" && err != nil {
			wrong = err.Error()
			for _, m := range f.members {
				f.note("what the hub says of %s: %+v", m.name, f.run.engine.Report(m.name))
			}
			f.note("WRONG: %s", wrong)
		}
	})
	return trace, wrong
}
