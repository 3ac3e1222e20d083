package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

const (
	manyRoutes = 10_000
	// loads is how many times each server gets each load; the median counts.
	loads = 5
	swaps = 20
)

// dns compares the hub's name server with gdnsd, which maps the same networks to the same addresses: each on one core
// while dnsperf has the other, in turns. The processor's time for a query is what can be compared, as the load generator
// may be what limits their number.
func (b *bench) dns(ctx context.Context) error {
	for program, install := range map[string]string{"dnsperf": "dnsperf", "gdnsd": "gdnsd", "taskset": "util-linux"} {
		if _, err := exec.LookPath(program); err != nil || runtime.NumCPU() < 2 {
			b.progress("dns is left out: it needs %s and two cores. Try: apt-get install %s", program, install)
			return nil
		}
	}
	for _, routes := range []int{1, manyRoutes} {
		b.progress("dns, %d routes", routes)
		if err := b.dnsRoutes(ctx, routes); err != nil {
			return fmt.Errorf("dns with %d routes: %w", routes, err)
		}
	}
	return nil
}

func (b *bench) dnsRoutes(ctx context.Context, routes int) error {
	dir := filepath.Join(b.dir, fmt.Sprint("dns", routes))
	ours, err := startDNS(ctx, dir, routes)
	if err != nil {
		return err
	}
	defer ours.stop()
	theirs, err := startGdnsd(ctx, dir, routes)
	if err != nil {
		return err
	}
	defer theirs.stop()
	for _, subnets := range []bool{false, true} {
		if err := b.dnsCase(ctx, ours, theirs, dir, routes, subnets); err != nil {
			return err
		}
	}
	if routes < manyRoutes {
		n, err := different(ctx, ours, theirs)
		b.report.add(row{Group: "dns", Name: fmt.Sprintf("networks of %d with another answer than gdnsd's", compared), Value: float64(n), None: true})
		return err
	}
	return b.dnsSwap(ctx, ours, dir, routes)
}

// dnsCase is one kind of load.
func (b *bench) dnsCase(ctx context.Context, ours, theirs *nameServer, dir string, routes int, subnets bool) error {
	file, kind := filepath.Join(dir, "plain"), "plain"
	if subnets {
		file, kind = filepath.Join(dir, "subnets"), "ECS"
	}
	if err := writeQueries(file, routes, subnets); err != nil {
		return err
	}
	before, err := ours.ask("count")
	if err != nil {
		return err
	}
	var a, g []load
	for range loads {
		for _, s := range []struct {
			server *nameServer
			all    *[]load
		}{{theirs, &g}, {ours, &a}} {
			l, err := measure(ctx, s.server, file, 2)
			if err != nil {
				return err
			}
			*s.all = append(*s.all, l)
		}
	}
	after, err := ours.ask("count")
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s, %d routes", kind, routes)
	mine, others := median(a), median(g)
	b.report.add(
		row{Group: "dns", Name: "CPU per query ÷ gdnsd's, " + name, Value: mine.perQuery / others.perQuery, Target: 1.2,
			Detail: map[string]int{"ns": int(mine.perQuery), "ns gdnsd": int(others.perQuery), "queries/s": int(mine.rate), "queries/s gdnsd": int(others.rate), "lost": mine.lost}},
		row{Group: "dns", Name: "allocations per query, " + name, Unit: "",
			Value: float64(after.Mallocs-before.Mallocs) / float64(max(after.Queries-before.Queries, 1)), Target: 0.001},
	)
	return nil
}

func median(all []load) load {
	slices.SortFunc(all, func(a, b load) int { return int(a.perQuery - b.perQuery) })
	return all[len(all)/2]
}

// dnsSwap has all routes change again and again under load.
func (b *bench) dnsSwap(ctx context.Context, ours *nameServer, dir string, routes int) error {
	done := make(chan load, 1)
	failed := make(chan error, 1)
	go func() {
		l, err := measure(ctx, ours, filepath.Join(dir, "subnets"), 6)
		done <- l
		failed <- err
	}()
	var took []float64
	for range swaps {
		r, err := ours.ask("swap")
		if err != nil {
			return err
		}
		took = append(took, r.Milliseconds)
	}
	l := <-done
	if err := <-failed; err != nil {
		return err
	}
	quietly := 1e9
	for range swaps {
		r, err := ours.ask("swap")
		if err != nil {
			return err
		}
		quietly = min(quietly, r.Milliseconds)
		took = append(took, r.Milliseconds)
	}
	alone := slices.Clone(took[swaps:])
	slices.Sort(alone)
	loaded := slices.Clone(took[:swaps])
	slices.Sort(loaded)
	b.report.add(
		row{Group: "dns", Name: fmt.Sprintf("%d changed routes compiled and swapped in", routes), Value: alone[len(alone)/2], Unit: "ms", Target: 50,
			Detail: map[string]int{"µs at least": int(quietly * 1000), "ms under full load on one core": int(loaded[len(loaded)/2])}},
		row{Group: "dns", Name: "queries lost meanwhile", Value: float64(l.lost), None: true, Detail: map[string]int{"queries/s": int(l.rate), "swaps": swaps}},
	)
	return nil
}

// nameServer is a process that answers.
type nameServer struct {
	*exec.Cmd
	port  string
	input io.WriteCloser
	lines *bufio.Scanner
}

// dnsReport is what our server says of itself.
type dnsReport struct {
	Address          string
	Mallocs, Queries uint64
	Milliseconds     float64
}

// ask has our server do something, and say how it went.
func (s *nameServer) ask(what string) (dnsReport, error) {
	var r dnsReport
	if what != "" {
		if _, err := fmt.Fprintln(s.input, what); err != nil {
			return r, fmt.Errorf("asking the name server to %s: %w", what, err)
		}
	}
	if !s.lines.Scan() {
		return r, fmt.Errorf("the name server says nothing: %w", io.ErrUnexpectedEOF)
	}
	if err := json.Unmarshal(s.lines.Bytes(), &r); err != nil {
		return r, fmt.Errorf("reading what the name server says: %w", err)
	}
	return r, nil
}

func (s *nameServer) stop() {
	if s.input != nil {
		_ = s.input.Close() // ends ours
	}
	_ = s.Process.Signal(os.Interrupt) // it may have ended
	timer := time.AfterFunc(5*time.Second, func() { _ = s.Process.Kill() })
	defer timer.Stop()
	_ = s.Wait() // it was interrupted
}
