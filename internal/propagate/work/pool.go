package work

import (
	"context"
	"sync/atomic"

	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Pool is a queue with workers of its own, which there are only while it holds keys.
type Pool struct {
	Queue
	most    int64
	do      func(context.Context, template.Key) error
	told    func(template.Key, error)
	ctx     atomic.Pointer[context.Context] // nil: nobody works yet
	waiting atomic.Int64                    // keys that no worker is about to take
	working atomic.Int64
}

// NewPool is a queue as NewQueue makes it, worked off by as many as most workers at once, as by Off.
func NewPool(m *metrics.Queue, c clock.WithTicker, most int, do func(context.Context, template.Key) error, told func(template.Key, error)) *Pool {
	p := &Pool{most: int64(most), do: do, told: told}
	p.Queue = newQueue(m, c, p.pushed)
	return p
}

// Start lets the workers begin; what they do ends with ctx. It does not block.
func (p *Pool) Start(ctx context.Context) {
	p.ctx.Store(&ctx)
	p.hire()
}

// Stop ends the queue, and waits for the workers.
func (p *Pool) Stop() {
	p.ShutDown()
	p.ShutDownWithDrain()
}

// Idle says whether nobody works.
func (p *Pool) Idle() bool { return p.working.Load() == 0 }

// pushed is called with each key that comes to be in the queue, with the queue's lock held.
func (p *Pool) pushed() {
	p.waiting.Add(1)
	p.hire()
}

// hire begins a worker, if there is anything to do and there are not enough.
func (p *Pool) hire() {
	ctx := p.ctx.Load()
	if ctx == nil || p.waiting.Load() <= 0 {
		return
	}
	if p.working.Add(1) > p.most {
		p.working.Add(-1)
		return
	}
	go p.work(*ctx)
}

// work takes keys as long as there are any.
func (p *Pool) work(ctx context.Context) {
	for p.take() {
		p.hire() // for what else waits
		key, quit := p.Get()
		if quit {
			break
		}
		if ctx.Err() == nil {
			attempt(ctx, p.Queue, key, p.do, p.told)
		}
		p.Done(key)
	}
	p.working.Add(-1)
	p.hire() // for a key that came after the last look
}

// take reserves a key of the queue, so that Get does not block.
func (p *Pool) take() bool {
	for {
		n := p.waiting.Load()
		if n <= 0 {
			return false
		}
		if p.waiting.CompareAndSwap(n, n-1) {
			return true
		}
	}
}
