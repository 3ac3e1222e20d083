package main

import (
	"context"
	"fmt"
	"time"
)

// phase is one of create, update, delete.
type phase struct {
	name          string
	floor, hub    call
	objects       int // that a member has at its end
	number        int // that they have
	target        float64
	karmada       string
	cpuTarget     float64
	cpuOfKarmada  string
	fullWhenEnded bool
}

func phases(l workload, objects int) []phase {
	return []phase{
		{name: "create", floor: l.create(l.arrived), hub: l.create(l.created), objects: objects, number: l.arrived,
			target: 2, karmada: l.karmada[0], cpuTarget: l.cpuTarget * float64(objects) / 1000, cpuOfKarmada: l.cpuOfKarmada, fullWhenEnded: true},
		{name: "update", floor: l.change(l.rearrived), hub: l.change(l.changed), objects: objects, number: l.rearrived,
			target: 2, karmada: l.karmada[1]},
		{name: "delete", floor: l.remove, hub: l.remove, target: 2, karmada: l.karmada[2]},
	}
}

// outcome is what one phase took, written straight to the members and through the hub.
type outcome struct {
	floor, hub   time.Duration
	called       time.Duration // until the hub had answered the last call
	cpu          time.Duration // of the hub, until it was quiet
	plain        time.Duration // CPU of a member for the floor
	members      map[string]int
	hubWrites    map[string]int
	memberWrites float64 // of this resource per object and member
	ownWrites    float64 // of all resources at the hub per object, the bench's own left out
}

// propagation writes objects straight to the members and then through the hub, phase by phase.
func (b *bench) propagation(ctx context.Context, w *world, l workload) error {
	namespace, err := b.prepare(ctx, w)
	if err != nil {
		return err
	}
	direct, err := observeAll(ctx, w.members, l, namespace.direct)
	if err != nil {
		return err
	}
	defer direct.close()
	through, err := observeAll(ctx, w.members, l, namespace.hub)
	if err != nil {
		return err
	}
	defer through.close()
	for _, p := range phases(l, b.objects) {
		out, err := b.phase(ctx, w, l, p, namespace, direct, through)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		b.tell(l, p, out)
		if p.fullWhenEnded {
			if err := b.reportMemory(w, l.resource, fmt.Sprintf("with %d %s × %d", b.objects, l.resource, len(w.members)), 900, "3,350–3,790"); err != nil {
				return err
			}
		}
	}
	return nil
}

// namespaces are where a benchmark writes.
type namespaces struct{ direct, hub string }

// prepare makes two Namespaces in all members, one of them through the hub.
func (b *bench) prepare(ctx context.Context, w *world) (namespaces, error) {
	w.rounds++
	n := namespaces{direct: fmt.Sprint("floor-", w.rounds), hub: fmt.Sprint("bench-", w.rounds)}
	if err := w.hub.createNamespace(ctx, n.hub); err != nil {
		return n, err
	}
	for _, m := range w.members {
		if err := m.createNamespace(ctx, n.direct); err != nil {
			return n, err
		}
		if err := m.awaitNamespace(ctx, n.hub); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (b *bench) phase(ctx context.Context, w *world, l workload, p phase, n namespaces, direct, through observers) (outcome, error) {
	all := names(b.objects)
	var out outcome
	b.progress("%s %d %s straight to %d members", p.name, b.objects, l.resource, len(w.members))
	direct.expect(p.objects, p.number)
	plain, err := w.memberCPU()
	if err != nil {
		return out, err
	}
	began := time.Now()
	if err := write(ctx, w.members, n.direct, all, b.clients, p.floor); err != nil {
		return out, err
	}
	ended, err := direct.await(ctx)
	if err != nil {
		return out, err
	}
	out.floor = ended.Sub(began)
	after, err := w.memberCPU()
	if err != nil {
		return out, err
	}
	out.plain = after - plain

	before, err := b.counters(ctx, w)
	if err != nil {
		return out, err
	}
	b.progress("%s %d %s through the hub", p.name, b.objects, l.resource)
	stop := w.profile(ctx, l.resource+"-"+p.name)
	through.expect(p.objects, p.number)
	began = time.Now()
	if err := write(ctx, []*server{w.hub}, n.hub, all, b.clients, p.hub); err != nil {
		return out, err
	}
	out.called = time.Since(began)
	if ended, err = through.await(ctx); err != nil {
		return out, err
	}
	out.hub = ended.Sub(began)
	used, _, err := quiet(ctx, w.hubPID())
	if err != nil {
		return out, err
	}
	stop()
	counted, err := b.counters(ctx, w)
	if err != nil {
		return out, err
	}
	out.cpu = used - before.cpu
	out.hubWrites = since(counted.hub, before.hub)
	out.hubWrites[l.resource] -= b.objects // the bench's own
	out.ownWrites = float64(sum(out.hubWrites)) / float64(b.objects)
	out.members = since(counted.members, before.members)
	out.memberWrites = float64(out.members[l.resource]) / float64(b.objects*len(w.members))
	return out, nil
}

// counters is what has been counted until now.
type counters struct {
	cpu          time.Duration
	hub, members map[string]int
}

func (b *bench) counters(ctx context.Context, w *world) (counters, error) {
	c := counters{members: map[string]int{}}
	var err error
	if c.hub, err = w.hub.writes(ctx); err != nil {
		return c, err
	}
	for _, m := range w.members {
		counts, err := m.writes(ctx)
		if err != nil {
			return c, err
		}
		for resource, n := range counts {
			c.members[resource] += n
		}
	}
	c.cpu, err = cpu(w.hubPID())
	return c, err
}

func (b *bench) tell(l workload, p phase, out outcome) {
	group := l.resource
	name := func(what string) string { return fmt.Sprintf("%s: %s", p.name, what) }
	b.report.add(
		row{Group: group, Name: name("floor"), Value: out.floor.Seconds(), Unit: "s"},
		row{Group: group, Name: name("until the last member has it"), Value: out.hub.Seconds(), Unit: "s"},
		row{Group: group, Name: name("ratio"), Value: out.hub.Seconds() / out.floor.Seconds(), Unit: "×", Target: p.target, Karmada: p.karmada},
		row{Group: group, Name: name("until the hub has answered"), Value: out.called.Seconds(), Unit: "s"},
		row{Group: group, Name: name("writes per member object"), Value: out.memberWrites, Unit: "", Target: 1, Karmada: "2", Detail: out.members},
		row{Group: group, Name: name("hub writes per object"), Value: out.ownWrites, Unit: "", Target: 4, Detail: out.hubWrites},
		row{Group: group, Name: name("CPU of one member, written to directly"), Value: out.plain.Seconds(), Unit: "s"},
		row{Group: group, Name: name("CPU of the hub"), Value: out.cpu.Seconds(), Unit: "s", Target: p.cpuTarget, Karmada: p.cpuOfKarmada},
	)
}
