package health

import (
	"cmp"
	"context"
	"hash/maphash"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/guard"
)

// Config is how a Prober goes about it.
type Config struct {
	Clock clock.WithTickerAndDelayedExecution
	// Networks are what may be probed.
	Networks Networks
	// Limits bound it; of what is 0 there is no limit.
	Limits Limits
}

// Prober probes a set of checks, each once an interval, or less often if there are too
// many.
type Prober struct {
	cfg     Config
	clock   clock.WithTickerAndDelayedExecution
	changed func(Check, Result)
	pool    *pool
	seed    maphash.Seed

	mu      sync.Mutex
	targets map[Check]*target
	left    map[Check]string // checks that are not made, and why
	running int              // probes under way
	by      map[string]int   // … by owner
	buckets map[string]*bucket
	all     bucket
	// ctx is that of Run; nil before.
	ctx context.Context
	// probes are those that are under way.
	probes sync.WaitGroup

	passes, failures atomic.Uint64
}

// target is a check that is probed. The Prober's mutex is for all of it but the
// request, which does not change.
type target struct {
	check   Check
	owner   string
	every   time.Duration
	request *request
	phase   time.Duration
	timer   clock.Timer // nil while nothing runs
	due     time.Time   // of the latest or next probe
	judge   judge
	message string
	gone    bool
}

// New returns a Prober. changed is called whenever the state of a check changes,
// by several goroutines at once; it should not block, since the next probe of
// that check waits for it. It may call the Prober.
func New(changed func(Check, Result), cfg Config) *Prober {
	return &Prober{
		cfg: cfg, clock: cfg.Clock, changed: changed, pool: newPool(&cfg.Networks, cfg.Limits.Idle), seed: maphash.MakeSeed(),
		targets: map[Check]*target{}, left: map[Check]string{}, by: map[string]int{}, buckets: map[string]*bucket{},
	}
}

// Set says what to probe from now on, for whom. Checks that were there keep their state,
// and others end: nothing is said of them any more once Set returns, but for
// what is under way. It does not block, and to set the same again does nothing.
func (p *Prober) Set(checks map[string][]Check) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := map[Check]struct{}{}
	left := map[Check]string{}
	shares := p.cfg.Limits.divide(checks, func(c Check) bool { return p.targets[c] != nil })
	for owner, s := range shares {
		for _, c := range s.checks {
			wanted[c] = struct{}{}
			if t, ok := p.targets[c]; ok {
				t.owner, t.every = owner, s.every(c)
			} else {
				p.add(c, owner, s.every(c))
			}
		}
	}
	for owner, all := range checks {
		if shares[owner].left == 0 {
			continue
		}
		for _, c := range all {
			if _, made := wanted[c]; !made {
				left[c] = p.cfg.Limits.tooMany(owner, shares[owner].left)
			}
		}
	}
	p.left = left
	p.tidy(shares)
	for c, t := range p.targets {
		if _, ok := wanted[c]; !ok {
			delete(p.targets, c)
			t.gone = true
			if t.timer != nil {
				t.timer.Stop()
			}
		}
	}
}

func (p *Prober) add(c Check, owner string, every time.Duration) {
	t := &target{check: c, owner: owner, every: every, request: newRequest(c), judge: newJudge(p.clock.Now()), message: "not probed yet"}
	// Probes are spread over the interval, whatever the order of checks. Those of
	// a tick wake the process only once.
	spread := time.Duration(maphash.Comparable(p.seed, c) % uint64(t.every))
	t.phase = spread.Truncate(tick)
	p.targets[c] = t
	if p.ctx != nil {
		p.start(t)
	}
}

const (
	// tick is the grain of the schedule: probes that begin together share the cost
	// of waking the process, which is most of what is not the network's.
	tick = 100 * time.Millisecond
	// first is within what time a new check is probed, so that it is known soon
	// even if its interval is long; a fifth of the interval, if that is longer.
	first = 2 * time.Second
	// crowded is how soon a probe is tried again for which there was no place.
	crowded = time.Second
)

// start begins to probe a target.
func (p *Prober) start(t *target) {
	now := p.clock.Now()
	wait := until(now, t.phase, min(max(first, t.every/5), t.every))
	t.due = now.Add(until(now, t.phase, t.every))
	if now.Add(wait).Before(t.due) {
		// A first probe ahead of the schedule.
		t.due = t.due.Add(-t.every)
	}
	t.timer = p.clock.AfterFunc(wait, func() { p.fire(t) })
}

// until is how long it is from now to the next time that is phase after a
// multiple of interval.
func until(now time.Time, phase, interval time.Duration) time.Duration {
	since := time.Duration(now.UnixNano()) % interval
	return (phase%interval-since+interval-1)%interval + 1
}

// next is when to probe again what was due: an interval later; at once, if that
// is over because the probe took so long. What was missed beyond that is left
// out.
func next(due, now time.Time, interval time.Duration) time.Time {
	due = due.Add(interval)
	if late := now.Sub(due); late > 0 {
		due = due.Add(late.Truncate(interval))
	}
	return due
}

// Result returns how a check is: Unknown if it is not in the set.
func (p *Prober) Result(c Check) Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.targets[c]
	if !ok {
		return Result{State: Unknown, Message: cmp.Or(p.left[c], "not probed")}
	}
	return t.result()
}

func (t *target) result() Result {
	return Result{State: t.judge.state, Since: t.judge.since, Message: t.message}
}

// Run probes until ctx ends. Only one Run may be called of a Prober.
func (p *Prober) Run(ctx context.Context) {
	p.mu.Lock()
	p.ctx = ctx
	for _, t := range p.targets {
		p.start(t)
	}
	p.mu.Unlock()

	sweep := p.clock.NewTicker(maxAge / 4)
	defer sweep.Stop()
	for {
		select {
		case now := <-sweep.C():
			p.pool.sweep(now)
		case <-ctx.Done():
			p.stop()
			return
		}
	}
}

// stop ends all probes and waits for those that are under way.
func (p *Prober) stop() {
	p.mu.Lock()
	for _, t := range p.targets {
		t.gone = true
		if t.timer != nil {
			t.timer.Stop()
		}
	}
	p.mu.Unlock()
	p.pool.close()
	p.probes.Wait()
}

// fire probes a target and sets its timer again.
func (p *Prober) fire(t *target) {
	p.mu.Lock()
	owner := t.owner
	switch {
	case t.gone || p.ctx.Err() != nil:
		p.mu.Unlock()
		return
	case !p.begin(owner):
		t.timer.Reset(min(crowded, t.every)) // as many as may be are under way
		p.mu.Unlock()
		return
	}
	p.probes.Add(1)
	defer p.probes.Done()
	ctx := p.ctx
	p.mu.Unlock()

	v := p.attempt(ctx, t.request)
	p.count(v)
	if result, ok := p.record(t, v); ok {
		p.changed(t.check, result)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(owner)
	if !t.gone {
		now := p.clock.Now()
		t.due = next(t.due, now, t.every)
		t.timer.Reset(t.due.Sub(now))
	}
}

// attempt is a probe that cannot end the process, whatever the answer is.
func (p *Prober) attempt(ctx context.Context, r *request) (v verdict) {
	defer func() {
		if cause := recover(); cause != nil {
			guard.Count(ctx, "dns-probe")
			klog.FromContext(ctx).Error(nil, "A probe panicked", "address", r.Address, "panic", cause, "stack", string(debug.Stack()))
			v = verdict{message: "its answer makes the probe fail: see the hub's log"}
		}
	}()
	return p.probe(ctx, r)
}

// record takes in a verdict; it returns true if it changed the state. What is
// seen of a target that is gone, or because Run ends, does not count.
func (p *Prober) record(t *target, v verdict) (Result, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.gone || p.ctx.Err() != nil {
		return Result{}, false
	}
	t.message = v.message
	changed := t.judge.see(p.clock.Now(), v.passed, t.request.Down, t.request.Up)
	return t.result(), changed
}
