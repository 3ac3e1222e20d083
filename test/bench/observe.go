package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	toolswatch "k8s.io/client-go/tools/watch"
)

// tick is how often something is asked that cannot be watched.
const tick = 20 * time.Millisecond

// sight is an object as a member's watch showed it last.
type sight struct {
	number  int
	version string
	at      time.Time
}

// observer watches the objects of a workload in one namespace of a member.
type observer struct {
	member *server
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	seen   map[string]sight
	counts map[int]int // objects by their number
	goal   func(o *observer) bool
	met    chan struct{}
	metAt  time.Time
	err    error
}

// observe starts watching; the caller closes.
func observe(ctx context.Context, member *server, l workload, namespace string) (*observer, error) {
	ctx, cancel := context.WithCancel(ctx)
	version, err := member.version(ctx, fmt.Sprintf(l.path, namespace))
	if err != nil {
		cancel()
		return nil, err
	}
	// A server that has too much to do may end a watch; this one goes on where it was.
	w, err := toolswatch.NewRetryWatcherWithContext(ctx, version, watching(func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		return l.watch(ctx, member.watch, namespace, o)
	}))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watching %s in %s: %w", l.resource, member.name, err)
	}
	o := &observer{member: member, cancel: cancel, done: make(chan struct{}), seen: map[string]sight{}, counts: map[int]int{}}
	go func() {
		defer close(o.done)
		defer w.Stop()
		for event := range w.ResultChan() {
			o.note(event, l)
		}
		o.fail(errors.New("the watch has ended"))
	}()
	return o, nil
}

// watching is a way to watch, as the retrying watcher wants it.
type watching func(context.Context, metav1.ListOptions) (watch.Interface, error)

// WatchWithContext is part of cache.WatcherWithContext.
func (w watching) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	return w(ctx, o)
}

func (o *observer) close() {
	o.cancel()
	<-o.done
}

func (o *observer) note(event watch.Event, l workload) {
	now := time.Now()
	object, err := meta.Accessor(event.Object)
	if err != nil {
		return // an error event; the end of the watch follows
	}
	name := object.GetName()
	o.mu.Lock()
	defer o.mu.Unlock()
	if old, ok := o.seen[name]; ok {
		o.counts[old.number]--
		delete(o.seen, name)
	}
	if event.Type != watch.Deleted {
		n := l.number(event.Object)
		o.counts[n]++
		o.seen[name] = sight{number: n, version: object.GetResourceVersion(), at: now}
	}
	o.check(now)
}

// check closes met when the goal is reached. The caller holds mu.
func (o *observer) check(now time.Time) {
	if o.goal != nil && o.goal(o) {
		o.goal, o.metAt = nil, now
		close(o.met)
	}
}

func (o *observer) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = fmt.Errorf("%s: %w", o.member.name, err)
	if o.goal != nil {
		o.goal = nil
		close(o.met)
	}
}

// expect sets what await waits for: so many objects of that number, or none at all.
func (o *observer) expect(objects, number int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.met = make(chan struct{})
	o.goal = func(o *observer) bool {
		if objects == 0 {
			return len(o.seen) == 0
		}
		return o.counts[number] == objects
	}
	o.check(time.Now())
}

// await returns when the goal was reached.
func (o *observer) await(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-o.met:
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.goal != nil {
		return time.Time{}, fmt.Errorf("%s has %d objects, by number %v: %w", o.member.name, len(o.seen), o.counts, ctx.Err())
	}
	return o.metAt, o.err
}

// snapshot is everything that is there.
func (o *observer) snapshot() map[string]sight {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.seen)
}

// observers watch the same in several members.
type observers []*observer

func observeAll(ctx context.Context, members []*server, l workload, namespace string) (observers, error) {
	var all observers
	for _, m := range members {
		o, err := observe(ctx, m, l, namespace)
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func (all observers) close() {
	for _, o := range all {
		o.close()
	}
}

func (all observers) expect(objects, number int) {
	for _, o := range all {
		o.expect(objects, number)
	}
}

// await returns when the last member reached its goal.
func (all observers) await(ctx context.Context) (time.Time, error) {
	var last time.Time
	for _, o := range all {
		at, err := o.await(ctx)
		if err != nil {
			return last, err
		}
		if at.After(last) {
			last = at
		}
	}
	return last, nil
}
