package controlplane

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	_ "unsafe" // for go:linkname

	"go.uber.org/zap"
	"k8s.io/klog/v2"
)

// etcdClientLogger is the API server's, for its client of etcd. It writes to
// stderr whatever klog is told, a line for every request that a stop interrupts,
// and offers no other way to change that than an environment variable.
//
//go:linkname etcdClientLogger k8s.io/apiserver/pkg/storage/storagebackend/factory.etcd3ClientLogger
var etcdClientLogger *zap.Logger

// gate passes on what the embedded servers complain about while it is open. While
// they start and stop they complain about each other's absence, and about nothing
// else that Start and Stop do not return themselves.
type gate struct {
	to   io.Writer
	open atomic.Bool
}

// newGate makes a closed gate to the writer, which may be nil.
func newGate(to io.Writer) *gate {
	if to == nil {
		to = io.Discard
	}
	return &gate{to: to}
}

func (g *gate) Write(line []byte) (int, error) {
	if !g.open.Load() {
		return len(line), nil
	}
	return g.to.Write(line)
}

// lastWords keeps the first line that is written to it and closes the gate, since
// the stacks of all goroutines follow.
type lastWords struct {
	gate *gate
	mu   sync.Mutex
	line string
}

func (w *lastWords) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate.open.Store(false)
	if w.line == "" {
		w.line, _, _ = strings.Cut(string(text), "\n")
	}
	return len(text), nil
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, message, found := strings.Cut(w.line, "] ") // past klog's header
	if !found {
		return w.line
	}
	return message
}

// collect sends the errors of everything that logs by klog to the gate and drops
// the rest. What klog calls fatal ends the goroutine and is given to died, instead
// of ending the process. Loggers are one per process.
func (g *gate) collect(died func(error)) error {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	err := errors.Join(
		flags.Set("logtostderr", "false"),
		flags.Set("alsologtostderr", "false"),
		flags.Set("stderrthreshold", "4"), // above FATAL: never
		flags.Set("one_output", "true"),
	)
	if err != nil {
		return fmt.Errorf("setting up logging: %w", err)
	}
	etcdClientLogger = zap.NewNop()
	klog.SetOutput(io.Discard)
	klog.SetOutputBySeverity("ERROR", g)
	fatal := &lastWords{gate: g}
	klog.SetOutputBySeverity("FATAL", fatal)
	klog.OsExit = func(int) {
		died(fmt.Errorf("the API server gave up: %s. Try: start it again", fatal))
		runtime.Goexit()
	}
	return nil
}
