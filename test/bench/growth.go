package main

import (
	"context"
	"fmt"
	"time"
)

// grow measures how things go up with objects and members; each number of members gets a hub of its own.
func (b *bench) grow(ctx context.Context) error {
	objects, members := []int{100, 1000}, []int{1, 3}
	if b.growth {
		objects, members = []int{100, 1000, 5000}, []int{1, 3, 10}
	}
	for _, m := range members {
		if err := b.growWith(ctx, m, objects); err != nil {
			return fmt.Errorf("growth with %d members: %w", m, err)
		}
	}
	return nil
}

func (b *bench) growWith(ctx context.Context, members int, objects []int) error {
	w, err := b.newWorld(ctx, members)
	if w != nil {
		defer w.close()
	}
	if err != nil {
		return err
	}
	l := deployments(members)
	for _, n := range objects {
		namespace, err := b.prepare(ctx, w)
		if err != nil {
			return err
		}
		one := *b // with its own number of objects
		one.objects = n
		g := growth{Objects: n, Members: members}
		direct, err := observeAll(ctx, w.members, l, namespace.direct)
		if err != nil {
			return err
		}
		through, err := observeAll(ctx, w.members, l, namespace.hub)
		if err == nil {
			err = one.growBy(ctx, w, l, &g, namespace, direct, through)
			through.close()
		}
		direct.close()
		if err != nil {
			return err
		}
		b.report.Growth = append(b.report.Growth, g)
	}
	return nil
}

// growBy runs the phases and leaves nothing behind.
func (b *bench) growBy(ctx context.Context, w *world, l workload, g *growth, n namespaces, direct, through observers) error {
	for _, p := range phases(l, b.objects) {
		out, err := b.phase(ctx, w, l, p, n, direct, through)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		c := cell{Floor: seconds(out.floor), Hub: seconds(out.hub), CPU: seconds(out.cpu), HubWrites: out.ownWrites, MemberWrites: out.memberWrites}
		switch p.name {
		case "create":
			g.Create = c
			if g.RSS, err = rss(w.hubPID()); err != nil {
				return err
			}
		case "update":
			g.Update = c
		case "delete":
			g.Delete = c
		}
	}
	return nil
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
