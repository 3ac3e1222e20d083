// Package work is how keys of objects are worked off at the hub and in members: queues that go by the tiers of kinds,
// workers that try again with back-off, loops that go on after a fault.
//
// What members and users write is data of others: whatever is in it, it must not end the process that serves all of them. So
// a panic is a failure of the key that it happened with, or of the loop, and nothing else.
package work

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Queue holds keys, each once. Whoever puts one on it never waits.
type Queue = workqueue.TypedRateLimitingInterface[template.Key]

// First and longest delay between two attempts at the same object.
const (
	firstRetry   = 50 * time.Millisecond
	longestRetry = 30 * time.Second
)

// NewQueue is a queue that hands out keys by the tier of their kind, first come first served within a
// tier. It is measured by m, which may be nil, until it is shut down.
func NewQueue(m *metrics.Queue, c clock.WithTicker) Queue { return newQueue(m, c, func() {}) }

func newQueue(m *metrics.Queue, c clock.WithTicker, pushed func()) Queue {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[template.Key](firstRetry, longestRetry)
	ordered := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[template.Key]{
		Name: m.Name(), MetricsProvider: m.Provider(), Clock: unhurried{c}, Queue: &tiers{pushed: pushed},
	})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[template.Key]{
		Name: m.Name(), MetricsProvider: m.Provider(), Clock: c, Queue: ordered,
	})
	limited := workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[template.Key]{DelayingQueue: delaying})
	return measured{limited, m}
}

// measured is a queue whose metrics end with it.
type measured struct {
	Queue
	metrics *metrics.Queue
}

// ShutDown lets what is on the queue be worked off, and takes nothing more.
func (m measured) ShutDown() {
	m.Queue.ShutDown()
	m.metrics.Close()
}

// measureEvery is how often a queue's work in progress is added up.
const measureEvery = 10 * time.Second

// unhurried is the clock of a queue that ticks less often: client-go adds up work in progress twice a second, which is too much
// where each of a thousand members has a queue.
type unhurried struct{ clock.WithTicker }

func (u unhurried) NewTicker(d time.Duration) clock.Ticker {
	return u.WithTicker.NewTicker(max(d, measureEvery))
}

// tiers is the order of a queue. The workqueue that it is part of does the locking.
type tiers struct {
	waiting [5][]template.Key
	count   int
	pushed  func() // called with each key that is added
}

func (t *tiers) Touch(template.Key) {}

func (t *tiers) Len() int { return t.count }

func (t *tiers) Push(k template.Key) {
	tier := min(kinds.Tier(k.GR), len(t.waiting)-1)
	t.waiting[tier] = append(t.waiting[tier], k)
	t.count++
	t.pushed()
}

func (t *tiers) Pop() template.Key {
	for i, keys := range t.waiting {
		if len(keys) > 0 {
			k := keys[0]
			keys[0] = template.Key{}
			t.waiting[i] = keys[1:]
			t.count--
			return k
		}
	}
	return template.Key{} // the workqueue never pops when Len is 0
}

// Off runs do for each key of q, as kube's controllers do: an error, or a panic, puts the key back with a growing delay. It
// returns when q is shut down. told, if not nil, hears of a key that fails when it begins to, and with nil when it does no
// more; never of each attempt.
func Off(ctx context.Context, q Queue, do func(context.Context, template.Key) error, told func(template.Key, error)) {
	for {
		key, quit := q.Get()
		if quit {
			return
		}
		if ctx.Err() == nil {
			attempt(ctx, q, key, do, told)
		}
		q.Done(key)
	}
}

func attempt(ctx context.Context, q Queue, key template.Key, do func(context.Context, template.Key) error, told func(template.Key, error)) {
	err := guard.Run(func() error { return do(ctx, key) })
	before := q.NumRequeues(key)
	if stack := guard.Stack(err); stack != nil {
		guard.Count(ctx, "propagation")
		if before == 0 {
			klog.FromContext(ctx).Error(err, "An object could not be processed", "key", key.String(), "stack", string(stack))
		}
	}
	if (err != nil) == (before == 0) && told != nil && ctx.Err() == nil {
		told(key, err)
	}
	if err != nil {
		q.AddRateLimited(key)
	} else {
		q.Forget(key)
	}
}

// panicRest is how long a loop rests after a panic.
const panicRest = 5 * time.Second

// Keep runs loop until ctx ends, again after a panic.
func Keep(ctx context.Context, c clock.Clock, what string, loop func(context.Context)) {
	for ctx.Err() == nil {
		err := guard.Run(func() error {
			loop(ctx)
			return nil
		})
		if err == nil {
			return
		}
		guard.Count(ctx, "propagation")
		klog.FromContext(ctx).Error(err, "Started again after a fault", "what", what, "stack", string(guard.Stack(err)))
		Rest(ctx, c, panicRest, nil)
	}
}

// Rest blocks for a while, or until ctx ends or woken has something; it is false when ctx has ended.
func Rest(ctx context.Context, c clock.Clock, d time.Duration, woken <-chan struct{}) bool {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
	case <-woken:
	}
	return ctx.Err() == nil
}
