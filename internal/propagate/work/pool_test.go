package work

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("timed out waiting for %s", what)
	}
}

// TestAPoolHasWorkersWhileItHasKeys: all keys are worked off, by as many at once as may be, and then nobody waits.
func TestAPoolHasWorkersWhileItHasKeys(t *testing.T) {
	const most, keys = 8, 500
	var busy, top, done atomic.Int64
	var failed atomic.Bool
	full := make(chan struct{})
	p := NewPool(nil, clock.RealClock{}, most, func(_ context.Context, k template.Key) error {
		n := busy.Add(1)
		defer busy.Add(-1)
		for old := top.Load(); n > old && !top.CompareAndSwap(old, n); old = top.Load() {
		}
		if n == most && done.Load() == 0 {
			close(full)
		}
		<-full // so that all have to come
		if k.Name == "100" && failed.CompareAndSwap(false, true) {
			return errors.New("again")
		}
		done.Add(1)
		return nil
	}, nil)
	for i := range keys {
		p.Add(template.Key{Name: fmt.Sprint(i)})
	}
	if p.working.Load() != 0 {
		t.Error("somebody works before the start")
	}
	p.Start(t.Context())
	eventually(t, "all keys", func() bool { return done.Load() == keys && p.Len() == 0 && p.working.Load() == 0 })
	if n := top.Load(); n != most {
		t.Errorf("%d worked at once, want %d", n, most)
	}
	for i := range 1000 {
		p.Add(template.Key{Name: fmt.Sprint(i)}) // one by one
	}
	eventually(t, "the others", func() bool { return done.Load() == keys+1000 && p.working.Load() == 0 })
	p.Stop()
}
