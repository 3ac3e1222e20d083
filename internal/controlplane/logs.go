package controlplane

import (
	"errors"
	"flag"
	"fmt"
	"io"
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

// collect sends the errors of everything that logs by klog to the gate and drops
// the rest. Loggers are one per process.
func (g *gate) collect() error {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	err := errors.Join(
		flags.Set("logtostderr", "false"),
		flags.Set("alsologtostderr", "false"),
		flags.Set("stderrthreshold", "FATAL"),
		flags.Set("one_output", "true"),
	)
	if err != nil {
		return fmt.Errorf("setting up logging: %w", err)
	}
	etcdClientLogger = zap.NewNop()
	klog.SetOutput(io.Discard)
	klog.SetOutputBySeverity("ERROR", g)
	return nil
}
