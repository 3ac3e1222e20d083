package federation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/process"
)

// pidFile is what hanse calls a local cluster's, so that one rule finds all.
const pidFile = "pid"

// startTimeout is many times what a start takes, for a machine that does a lot
// else.
const startTimeout = 2 * time.Minute

// Hub is a hanse server.
type Hub struct {
	Name string
	Dir  string // its own directory; its data are in Dir/data

	home  *Home
	flags []string
}

// NewHub starts a hub and returns when it serves. Further flags of hanse server
// may be given; it is started with them each time.
func (h *Home) NewHub(ctx context.Context, name string, flags ...string) (*Hub, error) {
	if !slices.Contains(flags, "--dns-listen") {
		// Several hubs run at once: none of them gets the usual port.
		flags = append([]string{"--dns-listen", "127.0.0.1:0"}, flags...)
	}
	if !slices.Contains(flags, "--dns-zones-under") {
		// Tests' hostnames are all of them below this.
		flags = append([]string{"--dns-zones-under", "example"}, flags...)
	}
	if !slices.Contains(flags, "--probe-networks") {
		// Local clusters' load balancers have loopback addresses.
		flags = append([]string{"--probe-networks", "127.0.0.0/8"}, flags...)
	}
	hub := &Hub{Name: name, Dir: filepath.Join(h.Dir, "hubs", name), home: h, flags: flags}
	if err := os.MkdirAll(hub.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of hub %s: %w", name, err)
	}
	return hub, hub.Start(ctx)
}

// DataDir is what the hub's --data-dir is.
func (u *Hub) DataDir() string { return filepath.Join(u.Dir, "data") }

// Kubeconfig is the administrator's.
func (u *Hub) Kubeconfig() string { return filepath.Join(u.DataDir(), "admin.kubeconfig") }

// Log is what the hub has written until now.
func (u *Hub) Log() string { return filepath.Join(u.Dir, "log") }

func (u *Hub) pidFile() string { return filepath.Join(u.Dir, pidFile) }

// Start starts the hub and returns when it serves its own kinds.
func (u *Hub) Start(ctx context.Context) error {
	child, err := process.Start(ctx, process.Spec{
		Argv:    append([]string{u.home.Binary, "server", "--data-dir", u.DataDir(), "--listen", "127.0.0.1:0"}, u.flags...),
		LogFile: u.Log(),
		PIDFile: u.pidFile(),
	})
	if err != nil {
		return err
	}
	last := errors.New("it has written no kubeconfig")
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-child.Done():
			return false, fmt.Errorf("its process ended: %w", child.Err())
		default:
		}
		last = u.serves(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("hub %s did not start: %w (%w); its log ends: %s", u.Name, err, last, tail(u.Log()))
	}
	return nil
}

func (u *Hub) serves(ctx context.Context) error {
	cfg, err := u.Config()
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	_, err = client.Resource(v1alpha1.Resource("clusters")).List(ctx, metav1.ListOptions{})
	return err
}

// Config reaches the hub as its administrator.
func (u *Hub) Config() (*rest.Config, error) { return LoadConfig(u.Kubeconfig()) }

// PID of the hub's process, 0 if it does not run.
func (u *Hub) PID() int { return pidOf(u.pidFile()) }

// Kill ends the hub as kill -9 does.
func (u *Hub) Kill(ctx context.Context) error { return kill(ctx, u.pidFile()) }

// Stop ends the hub in order.
func (u *Hub) Stop(ctx context.Context) error { return process.Stop(ctx, u.pidFile()) }

// Join makes m a member, under its own name and through its proxy if it has
// one.
func (u *Hub) Join(ctx context.Context, m *Member, flags ...string) error {
	args := append([]string{"join", m.Name, "--role", "full", "--kubeconfig", m.Kubeconfig(), "--hub-kubeconfig", u.Kubeconfig()}, flags...)
	return u.home.must(ctx, args...)
}

// LoadConfig reads the current context of a kubeconfig, for a client that is not
// slowed down.
func LoadConfig(kubeconfig string) (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	cfg.QPS = -1
	cfg.UserAgent = "hanse-test"
	return cfg, nil
}

func pidOf(file string) int {
	info, alive := process.Running(file)
	if !alive {
		return 0
	}
	return info.PID
}

// kill sends SIGKILL and returns when the process is gone.
func kill(ctx context.Context, file string) error {
	info, alive := process.Running(file)
	if !alive {
		return fmt.Errorf("nothing to kill: no process of %s runs", file)
	}
	if err := syscall.Kill(info.PID, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill process %d: %w", info.PID, err)
	}
	return wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		return pidOf(file) == 0, nil
	})
}

// tail is the last of a log.
func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-2000):])
}
