// Package process runs long-lived child processes that outlive their parent, and finds them again by a pid file.
//
// A pid file names one process for good: beside the pid it holds the moment at which the process started and the boot
// during which it did, so that a process that later got the same pid is neither taken for the child nor signalled.
// It needs /proc as Linux has it.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// ErrRunning is what Start's error wraps when the process that PIDFile names is alive or being started.
var ErrRunning = errors.New("already running")

// Spec says what to start.
type Spec struct {
	Argv    []string // the program and its arguments
	Env     []string // the whole environment; nil: the parent's
	Dir     string   // working directory; empty: the parent's
	LogFile string   // gets stdout and stderr, appended; made with mode 0600; empty: discarded
	PIDFile string   // made with mode 0600; its directory has to exist
}

// Child is a process that this process started.
type Child struct {
	Info Info
	done chan struct{}
	err  error
}

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err says how the child ended: nil after exit 0. It blocks until Done is closed.
func (c *Child) Err() error {
	<-c.done
	return c.err
}

// Start spawns a process in a session of its own (Ctrl-C on the parent's terminal does not reach it) and records it in
// PIDFile. It returns as soon as the process is there; whether it is ready is the caller's to find out. The error wraps
// ErrRunning when PIDFile names a live process. The end of ctx does not end the child.
func Start(ctx context.Context, spec Spec) (*Child, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(spec.Argv) == 0 {
		return nil, errors.New("start a process: no command given")
	}
	name := filepath.Base(spec.Argv[0])
	file, err := lockPIDFile(spec.PIDFile, true)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer file.Close()
	if info, ok := Running(spec.PIDFile); ok {
		return nil, fmt.Errorf("start %s: %w as process %d", name, ErrRunning, info.PID)
	}
	cmd, err := spawn(spec)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), os.Remove(spec.PIDFile))
	}
	info, err := inspect(cmd.Process.Pid)
	if err == nil {
		err = info.write(file)
	}
	if err != nil {
		// A process that nobody can find again must not stay.
		err = errors.Join(fmt.Errorf("start %s: record it in %s: %w", name, spec.PIDFile, err), cmd.Process.Kill())
		_ = cmd.Wait() // the error above is the one that matters
		return nil, errors.Join(err, os.Remove(spec.PIDFile))
	}
	child := &Child{Info: info, done: make(chan struct{})}
	go func() {
		defer close(child.done)
		child.err = cmd.Wait() // reaps it: no zombie stays while the parent lives
	}()
	return child, nil
}

func spawn(spec Spec) (*exec.Cmd, error) {
	cmd := exec.Command(spec.Argv[0], spec.Argv[1:]...) // not CommandContext: the child outlives the caller
	cmd.Env = spec.Env
	cmd.Dir = spec.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if spec.LogFile != "" {
		log, err := os.OpenFile(spec.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open its log: %w", err)
		}
		defer log.Close() // the child has its own copy
		cmd.Stdout, cmd.Stderr = log, log
	}
	return cmd, cmd.Start()
}
