package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"
)

// profile keeps 20 s of the hub's CPU profile, from now, when that was asked for and the hub serves it; the returned
// function waits for it.
func (w *world) profile(ctx context.Context, name string) func() {
	var wait sync.WaitGroup
	wait.Go(func() { w.keepProfile(ctx, name, "profile", "seconds", "20") })
	return wait.Wait
}

// snapshot keeps what is on the hub's heap, after a collection, and its goroutines, when that was asked for.
func (w *world) snapshot(ctx context.Context, name string) {
	w.keepProfile(ctx, name+"-heap", "heap", "gc", "1")
	w.keepProfile(ctx, name+"-goroutine", "goroutine", "debug", "0")
	w.keepProfile(ctx, name+"-memstats", "heap", "debug", "1") // ends with runtime.MemStats, as text
}

func (w *world) keepProfile(ctx context.Context, name, kind, parameter, value string) {
	if w.profiles == "" {
		return
	}
	data, err := w.hub.client.Get().AbsPath("/debug/pprof/"+kind).Param(parameter, value).DoRaw(ctx)
	if err == nil {
		err = os.MkdirAll(w.profiles, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(w.profiles, name+".pprof"), data, 0o644)
	}
	if err != nil {
		w.progress("no profile: %v", err)
	}
}
