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
	if w.profiles == "" {
		return func() {}
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		data, err := w.hub.client.Get().AbsPath("/debug/pprof/profile").Param("seconds", "20").DoRaw(ctx)
		if err == nil {
			err = os.MkdirAll(w.profiles, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(w.profiles, name+".pprof"), data, 0o644)
		}
		if err != nil {
			w.progress("no profile: %v", err)
		}
	})
	return wait.Wait
}
