package propagate

import (
	"context"
	"sync"
	"time"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/work"
)

// Looking again at all that waits for room takes at most this part of one core's time: after each measurement, this many
// times what it took goes by until the next; but longestRest at most, so that what waits is moved within some seconds of
// the room.
const (
	restFactor  = 20
	longestRest = 5 * time.Second
)

// measured is the clusters of which what they have free is to be added up again.
type measured struct {
	mu    *sync.Mutex
	dirty map[string]bool
	news  chan struct{}
}

func newMeasured() measured {
	return measured{mu: &sync.Mutex{}, dirty: map[string]bool{}, news: make(chan struct{}, 1)}
}

func (m *measured) changed(cluster string) {
	m.mu.Lock()
	m.dirty[cluster] = true
	m.mu.Unlock()
	select {
	case m.news <- struct{}{}:
	default:
	}
}

func (m *measured) take() (clusters []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.dirty {
		clusters = append(clusters, name)
	}
	clear(m.dirty)
	return clusters
}

// measure tells the World what members have free, and what runs and waits there, until ctx ends.
func (e *Engine) measure(ctx context.Context) {
	r := e.running.Load()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.measured.news:
		}
		if r == nil {
			r = e.running.Load()
		}
		began := e.clock.Now()
		for _, name := range e.measured.take() {
			if view := e.measurer.View(name); view != nil {
				r.loop.apply(ctx, decide.Measured{Cluster: name, View: view})
				e.survival.note()
			}
		}
		if !work.Rest(ctx, e.clock, min(restFactor*e.clock.Since(began), longestRest), nil) {
			return
		}
	}
}
