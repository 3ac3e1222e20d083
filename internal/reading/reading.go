// Package reading follows a resource of an API server: it lists and watches, through
// whatever happens to the connection, and says when that fails for longer than a
// moment. Without that, what was known once would look true for ever.
package reading

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/guard"
)

// Resource is what is to be followed.
type Resource struct {
	// Name is for logs.
	Name string
	// Source lists and watches.
	Source cache.ListerWatcher
	// Example has the type of the objects.
	Example runtime.Object
	// Into takes in what is read. Its methods are called one at a time. A panic of
	// theirs is a failure to read: all is listed again after a while.
	Into cache.ReflectorStore
	// Told, if not nil, is called with why the resource cannot be read once that has
	// lasted a moment, again when the reason is another, and with nil when all has been
	// read again. It is called from any goroutine, one call at a time, and must not block.
	Told func(err error)
	// Clock is the real one if nil.
	Clock clock.WithDelayedExecution
}

// A connection that was cut is back within a moment, and that is no news.
const (
	// moment is how long reading has to fail before it is told: longer than the longest
	// pause between two attempts.
	moment = 3500 * time.Millisecond
	// slow is how long a list may take before that is told.
	slow = 5 * time.Second
)

// Retries. Whoever reads a member is ended when the member is away; what is left are
// faults of single resources. What made a panic will most likely make another.
const (
	firstRetry, lastRetry = 200 * time.Millisecond, 2 * time.Second
	firstPanic, lastPanic = time.Second, 30 * time.Second
)

// A server that ends each watch at once is not asked for more than this: so many at
// once, so many a second.
const (
	watchBurst = 10
	watchRate  = 1
)

// Follow keeps r.Into up to date until ctx ends.
func Follow(ctx context.Context, r Resource) {
	log := klog.FromContext(ctx).WithValues("reading", r.Name)
	if r.Clock == nil {
		r.Clock = clock.RealClock{}
	}
	h := &health{log: log, told: r.Told, clock: r.Clock}
	defer h.stop()
	source := &observed{ListerWatcherWithContext: cache.ToListerWatcherWithContext(r.Source), source: r.Source, health: h,
		over: ctx, limit: flowcontrol.NewTokenBucketRateLimiter(watchRate, watchBurst)}
	panics := 0
	for ctx.Err() == nil {
		err := follow(ctx, r, source, h)
		if guard.Stack(err) == nil {
			return
		}
		panics++
		guard.Count(ctx, "watch")
		log.Error(err, "What is read cannot be dealt with", "times", panics, "stack", string(guard.Stack(err)))
		h.broken(fmt.Errorf("%w (%d times; read again after a while)", err, panics))
		pause := r.Clock.NewTimer(min(firstPanic<<min(panics-1, 10), lastPanic))
		select {
		case <-ctx.Done():
			pause.Stop()
		case <-pause.C():
		}
	}
}

// follow blocks until ctx ends, or something panics: then it returns that.
func follow(ctx context.Context, r Resource, source cache.ListerWatcherWithContext, h *health) error {
	backoff := func() *wait.Backoff {
		return &wait.Backoff{Duration: firstRetry, Cap: lastRetry, Steps: 10, Factor: 2, Jitter: 0.5} // so 3 s at most
	}
	reflector := cache.NewReflectorWithOptions(both{source}, r.Example, store{r.Into, h}, cache.ReflectorOptions{Name: r.Name, Backoff: backoff(), Clock: r.Clock})
	// This is Reflector.RunWithContext, but for what is done about errors.
	return backoff().DelayWithReset(r.Clock, 2*time.Minute).Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		err := guard.Run(func() error { return reflector.ListAndWatchWithContext(ctx) })
		if guard.Stack(err) != nil {
			return false, err
		}
		if err != nil && ctx.Err() == nil {
			h.ended(err)
		}
		return false, nil
	})
}

// observed tells health what becomes of requests.
type observed struct {
	cache.ListerWatcherWithContext
	source cache.ListerWatcher
	health *health
	over   context.Context // a Reflector lists with a context of its own, which never ends
	limit  flowcontrol.RateLimiter
}

func (o *observed) ListWithContext(_ context.Context, options metav1.ListOptions) (runtime.Object, error) {
	o.health.begun()
	list, err := o.ListerWatcherWithContext.ListWithContext(o.over, options)
	if err != nil && o.over.Err() == nil {
		o.health.failed(err)
	}
	return list, err
}

func (o *observed) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	if err := o.limit.Wait(ctx); err != nil {
		return nil, err
	}
	listing := options.SendInitialEvents != nil && *options.SendInitialEvents
	if listing {
		o.health.begun()
	}
	w, err := o.ListerWatcherWithContext.WatchWithContext(ctx, options)
	switch {
	case err != nil && ctx.Err() == nil && !listing: // a list follows where listing is not known
		o.health.failed(err)
	case err == nil && !listing:
		o.health.reads() // it goes on where it was cut
	}
	return w, err
}

// both is an observed in the form that a Reflector takes.
type both struct{ cache.ListerWatcherWithContext }

func (b both) List(options metav1.ListOptions) (runtime.Object, error) {
	return b.ListWithContext(context.Background(), options)
}

func (b both) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return b.WatchWithContext(context.Background(), options)
}

// IsWatchListSemanticsUnSupported is asked by Reflectors: clients of tests say so.
func (b both) IsWatchListSemanticsUnSupported() bool {
	o, ok := b.ListerWatcherWithContext.(*observed)
	if !ok {
		return false
	}
	source, says := o.source.(interface{ IsWatchListSemanticsUnSupported() bool })
	return says && source.IsWatchListSemanticsUnSupported()
}

// store tells health when all has been read.
type store struct {
	cache.ReflectorStore
	health *health
}

func (s store) Replace(list []any, version string) error {
	if err := s.ReflectorStore.Replace(list, version); err != nil {
		return err
	}
	s.health.reads()
	return nil
}

var errNoAnswer = errors.New("the list has not been answered for " + slow.String())
