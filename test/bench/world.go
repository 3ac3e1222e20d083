package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// patience bounds every wait for something that takes seconds when it works.
const patience = 10 * time.Minute

// world is a hub and its members.
type world struct {
	hanse    string
	dir      string
	progress func(string, ...any)
	profiles string
	flags    []string // further ones of the hub

	hub     *server
	process *exec.Cmd
	exited  chan struct{}
	members []*server

	rounds          int // benchmarks until now: names of Namespaces
	started, joined time.Duration
}

func (w *world) dataDir() string   { return filepath.Join(w.dir, "hub") }
func (w *world) hubConfig() string { return filepath.Join(w.dataDir(), "admin.kubeconfig") }

// open makes the members, starts the hub, joins them. On an error, too, the caller closes w.
func (w *world) open(ctx context.Context, members int) error {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return err
	}
	providers := []string{"aws", "azure", "google"}
	for i := range members {
		provider := providers[i%len(providers)]
		name := provider
		if members > len(providers) {
			name = fmt.Sprintf("%s-%d", provider, i)
		}
		w.progress("create member %s", name)
		if err := w.createMember(ctx, name, provider); err != nil {
			return err
		}
	}
	w.progress("start the hub")
	began := time.Now()
	if err := w.startHub(ctx); err != nil {
		return err
	}
	w.started = time.Since(began)
	w.progress("join %d members", members)
	began = time.Now()
	if err := w.join(ctx); err != nil {
		return err
	}
	w.joined = time.Since(began)
	return nil
}

// command runs hanse to its end; its error says what hanse printed.
func (w *world) command(ctx context.Context, args ...string) ([]byte, error) {
	return runHanse(ctx, w.hanse, args...)
}

func runHanse(ctx context.Context, hanse string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, hanse, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is the bench's alone
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("hanse %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

func (w *world) createMember(ctx context.Context, name, provider string) error {
	_, err := w.command(ctx, "local", "create", name, "--dir", w.dir, "--provider", provider, "--components=apiserver")
	if err != nil {
		return err
	}
	kubeconfig, err := w.command(ctx, "local", "kubeconfig", name, "--dir", w.dir)
	if err != nil {
		return err
	}
	file := filepath.Join(w.dir, name+".kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		return err
	}
	member, err := newServer(name, file)
	if err == nil {
		w.members = append(w.members, member)
	}
	return err
}

// startHub runs hanse server and returns once it is ready.
func (w *world) startHub(ctx context.Context) error {
	if err := w.spawnHub(); err != nil {
		return err
	}
	return w.awaitHub(ctx)
}

func (w *world) logFile() string { return filepath.Join(w.dir, "hub.log") }

// spawnHub runs hanse server.
func (w *world) spawnHub() error {
	log, err := os.OpenFile(w.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(w.hanse, append([]string{"server", "--data-dir", w.dataDir(), "--listen", "127.0.0.1:0"}, w.flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the hub: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the log says why
		close(exited)
	}()
	w.process, w.exited = cmd, exited
	return nil
}

// awaitHub returns once the hub says that it is ready.
func (w *world) awaitHub(ctx context.Context) error {
	return poll(ctx, 20*time.Millisecond, func() (bool, error) {
		select {
		case <-w.exited:
			return false, fmt.Errorf("the hub has ended; its log is %s", w.logFile())
		default:
		}
		if w.hub == nil {
			hub, err := newServer("hub", w.hubConfig())
			if err != nil {
				return false, nil //nolint:nilerr // not written yet
			}
			w.hub = hub
		}
		return w.hub.ready(ctx), nil
	})
}

// join runs one hanse join for each member, all at once, and returns once all are ready.
func (w *world) join(ctx context.Context) error {
	errs := make([]error, len(w.members))
	var wait sync.WaitGroup
	for i, m := range w.members {
		wait.Go(func() {
			_, errs[i] = w.command(ctx, "join", m.name, "--role", "full", "--kubeconfig", m.kubeconfig, "--hub-kubeconfig", w.hubConfig())
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return poll(ctx, 20*time.Millisecond, func() (bool, error) {
		clusters, err := w.hub.clusters(ctx)
		ready := 0
		for i := range clusters {
			if clusters[i] == "Ready" {
				ready++
			}
		}
		return err == nil && ready == len(w.members), nil
	})
}

func (w *world) hubPID() int { return w.process.Process.Pid }

// memberCPU is the processor time that a member has used, on average: an API server with its etcd, and nothing else.
func (w *world) memberCPU() (time.Duration, error) {
	var total time.Duration
	for _, pid := range processesOf(w.dir) {
		if pid == w.hubPID() {
			continue
		}
		used, err := cpu(pid)
		if err != nil {
			return 0, err
		}
		total += used
	}
	return total / time.Duration(len(w.members)), nil
}

// kill ends the hub as a power cut would, and waits until it is gone.
func (w *world) kill() error {
	if err := w.process.Process.Kill(); err != nil {
		return fmt.Errorf("killing the hub: %w", err)
	}
	<-w.exited
	return nil
}

// close ends and removes everything. It goes on after an error.
func (w *world) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if w.process != nil {
		_ = w.process.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-w.exited:
		case <-time.After(15 * time.Second):
			w.progress("the hub does not stop, it is killed")
			_ = w.kill()
		}
	}
	// Those, too, whose creation was interrupted.
	out, err := w.command(ctx, "local", "list", "--dir", w.dir, "-o", "name")
	if err != nil {
		w.progress("%v", err)
	}
	var wait sync.WaitGroup
	for _, name := range strings.Fields(string(out)) {
		wait.Go(func() {
			if _, err := w.command(ctx, "local", "delete", name, "--dir", w.dir); err != nil {
				w.progress("%v", err)
			}
		})
	}
	wait.Wait()
}

// poll calls done until it is true, fails, or patience ends.
func poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited too long: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// version is what hanse version says of the program.
func version(hanse string) string {
	out, err := exec.Command(hanse, "version").Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// newServer is a way to an API server.
func newServer(name, kubeconfig string) (*server, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return connect(name, kubeconfig, config)
}

// decode reads JSON that an API server sent.
func decode(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	return nil
}
