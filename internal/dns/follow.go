package dns

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
)

// requestsPerSecond and requestBurst bound the requests for one resource.
const (
	requestsPerSecond = 5
	requestBurst      = 20
)

// source lists and watches one resource.
type source struct {
	name    string
	example runtime.Object
	list    func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch   func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// sink takes in what a source says; one call at a time.
type sink[T any] struct {
	replace func([]T)
	apply   func(T)
	remove  func(T)
	// outcome hears of each request that failed, and with nil of each watch that goes
	// on where the one before ended; nil: nobody wants to know.
	outcome func(error)
}

func (s sink[T]) tell(ctx context.Context, err error) {
	if s.outcome != nil && ctx.Err() == nil {
		s.outcome(err)
	}
}

// follow lists and watches until ctx ends, through whatever happens to the
// connection.
func follow[T any](ctx context.Context, s source, labels string, into sink[T]) {
	// A Reflector asks again at once after some answers; a server must not keep the hub
	// busy with these.
	pace := flowcontrol.NewTokenBucketRateLimiter(requestsPerSecond, requestBurst)
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			if err := pace.Wait(ctx); err != nil {
				return nil, err
			}
			o.LabelSelector = labels
			list, err := s.list(ctx, o)
			if err != nil {
				into.tell(ctx, err)
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if err := pace.Wait(ctx); err != nil {
				return nil, err
			}
			o.LabelSelector = labels
			w, err := s.watch(ctx, o)
			// One that begins with a list has said nothing yet, and a list follows if it fails.
			if o.SendInitialEvents == nil || !*o.SendInitialEvents {
				into.tell(ctx, err)
			}
			return w, err
		},
	}
	cache.NewReflectorWithOptions(lw, s.example, store[T]{into}, cache.ReflectorOptions{
		Name:    s.name,
		Backoff: &wait.Backoff{Duration: 200 * time.Millisecond, Cap: 3 * time.Second, Steps: 10, Factor: 2, Jitter: 0.5},
	}).RunWithContext(ctx)
}

// store makes a sink of what a Reflector expects.
type store[T any] struct{ sink sink[T] }

func (s store[T]) Add(o any) error    { return with(o, s.sink.apply) }
func (s store[T]) Update(o any) error { return with(o, s.sink.apply) }
func (s store[T]) Delete(o any) error { return with(o, s.sink.remove) }
func (s store[T]) Resync() error      { return nil }

func (s store[T]) Replace(list []any, _ string) error {
	all := make([]T, 0, len(list))
	for _, o := range list {
		if t, ok := o.(T); ok {
			all = append(all, t)
		}
	}
	s.sink.replace(all)
	return nil
}

func with[T any](o any, do func(T)) error {
	if t, ok := o.(T); ok {
		do(t)
	}
	return nil
}
