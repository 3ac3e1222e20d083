package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// bench is one run.
type bench struct {
	options
	dir    string
	log    io.Writer
	began  time.Time
	report report
	worlds int
	fresh  float64 // MiB of the hub before anything was done with it; 0: not measured
}

func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(b.log, "%6.1f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// step is a benchmark of the world that all of them share.
type step struct {
	name string
	run  func(context.Context, *world) error
}

// steps are in an order: what measures an empty hub comes before what fills it, what kills it last.
func (b *bench) steps() []step {
	return []step{
		{"fresh", b.measureFresh},
		{"idle", b.idle},
		{"deployments", func(ctx context.Context, w *world) error { return b.propagation(ctx, w, deployments(3)) }},
		{"configmaps", func(ctx context.Context, w *world) error { return b.propagation(ctx, w, configMaps()) }},
		{"needed", b.needed},
		{"latency", b.latency},
		{"rounds", b.memoryOfRounds},
		{"restart", b.restart},
	}
}

// all runs what was asked for. What has been measured stays in the report when something fails later.
func (b *bench) all(ctx context.Context) error {
	b.report.describe(b.hanse)
	errs := []error{b.shared(ctx)}
	if ctx.Err() == nil && b.run.MatchString("demo") {
		errs = append(errs, b.demo(ctx))
	}
	if ctx.Err() == nil && b.run.MatchString("dns") {
		errs = append(errs, b.dns(ctx))
	}
	if ctx.Err() == nil && b.run.MatchString("tenants") {
		errs = append(errs, b.tenants(ctx))
	}
	if ctx.Err() == nil && b.run.MatchString("lost") {
		errs = append(errs, b.lost(ctx))
	}
	if ctx.Err() == nil && b.run.MatchString("failover") {
		errs = append(errs, b.failover(ctx))
	}
	if ctx.Err() == nil && strings.Contains(b.run.String(), "fleet") { // not with all others: it takes longer than they do
		errs = append(errs, b.fleets(ctx))
	}
	if ctx.Err() == nil && b.run.MatchString("growth") {
		errs = append(errs, b.grow(ctx))
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("interrupted: %w", err)
	}
	return errors.Join(errs...)
}

// shared runs the benchmarks that need a hub with three members.
func (b *bench) shared(ctx context.Context) error {
	var chosen []step
	for _, s := range b.steps() {
		if b.run.MatchString(s.name) {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 && !b.run.MatchString("start") && !b.run.MatchString("join") {
		return nil
	}
	w, err := b.newWorld(ctx, 3)
	if w != nil {
		defer w.close()
	}
	if err != nil {
		return err
	}
	b.report.add(row{Group: "start", Name: "start to ready", Value: w.started.Seconds(), Unit: "s", Target: 4, Karmada: "7.8"})
	b.report.add(row{Group: "join", Name: "three members joined and ready", Value: w.joined.Seconds(), Unit: "s", Target: 2, Karmada: "7.5"})
	var errs []error
	for _, s := range chosen {
		if ctx.Err() != nil {
			break
		}
		b.progress("%s", s.name)
		if err := s.run(ctx, w); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			b.progress("%v", err)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// newWorld starts a hub with members in a directory of its own.
func (b *bench) newWorld(ctx context.Context, members int) (*world, error) {
	b.worlds++
	w := &world{hanse: b.hanse, dir: filepath.Join(b.dir, fmt.Sprint("world", b.worlds)), progress: b.progress, profiles: b.profile}
	return w, w.open(ctx, members)
}
