package propagate

import (
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/hanse-dev/hanse/internal/kinds"
)

// First and longest delay between two attempts at the same object. A member
// that is away has no queue at all, so this is about single objects that a
// member refuses.
const (
	firstRetry   = 50 * time.Millisecond
	longestRetry = 30 * time.Second
)

// newQueue is a rate-limiting queue that hands out keys by the tier of their
// kind, first come first served within a tier.
func newQueue() workqueue.TypedRateLimitingInterface[Key] {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[Key](firstRetry, longestRetry)
	ordered := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[Key]{Queue: &tiers{}})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[Key]{Queue: ordered})
	return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[Key]{DelayingQueue: delaying})
}

// tiers is the order of a queue. The workqueue that it is part of does the
// locking.
type tiers struct {
	waiting [5][]Key
	count   int
}

func (t *tiers) Touch(Key) {}

func (t *tiers) Len() int { return t.count }

func (t *tiers) Push(k Key) {
	tier := min(kinds.Tier(k.GR), len(t.waiting)-1)
	t.waiting[tier] = append(t.waiting[tier], k)
	t.count++
}

func (t *tiers) Pop() Key {
	for i, keys := range t.waiting {
		if len(keys) > 0 {
			k := keys[0]
			keys[0] = Key{}
			t.waiting[i] = keys[1:]
			t.count--
			return k
		}
	}
	return Key{} // the workqueue never pops when Len is 0
}
