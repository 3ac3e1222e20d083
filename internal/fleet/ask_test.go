package fleet

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func TestAMemberThatHangsIsSoonLetGo(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
	end := make(chan struct{})
	f.member.setIntercept(func(*http.Request) int { <-end; return http.StatusServiceUnavailable })
	began := time.Now()
	f.eventually(t, "let go", func() bool { return f.reason() == v1alpha1.ReasonNetworkUnreachable && !f.prop.isEngaged("aws") })
	if took := time.Since(began); took > probeInterval+patience+time.Second {
		t.Errorf("noticed after %s", took)
	}
	f.member.setIntercept(func(*http.Request) int { return 0 })
	close(end)
	f.eventually(t, "back", func() bool { return f.prop.isEngaged("aws") })
}

// A connection whose other end has gone without a word, as behind a NAT that has
// forgotten it, is not the member.
func TestADeadConnectionIsNotADeadMember(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
	var mu sync.Mutex
	learning, dead, served := true, map[string]bool{}, 0
	end := make(chan struct{})
	defer close(end)
	f.member.setIntercept(func(r *http.Request) int {
		mu.Lock()
		if learning {
			dead[r.RemoteAddr] = true
		}
		hangs := !learning && dead[r.RemoteAddr]
		if r.URL.Path == "/readyz" && !hangs {
			served++
		}
		mu.Unlock()
		if hangs {
			<-end
		}
		return 0
	})
	looks := func() int { mu.Lock(); defer mu.Unlock(); return served }
	f.eventually(t, "a look by the connection", func() bool { return looks() > 0 })
	mu.Lock()
	learning, served = false, 0
	mu.Unlock()
	f.eventually(t, "two looks by others", func() bool { return looks() >= 2 })
	if n, _ := f.prop.counts(); n != 1 || f.reason() != v1alpha1.ReasonReachable {
		t.Errorf("engaged %d times; %s", n, f.reason())
	}
}

// A member that gets slower bit by bit, up to the longest that is waited for, is
// never given up; one that is down has time to come back.
func TestABusyMemberIsWaitedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		well := newHealth().next(verdict{reason: v1alpha1.ReasonReachable})
		pace := time.Duration(0)
		took := time.Duration(rapid.Int64Range(0, int64(patience)).Draw(t, "first"))
		for range rapid.IntRange(1, 40).Draw(t, "looks") {
			limit := patienceFor(well, pace)
			if limit < patience || limit > longestPatience {
				t.Fatalf("waits for %s", limit)
			}
			if took > limit {
				t.Fatalf("an answer after %s is not waited for: only %s, at a pace of %s", took, limit, pace)
			}
			pace = nextPace(pace, took)
			took = min(took*time.Duration(rapid.IntRange(50, 250).Draw(t, "percent"))/100, longestPatience)
			took = min(took, max(patience, slower*pace))
		}
	})
	down := newHealth().next(verdict{reason: v1alpha1.ReasonNetworkUnreachable, silent: true})
	if !down.down() || patienceFor(down, 0) <= patience {
		t.Error("a member that is down cannot come back slowly")
	}
}
