package federation

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/process"
)

// Home is the directory in which hubs and members live. It is not shared with
// other processes.
type Home struct {
	Dir    string
	Binary string // hanse

	guard *exec.Cmd
	alive io.Closer // closed, or lost, when this process ends
}

// guardVariable, in the environment, makes this program a guard of a directory.
const guardVariable = "HANSE_FEDERATION_GUARD"

// NewHome makes a temporary directory, with a guard. The program that calls it
// must call Guard first of all.
func NewHome(binary string) (*Home, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, fmt.Errorf("find hanse: %w", err)
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("there is no hanse binary: %w. Try: make build", err)
	}
	dir, err := os.MkdirTemp("", "hanse-federation-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	h := &Home{Dir: dir, Binary: binary}
	if err := h.startGuard(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return h, nil
}

func (h *Home) startGuard() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	guard := exec.Command(self)
	guard.Env = append(os.Environ(), guardVariable+"="+h.Dir)
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for it
	if h.alive, err = guard.StdinPipe(); err != nil {
		return fmt.Errorf("make the guard's pipe: %w", err)
	}
	if err := guard.Start(); err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	h.guard = guard
	return nil
}

// Guard returns false at once, unless this process was started as a guard: then
// it blocks until the process that started it closes its Home or dies, cleans
// up, and returns true. The caller exits then.
func Guard() bool {
	dir := os.Getenv(guardVariable)
	if dir == "" {
		return false
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // however it ends, it is the end
	if err := clear(dir); err != nil {
		fmt.Fprintln(os.Stderr, "clean up", dir, err)
	}
	return true
}

// Main is what TestMain of a package does whose tests share federations: it gives begin a Home of the program that HANSE_BIN
// names, and runs the tests. What it returns is the exit code of the process. A guard it blocks, as Guard says.
func Main(tests interface{ Run() int }, begin func(*Home) error) (code int) {
	if Guard() {
		return 0
	}
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // client-go's complaints when a server is killed
	code, err := run(tests, begin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

func run(tests interface{ Run() int }, begin func(*Home) error) (code int, err error) {
	home, err := NewHome(cmp.Or(os.Getenv("HANSE_BIN"), "../../bin/hanse"))
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, home.Close()) }()
	if err := begin(home); err != nil {
		return 1, err
	}
	return tests.Run(), nil
}

// clear ends every process with a pid file below dir by force, and removes dir.
func clear(dir string) error {
	var err error
	for range 3 { // a process that was being started may write another file
		now, cancel := context.WithCancel(context.Background())
		cancel()
		err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && filepath.Base(path) == pidFile {
				return process.Stop(now, path)
			}
			return nil // gone meanwhile
		})
		err = errors.Join(err, os.RemoveAll(dir))
		if err == nil {
			return nil
		}
	}
	return err
}

// Close ends everything in the Home and removes it.
func (h *Home) Close() error {
	return errors.Join(h.alive.Close(), h.guard.Wait())
}

// Result is what a run of hanse left.
type Result struct {
	Stdout, Stderr string
	Code           int
}

func (r Result) String() string {
	return fmt.Sprintf("exit %d\nstdout: %s\nstderr: %s", r.Code, r.Stdout, r.Stderr)
}

// Run runs hanse to its end. An error means that it could not be run; how it
// ended is in the Result.
func (h *Home) Run(ctx context.Context, args ...string) (Result, error) {
	cmd := exec.CommandContext(ctx, h.Binary, args...)
	// hanse cleans up when it is told to end; it must not outlive the test.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "HOME="+h.Dir, "KUBECONFIG=")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result, fmt.Errorf("run hanse %v: %w", args, err)
	}
	return result, nil
}

// must is Run for commands that have to succeed.
func (h *Home) must(ctx context.Context, args ...string) error {
	result, err := h.Run(ctx, args...)
	if err != nil {
		return err
	}
	if result.Code != 0 {
		return fmt.Errorf("hanse %v: %s", args, result)
	}
	return nil
}
