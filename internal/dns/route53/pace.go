package route53

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// requestsPerSecond is what Route 53 takes from an account.
const requestsPerSecond = 5

// Pace keeps requests apart. It may be used from anywhere.
type Pace struct {
	clock    clock.Clock
	mu       sync.Mutex
	interval time.Duration
	next     time.Time
}

// NewPace allows so many requests per second, evenly; 0: Route 53's limit.
func NewPace(perSecond float64, c clock.Clock) *Pace {
	if perSecond <= 0 {
		perSecond = requestsPerSecond
	}
	return &Pace{clock: c, interval: time.Duration(float64(time.Second) / perSecond)}
}

// wait blocks until it is this caller's turn, or ctx ends.
func (p *Pace) wait(ctx context.Context) error {
	p.mu.Lock()
	now := p.clock.Now()
	if p.next.Before(now) {
		p.next = now
	}
	turn := p.next
	p.next = turn.Add(p.interval)
	p.mu.Unlock()
	timer := p.clock.NewTimer(turn.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
