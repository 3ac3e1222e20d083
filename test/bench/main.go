// Command bench measures how fast and how lean a Hanse hub is, and what it costs its members.
//
//	make bench                                   # or: go run ./test/bench -hanse bin/hanse
//	go run ./test/bench -run 'deployments|idle'  # some of it
//	go run ./test/bench -run '^fleet$'           # a thousand light members; only when asked for by name
//	go run ./test/bench -run '^fleet$' -members 300 -objects 300 -placed 50
//	go run ./test/bench -growth -o growth.json   # the whole table of how it grows
//
// It starts real processes from the hanse binary, in a temporary directory and on loopback: one hub (hanse server) and
// members of etcd and kube-apiserver alone (hanse local create --components=apiserver), so that what is measured is the
// federation and not the members' controllers. It only uses the processes' own interfaces: the Kubernetes API, /metrics
// and /proc. It ends everything that it started, also when interrupted.
//
// Every figure of propagation stands beside its floor: the time that concurrent clients need for the same writes,
// straight to the same members, in the same minute. A phase lasts from the first call until the last member's watch has
// shown the last object; the bench watches the members itself. What a plain API server needs of a processor for as many
// objects stands beside what the hub needs, most of which is for being one. Writes are counted from apiserver_request_total, without
// the bench's own; CPU is the hub process's, until it is quiet again.
//
// The benchmarks, in the order in which they run: start, join, fresh, idle, deployments, configmaps, latency, rounds,
// restart, demo, dns, tenants, lost, failover, fleet, growth. The fleet's members are light (package lightmember): a thousand of them fit
// one process, and the same figures of other projects are from clusters of hundreds of cores. Targets are those of the project's goal 9, on two cores that all processes share; other machines have
// other figures, and the exit code says only whether the measuring worked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	hanse   string
	output  string
	run     *regexp.Regexp
	growth  bool
	objects int
	clients int
	members int
	placed  int
	profile string
	keep    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1) //nolint:gocritic // the signal handler ends with the process
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var only string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.hanse, "hanse", "bin/hanse", "the `program` to measure")
	f.StringVar(&o.output, "o", "", "write the results as JSON to this `file`, too")
	f.StringVar(&only, "run", ".", "run only the benchmarks that match this `regexp`")
	f.BoolVar(&o.growth, "growth", false, "the whole table of how it grows: to 5,000 objects and 10 members")
	f.IntVar(&o.objects, "objects", 1000, "how many objects the benchmarks of propagation write")
	f.IntVar(&o.clients, "clients", 16, "how many concurrent clients write to each server")
	f.IntVar(&o.members, "members", 1000, "how many members the benchmark of a fleet has")
	f.IntVar(&o.placed, "placed", 100, "how many of these members each object goes to")
	f.StringVar(&o.profile, "profile", "", "keep profiles of the hub in this `directory`: of its CPU for each phase, 20 s, and of its memory")
	f.BoolVar(&o.keep, "keep", false, "keep the temporary directory with the logs")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.run, err = regexp.Compile(only); err != nil {
		return o, fmt.Errorf("-run %s is no regular expression: %w", only, err)
	}
	if o.hanse, err = filepath.Abs(o.hanse); err != nil {
		return o, err
	}
	if _, err := os.Stat(o.hanse); err != nil {
		return o, fmt.Errorf("no program to measure: %w. Try: make build, or -hanse FILE", err)
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == serveDNS {
		return runDNS(ctx, args[1:], os.Stdin, stdout)
	}
	if len(args) > 0 && args[0] == serveMembers {
		return runMembers(ctx, args[1:], os.Stdin, stdout)
	}
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hanse-bench-")
	if err != nil {
		return fmt.Errorf("making a place to work in: %w", err)
	}
	b := &bench{options: o, dir: dir, log: stderr, began: time.Now()}
	err = b.all(ctx)
	if o.keep || err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "the logs are in", dir)
	} else if removeErr := os.RemoveAll(dir); removeErr != nil {
		err = errors.Join(err, removeErr)
	}
	b.report.Seconds = time.Since(b.began).Seconds()
	b.report.print(stdout)
	if o.output != "" {
		err = errors.Join(err, b.report.write(o.output))
	}
	return err
}
