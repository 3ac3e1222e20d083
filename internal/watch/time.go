package watch

import (
	"context"
	"errors"
	"time"

	"k8s.io/utils/clock"
)

// pace keeps a server that ends each watch at once from being asked without rest: watchBurst at once, then one each
// watchEvery.
type pace struct{ next time.Time }

const (
	watchBurst = 10
	watchEvery = time.Second
)

// wait is how long the next watch has to wait.
func (p *pace) wait(now time.Time) time.Duration {
	if earliest := now.Add(-watchBurst * watchEvery); p.next.Before(earliest) {
		p.next = earliest
	}
	p.next = p.next.Add(watchEvery)
	return max(0, p.next.Sub(now))
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, c clock.WithDelayedExecution, d time.Duration) {
	if d <= 0 {
		return
	}
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
	case <-ctx.Done():
	}
}

// deadline is a context that ends when nothing has happened for too long. It has no goroutine.
type deadline struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  clock.Timer
}

// errSilent is why such a context has ended.
var errSilent = errors.New("nothing has been heard of the API server for too long")

func newDeadline(ctx context.Context, c clock.WithDelayedExecution, d time.Duration) *deadline {
	ctx, cancel := context.WithCancelCause(ctx)
	return &deadline{ctx, cancel, c.AfterFunc(d, func() { cancel(errSilent) })}
}

// stop lets it last, until extend.
func (d *deadline) stop() { d.timer.Stop() }

// extend has it end so long from now.
func (d *deadline) extend(by time.Duration) { d.timer.Reset(by) }

// close ends it.
func (d *deadline) close() {
	d.timer.Stop()
	d.cancel(nil)
}

// reason is err, or why it came about.
func (d *deadline) reason(err error) error {
	if cause := context.Cause(d.ctx); err != nil && errors.Is(cause, errSilent) {
		return cause
	}
	return err
}
