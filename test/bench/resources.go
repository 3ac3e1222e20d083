package main

import (
	"context"
	"time"
)

const (
	// settle is how long a fresh hub is left alone before its memory is read.
	settle = 10 * time.Second
	// idleFor is how long it is watched doing nothing.
	idleFor = 30 * time.Second
)

// fresh is what a hub with joined members and nothing else takes.
func (b *bench) fresh(ctx context.Context, w *world) error {
	if err := pause(ctx, settle); err != nil {
		return err
	}
	return b.reportMemory(w, "memory", "fresh", 450, "910")
}

// idle is what the same costs while nothing happens.
func (b *bench) idle(ctx context.Context, w *world) error {
	if _, _, err := quiet(ctx, w.hubPID()); err != nil {
		return err
	}
	before, err := cpu(w.hubPID())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := pause(ctx, idleFor); err != nil {
		return err
	}
	after, err := cpu(w.hubPID())
	if err != nil {
		return err
	}
	cores := (after - before).Seconds() / time.Since(began).Seconds()
	b.report.add(row{Group: "idle", Name: "idle, nothing federated", Value: cores, Unit: "core", Target: 0.03, Karmada: "0.055"})
	return nil
}

// reportMemory reads what the hub has resident now.
func (b *bench) reportMemory(w *world, group, when string, target float64, karmada string) error {
	resident, err := rss(w.hubPID())
	if err != nil {
		return err
	}
	proportional, err := pss(w.hubPID())
	if err != nil {
		return err
	}
	b.report.add(
		row{Group: group, Name: "RSS of the hub " + when, Value: resident, Unit: "MiB", Target: target, Karmada: karmada},
		row{Group: group, Name: "PSS of the hub " + when, Value: proportional, Unit: "MiB"},
	)
	return nil
}
