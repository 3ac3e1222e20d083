package localcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hanse-dev/hanse/internal/process"
)

const (
	// startTimeout is many times what a start takes, for a machine that does a lot else.
	startTimeout = 3 * time.Minute
	// pollInterval is how often the state of a cluster that starts is read: a small file.
	pollInterval = 20 * time.Millisecond
)

// start spawns the cluster's process, unless it runs, and waits until it is ready. After an error the process is gone.
func (m Manager) start(ctx context.Context, spec Spec) (Cluster, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("it was not ready after %s, and its log is %s", startTimeout, spec.LogFile()))
	defer cancel()
	child, err := process.Start(ctx, process.Spec{
		Argv:    []string{m.Executable, "local", "run", "--dir", spec.Dir},
		Dir:     spec.Dir,
		LogFile: spec.LogFile(),
		PIDFile: spec.pidFile(),
	})
	if errors.Is(err, process.ErrRunning) {
		return m.waitReady(ctx, spec, nil)
	}
	if err != nil {
		return Cluster{}, err
	}
	cluster, err := m.waitReady(ctx, spec, child)
	if err != nil {
		return Cluster{}, errors.Join(err, process.Stop(ctx, spec.pidFile()))
	}
	return cluster, nil
}

// waitReady waits for the process, which is child or was started by somebody else.
func (m Manager) waitReady(ctx context.Context, spec Spec, child *process.Child) (Cluster, error) {
	var ended <-chan struct{}
	pid := 0
	if child != nil {
		ended, pid = child.Done(), child.Info.PID
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		cluster, err := m.Get(spec.Name)
		if err != nil {
			return Cluster{}, err
		}
		switch cluster.Phase {
		case Running:
			return cluster, nil
		case Stopped:
			return Cluster{}, whyEnded(cluster, pid)
		case Starting:
		}
		select {
		case <-ctx.Done():
			return Cluster{}, context.Cause(ctx)
		case <-ended:
			ended = nil // the next round says Stopped
		case <-ticker.C:
		}
	}
}

// whyEnded finds words for process pid (0: somebody else's), which ended before it was ready: its own, or the last line
// of its log.
func whyEnded(cluster Cluster, pid int) error {
	if pid == 0 {
		return errors.New("another command is starting or stopping it. Try: hanse local list")
	}
	if cluster.Error != "" && cluster.PID == pid {
		return errors.New(cluster.Error)
	}
	log, err := os.ReadFile(cluster.LogFile())
	if err != nil || len(bytes.TrimSpace(log)) == 0 {
		return errors.New("its process ended without a word")
	}
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	return fmt.Errorf("its process ended, and said last: %s", lines[len(lines)-1])
}
