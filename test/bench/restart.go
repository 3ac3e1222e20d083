package main

import (
	"context"
	"fmt"
	"time"
)

// restart kills the hub while it has something in place, and measures what comes after its start.
func (b *bench) restart(ctx context.Context, w *world) error {
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
	b.progress("fill the hub with %d %s", b.objects, l.resource)
	through.expect(b.objects, l.arrived)
	if err := write(ctx, []*server{w.hub}, namespace.hub, names(b.objects), b.clients, l.create(l.created)); err != nil {
		return err
	}
	if _, err := through.await(ctx); err != nil {
		return err
	}
	if _, _, err := quiet(ctx, w.hubPID()); err != nil {
		return err
	}
	before := through.snapshots()
	b.progress("kill -9 of the hub, and start it again")
	killed := time.Now()
	if err := w.kill(); err != nil {
		return err
	}
	through.expect(b.objects+1, l.arrived)
	began := time.Now()
	if err := w.spawnHub(); err != nil {
		return err
	}
	err = poll(ctx, tick, func() (bool, error) {
		_, err := w.hub.version(ctx, fmt.Sprintf(l.path, namespace.hub))
		return err == nil, nil
	})
	if err != nil {
		return err
	}
	answered := time.Now()
	if err := l.create(l.created)(ctx, w.hub, namespace.hub, "after-the-restart"); err != nil {
		return err
	}
	stop := w.profile(ctx, "restart")
	if err := w.awaitHub(ctx); err != nil {
		return err
	}
	ready := time.Since(began)
	arrived, err := through.await(ctx)
	if err != nil {
		return err
	}
	used, calm, err := quiet(ctx, w.hubPID())
	if err != nil {
		return err
	}
	stop()
	rewritten := 0
	for i, after := range through.snapshots() {
		for name, s := range before[i] {
			if after[name].version != s.version {
				rewritten++
			}
		}
	}
	group := "restart"
	b.report.add(
		row{Group: group, Name: fmt.Sprintf("kill -9 with %d × %d: answers again", b.objects, len(w.members)), Value: answered.Sub(began).Seconds(), Unit: "s"},
		row{Group: group, Name: "ready again", Value: ready.Seconds(), Unit: "s"},
		row{Group: group, Name: "a new object in all members, from the first answer", Value: arrived.Sub(answered).Seconds(), Unit: "s", Target: 2},
		row{Group: group, Name: "a new object in all members, from the kill", Value: arrived.Sub(killed).Seconds(), Unit: "s", Karmada: "29.5"},
		row{Group: group, Name: "objects rewritten in the members", Value: float64(rewritten), None: true, Karmada: "0"},
		row{Group: group, Name: "CPU of the hub until quiet", Value: used.Seconds(), Unit: "s", Target: 8, Karmada: "39"},
		row{Group: group, Name: "until quiet", Value: calm.Sub(began).Seconds(), Unit: "s", Karmada: "34"},
	)
	return b.reportMemory(w, group, "after the restart", 0, "")
}

// snapshots is what each member has.
func (all observers) snapshots() []map[string]sight {
	var result []map[string]sight
	for _, o := range all {
		result = append(result, o.snapshot())
	}
	return result
}
