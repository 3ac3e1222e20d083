package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	// defaultGrace is how long Stop waits when ctx has no deadline.
	defaultGrace = 10 * time.Second
	// killGrace is how long a killed process may take to disappear: more than that means a hung disk or kernel.
	killGrace = 5 * time.Second
	// pollInterval is short beside the hundred milliseconds that an orderly stop takes.
	pollInterval = 10 * time.Millisecond
)

// Stop ends the process that pidFile names and removes the file: SIGTERM first, SIGKILL when ctx ends (10 s when it has
// no deadline). It blocks until the process is gone. It is idempotent: a process that is gone, a pid that belongs to
// another process by now, and a missing file are success.
func Stop(ctx context.Context, pidFile string) error {
	file, err := lockPIDFile(pidFile, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop the process in %s: %w", pidFile, err)
	}
	defer file.Close()
	if info, ok := Running(pidFile); ok {
		if err := info.end(ctx); err != nil {
			return fmt.Errorf("stop process %d: %w", info.PID, err)
		}
	}
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pid file: %w", err)
	}
	return nil
}

func (i Info) end(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultGrace)
		defer cancel()
	}
	if err := i.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if i.waitGone(ctx) {
		return nil
	}
	if err := i.signal(syscall.SIGKILL); err != nil {
		return err
	}
	killed, cancel := context.WithTimeout(context.WithoutCancel(ctx), killGrace)
	defer cancel()
	if i.waitGone(killed) {
		return nil
	}
	return fmt.Errorf("still there %s after SIGKILL", killGrace)
}

// signal reaches this process or none: os.FindProcess takes a handle on whatever has the pid now (a pidfd), and only
// after that the identity is checked.
func (i Info) signal(sig syscall.Signal) error {
	handle, err := os.FindProcess(i.PID)
	if err != nil {
		return err
	}
	defer handle.Release()
	if !i.alive() {
		return nil
	}
	if err := handle.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

func (i Info) waitGone(ctx context.Context) bool {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for i.alive() {
		select {
		case <-ctx.Done():
			return !i.alive()
		case <-ticker.C:
		}
	}
	return true
}
