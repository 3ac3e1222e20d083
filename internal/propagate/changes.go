package propagate

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// changes tells subscribers which objects' placements may have changed.
type changes struct {
	revision atomic.Uint64
	mu       sync.Mutex
	readers  map[*reader]struct{}
}

// reader collects keys until its subscriber takes them, so that a slow one
// misses none and holds nobody up.
type reader struct {
	mu    sync.Mutex
	dirty map[template.Key]struct{}
	wake  chan struct{}
}

func newChanges() *changes { return &changes{readers: map[*reader]struct{}{}} }

func (c *changes) notify(keys ...template.Key) {
	if len(keys) == 0 {
		return
	}
	c.revision.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.readers {
		r.add(keys)
	}
}

func (r *reader) add(keys []template.Key) {
	r.mu.Lock()
	for _, k := range keys {
		r.dirty[k] = struct{}{}
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reader) take() []template.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]template.Key, 0, len(r.dirty))
	for k := range r.dirty {
		keys = append(keys, k)
	}
	clear(r.dirty)
	return keys
}

// subscribe hands changed keys to deliver, from a goroutine of its own, until
// ctx ends or deliver returns false; then it calls done.
func (c *changes) subscribe(ctx context.Context, deliver func(template.Key) bool, done func()) {
	r := &reader{dirty: map[template.Key]struct{}{}, wake: make(chan struct{}, 1)}
	c.mu.Lock()
	c.readers[r] = struct{}{}
	c.mu.Unlock()
	go func() {
		defer done()
		defer func() {
			c.mu.Lock()
			delete(c.readers, r)
			c.mu.Unlock()
		}()
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			}
			for _, k := range r.take() {
				if !deliver(k) {
					return
				}
			}
		}
	}()
}
