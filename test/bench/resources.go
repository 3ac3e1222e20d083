package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// settle is how long a fresh hub is left alone before its memory is read.
	settle = 10 * time.Second
	// idleFor is how long it is watched doing nothing.
	idleFor = 30 * time.Second
)

// measureFresh is what a hub with joined members and nothing else takes.
func (b *bench) measureFresh(ctx context.Context, w *world) error {
	if err := pause(ctx, settle); err != nil {
		return err
	}
	var err error
	if b.fresh, err = rss(w.hubPID()); err != nil {
		return err
	}
	if err := b.reportMemory(w, "memory", "fresh", 380, "910"); err != nil {
		return err
	}
	w.snapshot(ctx, "fresh")
	return nil
}

// memoryRounds is how often everything is created, changed and deleted to find the most that the hub takes.
const memoryRounds = 2

// memoryOfRounds is the most that a hub takes while objects come and go, and what is left of that a minute later.
func (b *bench) memoryOfRounds(ctx context.Context, w *world) error {
	fresh := b.fresh
	if fresh == 0 {
		var err error
		if fresh, err = rss(w.hubPID()); err != nil {
			return err
		}
	}
	if err := resetPeak(w.hubPID()); err != nil {
		return err
	}
	l := deployments(len(w.members))
	for i := range memoryRounds {
		b.progress("round %d of %d", i+1, memoryRounds)
		namespace, err := b.prepare(ctx, w)
		if err != nil {
			return err
		}
		if err := b.round(ctx, w, l, namespace.hub); err != nil {
			return err
		}
	}
	most, err := peak(w.hubPID())
	if err != nil {
		return err
	}
	if err := pause(ctx, time.Minute); err != nil {
		return err
	}
	left, err := rss(w.hubPID())
	if err != nil {
		return err
	}
	w.snapshot(ctx, "rounds-after")
	b.report.add(
		row{Group: "memory", Name: fmt.Sprintf("peak of %d rounds with %d %s × %d", memoryRounds, b.objects, l.resource, len(w.members)), Value: most, Unit: "MiB", Target: 600, Karmada: "3,350–3,790"},
		row{Group: "memory", Name: "a minute later, times fresh", Value: left / fresh, Unit: "×", Target: 1.1},
	)
	return nil
}

// round creates, changes and deletes objects through the hub.
func (b *bench) round(ctx context.Context, w *world, l workload, namespace string) error {
	members, err := observeAll(ctx, w.members, l, namespace)
	if err != nil {
		return err
	}
	defer members.close()
	for _, p := range phases(l, b.objects) {
		members.expect(p.objects, p.number)
		if err := write(ctx, []*server{w.hub}, namespace, names(b.objects), b.clients, p.hub); err != nil {
			return err
		}
		if _, err := members.await(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if p.fullWhenEnded {
			w.snapshot(ctx, "rounds-created")
		}
	}
	return nil
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
