package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	latencyRate    = 10 // objects a second
	latencyObjects = 200
)

// latency creates Deployments at an even rate, and measures from each call to each member's watch event.
func (b *bench) latency(ctx context.Context, w *world) error {
	l := deployments(len(w.members))
	namespace, err := b.prepare(ctx, w)
	if err != nil {
		return err
	}
	through, err := observeAll(ctx, w.members, l, namespace.hub)
	if err != nil {
		return err
	}
	defer through.close()
	if _, _, err := quiet(ctx, w.hubPID()); err != nil {
		return err
	}
	through.expect(latencyObjects, l.arrived)
	called, err := evenly(ctx, w.hub, l, namespace.hub)
	if err != nil {
		return err
	}
	if _, err := through.await(ctx); err != nil {
		return err
	}
	var delays []time.Duration
	for _, o := range through {
		for name, s := range o.snapshot() {
			delays = append(delays, s.at.Sub(called[name]))
		}
	}
	slices.Sort(delays)
	at := func(share float64) float64 { return quantile(delays, share).Seconds() * 1000 }
	b.report.add(
		row{Group: "latency", Name: fmt.Sprintf("at %d objects/s: median", latencyRate), Value: at(0.5), Unit: "ms", Target: 40, Karmada: "107,000 (1,000 at once)"},
		row{Group: "latency", Name: fmt.Sprintf("at %d objects/s: p99", latencyRate), Value: at(0.99), Unit: "ms", Target: 200},
	)
	return write(ctx, []*server{w.hub}, namespace.hub, names(latencyObjects), b.clients, l.remove)
}

// evenly creates objects at latencyRate and returns when each call was made.
func evenly(ctx context.Context, hub *server, l workload, namespace string) (map[string]time.Time, error) {
	called := map[string]time.Time{}
	results := make(chan error, latencyObjects)
	clock := time.NewTicker(time.Second / latencyRate)
	defer clock.Stop()
	for _, name := range names(latencyObjects) {
		select {
		case <-clock.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		called[name] = time.Now()
		go func() { results <- l.create(l.created)(ctx, hub, namespace, name) }()
	}
	for range latencyObjects {
		if err := <-results; err != nil {
			return nil, err
		}
	}
	return called, nil
}

// quantile of what is sorted.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
