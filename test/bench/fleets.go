package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/test/lightmember"
)

const (
	// fleetRounds is how many objects are timed.
	fleetRounds = 100
	// hangingShare is which part of the members hangs at the end: one of so many.
	hangingShare = 10
)

// fleets measures one hub with very many members, which are light: what they cost while nothing happens, how long an
// object takes to a hundred of them, what many objects cost, and a restart with all of that.
func (b *bench) fleets(ctx context.Context) (err error) {
	b.progress("fleet")
	w, err := b.newWorld(ctx, 0)
	if w != nil {
		defer w.close()
	}
	if err != nil {
		return err
	}
	f, err := w.startMembers(ctx, b.members)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	b.progress("join %d light members", b.members)
	began := time.Now()
	if err := w.joinAll(ctx, f); err != nil {
		return err
	}
	b.report.add(row{Group: "fleet", Name: fmt.Sprintf("%d members joined", b.members), Value: time.Since(began).Seconds(), Unit: "s"})
	run := &fleetRun{bench: b, world: w, fleet: f}
	for _, part := range []func(context.Context) error{run.idle, run.prepare, run.alone, run.fill, run.among, run.restart, run.hanging} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fleetRun is one run of fleets.
type fleetRun struct {
	*bench
	world *world
	fleet *lightFleet
	round int
	calm  time.Duration // p99 with no member hanging
}

const fleetNamespace = "fleet"

// chosen is how many members one object goes to.
func (r *fleetRun) chosen() int { return min(r.placed, len(r.fleet.Members)) }

func (r *fleetRun) idle(ctx context.Context) error {
	if _, _, err := quietly(ctx, r.world.hubPID()); err != nil {
		return err
	}
	before, err := cpu(r.world.hubPID())
	if err != nil {
		return err
	}
	theirs, err := cpu(r.fleet.pid())
	if err != nil {
		return err
	}
	written, err := r.world.hub.writes(ctx)
	if err != nil {
		return err
	}
	stop := r.world.profile(ctx, "fleet-idle")
	began := time.Now()
	if err := pause(ctx, idleFor); err != nil {
		return err
	}
	after, err := cpu(r.world.hubPID())
	if err != nil {
		return err
	}
	theirsAfter, err := cpu(r.fleet.pid())
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	stop()
	size, err := rss(r.fleet.pid())
	if err != nil {
		return err
	}
	wrote, err := r.world.hub.writes(ctx)
	if err != nil {
		return err
	}
	r.report.add(
		row{Group: "fleet", Name: "idle", Value: (after - before).Seconds() / took, Unit: "core", Target: 0.15, Karmada: "KubeFleet: 0.65"},
		row{Group: "fleet", Name: "the light members' process, idle", Value: (theirsAfter - theirs).Seconds() / took, Unit: "core"},
		row{Group: "fleet", Name: "RSS of the light members' process", Value: size, Unit: "MiB"},
		row{Group: "fleet", Name: fmt.Sprintf("hub writes in %.0f s of idling", idleFor.Seconds()), Value: float64(sum(wrote) - sum(written)), None: true, Detail: since(wrote, written)},
	)
	if err := r.reportMemory(r.world, "fleet", "idle", 1000, "KubeFleet: 1,400"); err != nil {
		return err
	}
	r.world.snapshot(ctx, "fleet-idle")
	return nil
}

// quietly is quiet for a hub whose idling costs more than a small one's.
func quietly(ctx context.Context, pid int) (time.Duration, time.Time, error) {
	return quietBelow(ctx, pid, 0.5)
}

// prepare makes a namespace whose objects go to a hundred of the members.
func (r *fleetRun) prepare(ctx context.Context) error {
	if err := r.world.hub.createNamespace(ctx, fleetNamespace); err != nil {
		return err
	}
	var names []string
	for _, m := range r.fleet.Members[len(r.fleet.Members)-r.chosen():] { // those that hang are the first
		names = append(names, m.Name)
	}
	policy := map[string]any{
		"apiVersion": "hanse.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": map[string]any{"name": "chosen"},
		"spec": map[string]any{"clusters": map[string]any{"names": names}},
	}
	path := "/apis/hanse.dev/v1alpha1/namespaces/" + fleetNamespace + "/placementpolicies"
	return r.world.hub.post(ctx, path, policy)
}

func (r *fleetRun) alone(ctx context.Context) error {
	delays, err := r.time(ctx)
	if err != nil {
		return err
	}
	r.delays(fmt.Sprintf("one Deployment to %d members, nothing else there", r.chosen()), delays, true)
	return nil
}

func (r *fleetRun) among(ctx context.Context) error {
	delays, err := r.time(ctx)
	if err != nil {
		return err
	}
	r.calm = quantile(delays, 0.99)
	r.delays(fmt.Sprintf("one Deployment to %d members, %d others there", r.chosen(), r.objects), delays, true)
	return nil
}

func (r *fleetRun) delays(what string, delays []time.Duration, against bool) {
	half := row{Group: "fleet", Name: what + ": median", Value: quantile(delays, 0.5).Seconds() * 1000, Unit: "ms"}
	most := row{Group: "fleet", Name: what + ": p90", Value: quantile(delays, 0.9).Seconds() * 1000, Unit: "ms"}
	if against {
		half.Target, half.Karmada = 300, "KubeFleet: 18,000"
		most.Target, most.Karmada = 800, "KubeFleet: 20,000"
	}
	r.report.add(half, most)
}

// time creates Deployments one after the other, each when the one before is everywhere: from the call until the last
// of the chosen members has it.
func (r *fleetRun) time(ctx context.Context) ([]time.Duration, error) {
	l := deployments(r.chosen())
	var delays []time.Duration
	for range fleetRounds {
		r.round++
		name := fmt.Sprintf("timed-%05d", r.round)
		object := lightmember.Object{Group: "apps", Resource: "deployments", Namespace: fleetNamespace, Name: name}
		if err := r.fleet.ask(ctx, http.MethodPost, "/expect", object, nil); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := l.create(l.created)(ctx, r.world.hub, fleetNamespace, name); err != nil {
			return nil, err
		}
		at, err := r.await(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		delays = append(delays, at[len(at)-1].Sub(began))
	}
	slices.Sort(delays)
	return delays, nil
}

func (r *fleetRun) await(ctx context.Context) (at []time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = r.fleet.ask(ctx, http.MethodGet, fmt.Sprintf("/await?n=%d", r.chosen()), nil, &at)
	if err == nil && len(at) == 0 {
		err = errors.New("the light members name no time")
	}
	return at, err
}

// fill puts many objects into the chosen members.
func (r *fleetRun) fill(ctx context.Context) error {
	l := configMaps()
	before, err := rss(r.world.hubPID())
	if err != nil {
		return err
	}
	all := names(r.objects)
	last := lightmember.Object{Resource: "configmaps", Namespace: fleetNamespace, Name: all[len(all)-1]}
	if err := r.fleet.ask(ctx, http.MethodPost, "/expect", last, nil); err != nil {
		return err
	}
	r.progress("%d ConfigMaps to %d members", r.objects, r.chosen())
	used, err := cpu(r.world.hubPID())
	if err != nil {
		return err
	}
	theirs, err := cpu(r.fleet.pid())
	if err != nil {
		return err
	}
	stop := r.world.profile(ctx, "fleet-fill")
	began := time.Now()
	if err := write(ctx, []*server{r.world.hub}, fleetNamespace, all, r.clients, l.create(l.created)); err != nil {
		return err
	}
	if _, err := r.await(ctx); err != nil {
		return err
	}
	usedAfter, quietSince, err := quietly(ctx, r.world.hubPID())
	if err != nil {
		return err
	}
	stop()
	theirsAfter, err := cpu(r.fleet.pid())
	if err != nil {
		return err
	}
	r.world.snapshot(ctx, "fleet-filled")
	after, err := rss(r.world.hubPID())
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d objects in %d members", r.objects, r.chosen())
	r.report.add(
		row{Group: "fleet", Name: what + ": in place and quiet", Value: quietSince.Sub(began).Seconds(), Unit: "s"},
		row{Group: "fleet", Name: what + ": CPU of the hub", Value: (usedAfter - used).Seconds(), Unit: "s"},
		row{Group: "fleet", Name: what + ": CPU of the light members' process", Value: (theirsAfter - theirs).Seconds(), Unit: "s"},
		row{Group: "fleet", Name: what + ": memory for each object and member", Value: (after - before) * 1024 / float64(r.objects*r.chosen()), Unit: "KiB", Target: 1.5},
	)
	return nil
}

// restart kills the hub with everything in place.
func (r *fleetRun) restart(ctx context.Context) error {
	before, err := r.fleet.writes(ctx)
	if err != nil {
		return err
	}
	r.progress("kill -9 of the hub, and start it again")
	if err := r.world.kill(); err != nil {
		return err
	}
	began := time.Now()
	if err := r.world.startHub(ctx); err != nil {
		return err
	}
	stop := r.world.profile(ctx, "fleet-restart")
	used, calm, err := quietly(ctx, r.world.hubPID())
	if err != nil {
		return err
	}
	stop()
	after, err := r.fleet.writes(ctx)
	if err != nil {
		return err
	}
	size, err := r.world.databaseSize()
	if err != nil {
		return err
	}
	r.report.add(
		row{Group: "fleet", Name: "restart until quiet", Value: calm.Sub(began).Seconds(), Unit: "s", Target: 60, Karmada: "KubeFleet: 675 (p90)"},
		row{Group: "fleet", Name: "CPU until then", Value: used.Seconds(), Unit: "s"},
		row{Group: "fleet", Name: "writes to members by it", Value: float64(after - before), None: true},
		row{Group: "fleet", Name: "database", Value: size, Unit: "MiB", Target: 20, Karmada: "KubeFleet: 1,600"},
	)
	return r.reportMemory(r.world, "fleet", "after the restart", 2000, "KubeFleet: 47,000")
}

// hanging measures again while one of ten members takes requests and answers none.
func (r *fleetRun) hanging(ctx context.Context) error {
	hang := min(len(r.fleet.Members)/hangingShare, len(r.fleet.Members)-r.chosen())
	if err := r.fleet.hang(ctx, hang); err != nil {
		return err
	}
	stop := r.world.profile(ctx, "fleet-hanging")
	delays, err := r.time(ctx)
	if err != nil {
		return err
	}
	stop()
	what := fmt.Sprintf("the same with %d members hanging", hang)
	r.delays(what, delays, false)
	if r.calm > 0 {
		r.report.add(row{Group: "fleet", Name: what + ": p99, times that without", Value: float64(quantile(delays, 0.99)) / float64(r.calm), Unit: "×", Target: 1.2})
	}
	return r.fleet.hang(ctx, 0)
}
