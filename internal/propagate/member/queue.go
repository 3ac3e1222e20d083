package member

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// First and longest delay between two attempts at the same object. A member that is away has no queue at all, so
// this is about single objects that a member refuses.
const (
	firstRetry   = 50 * time.Millisecond
	longestRetry = 30 * time.Second
)

// workersAtOnce is how many requests one member is sent at once. A member that takes its time holds up nobody but itself.
const workersAtOnce = 32

// queue is a rate-limiting queue that hands out keys by the tier of their kind, first come first served within a tier. It has
// workers only while it has keys.
type queue struct {
	workqueue.TypedRateLimitingInterface[template.Key]
	crew *crew
}

// newQueue is a queue whose workers call do for each key once start has been called.
func newQueue(c clock.WithTicker, do func(context.Context, template.Key) error) *queue {
	q := &queue{crew: &crew{do: do}}
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[template.Key](firstRetry, longestRetry)
	ordered := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[template.Key]{Queue: &tiers{pushed: q.crew.pushed}, Clock: c})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[template.Key]{Queue: ordered, Clock: c})
	q.TypedRateLimitingInterface = workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[template.Key]{DelayingQueue: delaying, Clock: c})
	q.crew.queue = q.TypedRateLimitingInterface
	return q
}

// start lets the workers begin; what they do ends with ctx.
func (q *queue) start(ctx context.Context) {
	q.crew.ctx.Store(&ctx)
	q.crew.hire()
}

// stop ends the queue, and waits for the workers.
func (q *queue) stop() {
	q.ShutDown()
	q.ShutDownWithDrain()
}

// crew is the workers of a queue.
type crew struct {
	queue   workqueue.TypedRateLimitingInterface[template.Key]
	do      func(context.Context, template.Key) error
	ctx     atomic.Pointer[context.Context] // nil: nobody works yet
	waiting atomic.Int64                    // keys in the queue that no worker is about to take
	working atomic.Int64
}

// pushed is called with each key that comes to be in the queue, with the queue's lock held.
func (c *crew) pushed() {
	c.waiting.Add(1)
	c.hire()
}

// hire begins a worker, unless there are enough.
func (c *crew) hire() {
	ctx := c.ctx.Load()
	if ctx == nil || c.waiting.Load() <= 0 {
		return
	}
	if c.working.Add(1) > workersAtOnce {
		c.working.Add(-1)
		return
	}
	go c.work(*ctx)
}

// work takes keys as long as there are any. As kube's controllers do it: an error, or a panic, puts the key back with a
// growing delay.
func (c *crew) work(ctx context.Context) {
	for c.take() {
		c.hire() // for what else waits
		key, quit := c.queue.Get()
		if quit {
			break
		}
		if ctx.Err() == nil {
			c.one(ctx, key)
		}
		c.queue.Done(key)
	}
	c.working.Add(-1)
	c.hire() // for a key that came after the last look
}

// take reserves a key of the queue, so that Get does not block.
func (c *crew) take() bool {
	for {
		n := c.waiting.Load()
		if n <= 0 {
			return false
		}
		if c.waiting.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

func (c *crew) one(ctx context.Context, key template.Key) {
	err := guard.Run(func() error { return c.do(ctx, key) })
	if stack := guard.Stack(err); stack != nil && c.queue.NumRequeues(key) == 0 {
		klog.FromContext(ctx).Error(err, "An object cannot be dealt with", "key", key.String(), "stack", string(stack))
	}
	if err != nil {
		klog.FromContext(ctx).V(2).Info("will be tried again", "key", key.String(), "reason", err.Error())
		c.queue.AddRateLimited(key)
	} else {
		c.queue.Forget(key)
	}
}

// tiers is the order of a queue. The workqueue that it is part of does the locking.
type tiers struct {
	waiting [5][]template.Key
	count   int
	pushed  func()
}

// Touch does nothing: a key that is queued again stays where it is.
func (t *tiers) Touch(template.Key) {}

// Len is how many keys there are.
func (t *tiers) Len() int { return t.count }

// Push adds a key.
func (t *tiers) Push(k template.Key) {
	tier := min(kinds.Tier(k.GR), len(t.waiting)-1)
	t.waiting[tier] = append(t.waiting[tier], k)
	t.count++
	t.pushed()
}

// Pop takes out the next key.
func (t *tiers) Pop() template.Key {
	for i, keys := range t.waiting {
		if len(keys) > 0 {
			k := keys[0]
			keys[0] = template.Key{}
			t.waiting[i] = keys[1:]
			if len(keys) == 1 {
				t.waiting[i] = nil
			}
			t.count--
			return k
		}
	}
	return template.Key{} // the workqueue never pops when Len is 0
}

// panicRest is how long a loop rests after a panic.
const panicRest = 5 * time.Second

// keep runs loop until ctx ends, again after a panic.
func keep(ctx context.Context, c clock.WithTicker, what string, loop func(context.Context)) {
	for ctx.Err() == nil {
		err := guard.Run(func() error {
			loop(ctx)
			return nil
		})
		if err == nil {
			return
		}
		klog.FromContext(ctx).Error(err, "Begun again after a fault", "what", what, "stack", string(guard.Stack(err)))
		sleep(ctx, c, panicRest)
	}
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, c clock.WithTicker, d time.Duration) {
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C():
	}
}
