package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	lostDeployments = 100
	lostAfter       = 5 * time.Second
	lostTick        = 10 * time.Millisecond
	lostSettles     = 3 * time.Second
)

// lost measures how long it takes from kill -9 of one of three members until every replica that it was given is asked
// for in the others, beyond the failover time. The members have no controllers: what is measured is the hub's part.
func (b *bench) lost(ctx context.Context) error {
	b.worlds++
	w := &world{hanse: b.hanse, dir: filepath.Join(b.dir, fmt.Sprint("world", b.worlds)), progress: b.progress,
		flags: []string{"--failover-after=" + lostAfter.String()}}
	defer w.close()
	if err := w.open(ctx, 3); err != nil {
		return err
	}
	// The end of a connection that is younger than a second is no news to the hub, as when a load balancer has nothing behind
	// it: a federation that is lost within a second of having joined is noticed by the next look, up to 2 s later.
	select {
	case <-time.After(lostSettles):
	case <-ctx.Done():
		return ctx.Err()
	}
	var worst time.Duration
	for range failovers {
		took, err := b.loseMember(ctx, w)
		if err != nil {
			return fmt.Errorf("losing a member: %w", err)
		}
		b.progress("lost: failed over after %.2f s", took.Seconds())
		worst = max(worst, took)
	}
	b.report.add(row{Group: "failover", Name: fmt.Sprintf("kill -9 of a member → replicas of %d deployments asked for elsewhere, beyond %s (worst of %d)", lostDeployments, lostAfter, failovers),
		Value: (worst - lostAfter).Seconds(), Unit: "s", Target: 1, Karmada: "200"})
	return nil
}

// loseMember creates deployments, kills a member that has a replica of each, and says how long it takes until the others
// have them all. The member is there again when it returns.
func (b *bench) loseMember(ctx context.Context, w *world) (time.Duration, error) {
	namespace, err := b.prepare(ctx, w)
	if err != nil {
		return 0, err
	}
	l := deployments(len(w.members))
	if err := write(ctx, []*server{w.hub}, namespace.hub, names(lostDeployments), b.clients, l.create(l.created)); err != nil {
		return 0, err
	}
	for _, m := range w.members {
		if err := awaitReplicas(ctx, []*server{m}, namespace.hub, lostDeployments); err != nil {
			return 0, err
		}
	}
	victim := w.members[0].name
	data, err := os.ReadFile(filepath.Join(w.dir, "local", victim, "pid"))
	if err != nil {
		return 0, err
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil {
		return 0, fmt.Errorf("reading the process of %s: %w", victim, err)
	}
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return 0, fmt.Errorf("killing %s: %w", victim, err)
	}
	err = awaitReplicas(ctx, w.members[1:], namespace.hub, lostDeployments*l.created)
	took := time.Since(began)
	_, startErr := w.command(ctx, "local", "start", victim, "--dir", w.dir)
	if err := errors.Join(err, startErr); err != nil {
		return 0, err
	}
	return took, poll(ctx, tick, func() (bool, error) {
		phases, err := w.hub.clusters(ctx)
		ready := err == nil
		for _, phase := range phases {
			ready = ready && phase == "Ready"
		}
		return ready, err
	})
}

// awaitReplicas returns once the members are asked for so many replicas in a namespace.
func awaitReplicas(ctx context.Context, members []*server, namespace string, want int) error {
	return poll(ctx, lostTick, func() (bool, error) {
		sum := 0
		for _, m := range members {
			list, err := m.watch.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
			if err != nil {
				return false, fmt.Errorf("listing deployments in %s: %w", m.name, err)
			}
			for i := range list.Items {
				sum += int(*list.Items[i].Spec.Replicas)
			}
		}
		return sum >= want, nil
	})
}
