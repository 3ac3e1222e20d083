package app

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestMemoryIsGivenBackWhenIdle(t *testing.T) {
	const mib = 1 << 20
	fresh := memory{allocated: 500 * mib, live: 180 * mib, inUse: 190 * mib, unused: 10 * mib, total: 300 * mib}
	for name, c := range map[string]struct {
		now  memory
		want bool
	}{
		"nothing to give":        {memory{allocated: 505 * mib, live: 180 * mib, inUse: 195 * mib, unused: 10 * mib, total: 300 * mib}, false},
		"garbage":                {memory{allocated: 570 * mib, live: 180 * mib, inUse: 260 * mib, unused: 10 * mib, total: 370 * mib}, true},
		"free, but not returned": {memory{allocated: 501 * mib, live: 180 * mib, inUse: 181 * mib, unused: 200 * mib, total: 490 * mib}, true},
		"busy":                   {memory{allocated: 900 * mib, live: 180 * mib, inUse: 500 * mib, unused: 10 * mib, total: 700 * mib}, false},
		"more live than in use":  {memory{allocated: 501 * mib, live: 300 * mib, inUse: 100 * mib, unused: 10 * mib, total: 490 * mib}, false},
	} {
		if got := returnable(fresh, c.now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheRuntimeKnowsWhatIsRead(t *testing.T) {
	m := readMemory()
	if m.allocated == 0 || m.inUse == 0 || m.total == 0 || m.total < m.inUse || m.fixed == 0 || m.fixed > m.total-m.inUse {
		t.Errorf("%+v", m)
	}
}

func TestTheLimitFollowsWhatIsLive(t *testing.T) {
	const mib = 1 << 20
	for m, want := range map[memory]int64{
		{}: 400 * mib, {live: 150 * mib, fixed: 60 * mib}: 400 * mib, {live: 216 * mib, fixed: 50 * mib, pieces: 80 * mib}: 482 * mib,
		{live: 1000 * mib, fixed: 200 * mib}: 2200 * mib, {live: 240 * mib, fixed: 80 * mib, pieces: 240 * mib}: 680 * mib,
	} {
		if got := m.limit(m.pieces); got != want {
			t.Errorf("%+v: %d MiB, want %d", m, got/mib, want/mib)
		}
	}
}

// TestAnOwnLimitIsKept: GOMEMLIMIT wins.
func TestAnOwnLimitIsKept(t *testing.T) {
	const own = 7 << 40
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := debug.SetMemoryLimit(own)
	defer debug.SetMemoryLimit(before)
	limitMemory(ctx)
	if got := debug.SetMemoryLimit(-1); got != own {
		t.Errorf("%d", got)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	done := make(chan struct{})
	ctx, cancel = context.WithCancel(t.Context())
	go func() { limitMemory(ctx); close(done) }()
	for debug.SetMemoryLimit(-1) == math.MaxInt64 && t.Context().Err() == nil {
		runtime.Gosched()
	}
	cancel()
	<-done
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("after the end the limit is %d", got)
	}
}
