package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hanse-dev/hanse/internal/process"
)

// Manager keeps the local clusters of one home directory. Several may work on the same home at the same time.
type Manager struct {
	Home       string // clusters are in Home/local
	Executable string // hanse itself: os.Executable()
}

// Phase is how a cluster's process is doing.
type Phase string

const (
	Stopped  Phase = "Stopped"
	Starting Phase = "Starting"
	Running  Phase = "Running" // and ready
)

// Cluster is a local cluster as it is now.
type Cluster struct {
	Spec
	State
	Phase Phase
}

func (m Manager) root() string { return filepath.Join(m.Home, "local") }

// List returns all clusters by name. It asks no API server.
func (m Manager) List() ([]Cluster, error) {
	entries, err := os.ReadDir(m.root())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list local clusters: %w", err)
	}
	clusters := []Cluster{}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") { // being created or deleted
			continue
		}
		cluster, err := m.Get(entry.Name())
		if errors.Is(err, fs.ErrNotExist) { // deleted since
			continue
		}
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, cluster)
	}
	return clusters, nil
}

// Get returns one cluster. The error wraps fs.ErrNotExist when there is none of that name.
func (m Manager) Get(name string) (Cluster, error) {
	if !validName.MatchString(name) { // nor can it lead out of the directory
		return Cluster{}, notFound{name}
	}
	spec, err := LoadSpec(filepath.Join(m.root(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return Cluster{}, notFound{name}
	}
	if err != nil {
		return Cluster{}, fmt.Errorf("read local cluster %q: %w", name, err)
	}
	state, err := spec.LoadState()
	if err != nil {
		return Cluster{}, fmt.Errorf("read local cluster %q: %w", name, err)
	}
	return Cluster{Spec: spec, State: state, Phase: phase(spec, state)}, nil
}

func phase(spec Spec, state State) Phase {
	info, alive := process.Running(spec.pidFile())
	switch {
	case !alive:
		return Stopped
	case state.Ready && state.PID == info.PID:
		return Running
	default:
		return Starting
	}
}

// notFound is an fs.ErrNotExist that the user understands.
type notFound struct{ name string }

func (e notFound) Error() string {
	return fmt.Sprintf("there is no local cluster %q. Try: hanse local list", e.name)
}

func (notFound) Unwrap() error { return fs.ErrNotExist }

// Create makes a cluster and returns when it is ready. When that fails or ctx ends, nothing is left of it.
func (m Manager) Create(ctx context.Context, spec Spec) (Cluster, error) {
	spec, err := spec.Complete()
	if err != nil {
		return Cluster{}, err
	}
	if spec, err = m.claim(spec); err != nil {
		return Cluster{}, err
	}
	cluster, err := m.start(ctx, spec)
	if err != nil {
		return Cluster{}, errors.Join(fmt.Errorf("local cluster %q did not start and was removed: %w", spec.Name, err), m.remove(spec))
	}
	return cluster, nil
}

// claim makes the cluster's directory, complete or not at all, so that of two who want the name one gets it. It returns
// the Spec with directory and port.
func (m Manager) claim(spec Spec) (Spec, error) {
	if err := os.MkdirAll(m.root(), 0o700); err != nil {
		return spec, fmt.Errorf("cannot keep local clusters in %s: %w. Try: --dir DIR", m.Home, err)
	}
	dir := filepath.Join(m.root(), spec.Name)
	if spec.Port == 0 {
		taken, err := m.takenPorts()
		if err != nil {
			return spec, err
		}
		if spec.Port, err = freePort(dir, taken); err != nil {
			return spec, err
		}
	}
	var err error
	if spec.Dir, err = os.MkdirTemp(m.root(), ".create-*"); err != nil {
		return spec, fmt.Errorf("cannot keep local clusters in %s: %w. Try: --dir DIR", m.Home, err)
	}
	if err = spec.save(); err == nil {
		err = os.Rename(spec.Dir, dir)
	}
	if err == nil {
		spec.Dir = dir
		return spec, nil
	}
	if errors.Is(err, fs.ErrExist) { // Rename replaces no directory that has something in it
		err = fmt.Errorf("there is a local cluster %q already. Try: another name, or hanse local delete %s", spec.Name, spec.Name)
	}
	return spec, errors.Join(err, os.RemoveAll(spec.Dir))
}

// Start starts a stopped cluster again and returns when it is ready: it has the same address, certificates and objects.
// A cluster that runs already is waited for.
func (m Manager) Start(ctx context.Context, name string) (Cluster, error) {
	cluster, err := m.Get(name)
	if err != nil {
		return Cluster{}, err
	}
	started, err := m.start(ctx, cluster.Spec)
	if err != nil {
		return Cluster{}, fmt.Errorf("local cluster %q did not start: %w", name, err)
	}
	return started, nil
}

// Stop ends a cluster's process in order, or by force when ctx ends. Idempotent.
func (m Manager) Stop(ctx context.Context, name string) error {
	cluster, err := m.Get(name)
	if err != nil {
		return err
	}
	if err := process.Stop(ctx, cluster.pidFile()); err != nil {
		return fmt.Errorf("stop local cluster %q: %w", name, err)
	}
	return nil
}

// Delete ends a cluster by force and leaves nothing of it, not even of Home when it was the last.
func (m Manager) Delete(_ context.Context, name string) error {
	cluster, err := m.Get(name)
	if err != nil {
		return err
	}
	if err := m.remove(cluster.Spec); err != nil {
		return fmt.Errorf("delete local cluster %q: %w", name, err)
	}
	return nil
}

func (m Manager) remove(spec Spec) error {
	now, cancel := context.WithCancel(context.Background())
	cancel() // no time to be orderly: what it would put in order is deleted
	if err := process.Stop(now, spec.pidFile()); err != nil {
		return err
	}
	// The name is free, and the cluster out of every list, before the deletion of many files begins.
	doomed := filepath.Join(m.root(), ".delete-"+spec.Name)
	if err := os.RemoveAll(doomed); err != nil {
		return err
	}
	if err := os.Rename(spec.Dir, doomed); err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted by somebody else
		return err
	}
	if err := os.RemoveAll(doomed); err != nil {
		return err
	}
	for _, dir := range []string{m.root(), m.Home} {
		if os.Remove(dir) != nil { // not empty: somebody else's things are in it
			break
		}
	}
	return nil
}

// KubeconfigPath is the administrator's kubeconfig of a cluster, its only context named after the cluster.
func (m Manager) KubeconfigPath(name string) (string, error) {
	cluster, err := m.Get(name)
	return cluster.Spec.KubeconfigPath(), err
}
