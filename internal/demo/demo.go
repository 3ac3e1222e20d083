package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/process"
)

// stopTimeout bounds how long taking down may take, also when the user has
// lost patience: an orderly stop of an API server takes a few seconds.
const stopTimeout = 20 * time.Second

// Members starts and ends local clusters.
type Members interface {
	// Up starts a cluster, making it first if it is not there, and returns the
	// path of its kubeconfig once it answers. If it fails, what it started may
	// still run: Delete is called next.
	Up(ctx context.Context, c Cluster) (kubeconfig string, err error)
	// Running reports whether the cluster's process is alive.
	Running(name string) bool
	// Stop ends a cluster's process and keeps its data. Idempotent.
	Stop(ctx context.Context, name string) error
	// Delete ends a cluster and removes its data. Idempotent.
	Delete(ctx context.Context, name string) error
}

// Join makes the cluster of a kubeconfig a member of the hub, and returns when
// it is ready. Joining a member again changes nothing.
type Join func(ctx context.Context, hub *rest.Config, c Cluster, kubeconfig string) error

// Progress is told of each phase: begin when it starts, and what begin returned
// when it has ended. Phases overlap; it is called from several goroutines.
type Progress func(phase string) (end func(error))

// Demo is a federation in a directory.
type Demo struct {
	options  Options
	clock    clock.PassiveClock
	at       layout
	members  Members
	join     Join
	progress Progress
}

// New checks o. It starts nothing.
func New(o Options, clock clock.PassiveClock, m Members, j Join, p Progress) (*Demo, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot find the demo's directory: %w", err)
	}
	o.Dir = dir
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Demo{options: o, clock: clock, at: layout(dir), members: m, join: j, progress: p}, nil
}

// Kubeconfig is the path of the kubeconfig with the contexts of the hub and of
// all members.
func (d *Demo) Kubeconfig() string { return d.at.kubeconfig() }

// Running reports whether every process of the demo is alive.
func (d *Demo) Running() bool {
	_, hub := process.Running(d.at.hubPID())
	for _, name := range d.options.Clusters {
		hub = hub && d.members.Running(name)
	}
	return hub
}

// HubRunning reports whether the hub's process is alive.
func (d *Demo) HubRunning() bool {
	_, ok := process.Running(d.at.hubPID())
	return ok
}

// Up brings the demo up, and returns true at once if it is up already. Of a
// demo whose processes are gone it goes on with the data. If it fails or ctx
// ends, what it started ends, and what it made is removed.
func (d *Demo) Up(ctx context.Context) (already bool, err error) {
	made, err := makeDirs(d.options.Dir)
	if err != nil {
		return false, err
	}
	release, err := acquire(d.at)
	if err != nil {
		return false, err
	}
	defer release()

	before, err := readState(d.at)
	if err != nil {
		return false, err
	}
	if before != nil {
		if err := before.fits(d.options); err != nil {
			return false, err
		}
		if d.Running() {
			return true, nil
		}
		if err := d.bringUp(ctx); err != nil {
			return false, errors.Join(err, d.stop(ctx))
		}
		return false, nil
	}
	now := &state{Clusters: d.options.Clusters, Nodes: d.options.Nodes, Bare: d.options.Bare, Made: made}
	if err := d.begin(now); err != nil {
		return false, errors.Join(err, removeEmpty(made))
	}
	if err := d.bringUp(ctx); err != nil {
		return false, errors.Join(err, d.takeDown(ctx, now))
	}
	return false, nil
}

// begin notes that the directory is a demo's, unless something of somebody
// else's is in the way.
func (d *Demo) begin(s *state) error {
	for _, path := range d.at.owned() {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there, and no demo made it. Try: --dir with another directory", path)
		}
	}
	return s.write(d.at)
}

// bringUp starts the hub and the members all at once, joins each member as soon
// as both are there, and puts the application on them.
func (d *Demo) bringUp(ctx context.Context) error {
	members := d.options.members()
	configs := make([]string, len(members))
	hubReady := make(chan struct{})
	var hub *rest.Config

	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return d.phase("hub", func() (err error) {
			if hub, err = d.startHub(groupCtx); err == nil {
				close(hubReady)
			}
			return err
		})
	})
	for i, c := range members {
		group.Go(func() error {
			err := d.phase("cluster "+c.Name, func() (err error) {
				configs[i], err = d.members.Up(groupCtx, c)
				return err
			})
			if err != nil {
				return err
			}
			select {
			case <-groupCtx.Done():
				return groupCtx.Err()
			case <-hubReady:
			}
			return d.phase("join "+c.Name, func() error { return d.join(groupCtx, hub, c, configs[i]) })
		})
	}
	group.Go(d.writeCertificate)
	if err := group.Wait(); err != nil {
		return interrupted(ctx, err)
	}
	if err := d.writeKubeconfig(ctx, configs); err != nil {
		return err
	}
	if d.options.Bare {
		return nil
	}
	return interrupted(ctx, d.phase("application", func() error { return d.runApplication(ctx, hub) }))
}

// interrupted says so instead of err, which is only what the interruption led
// to.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted; the demo is taken down again")
	}
	return err
}

func (d *Demo) phase(name string, run func() error) error {
	end := d.progress(name)
	err := run()
	end(err)
	return err
}

// Down ends what Up started and removes what it made, and returns false if there
// is no demo in the directory. It may be called at any time, also after an
// earlier one was interrupted.
func Down(ctx context.Context, dir string, m Members, p Progress) (was bool, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return false, fmt.Errorf("cannot find the demo's directory: %w", err)
	}
	d := &Demo{options: Options{Dir: abs}, at: layout(abs), members: m, progress: p}
	s, err := readState(d.at)
	if s == nil || err != nil {
		return false, err
	}
	release, err := acquire(d.at)
	if err != nil {
		return false, err
	}
	defer release()
	d.options.Clusters = s.Clusters
	return true, d.phase("stop", func() error { return d.takeDown(ctx, s) })
}

// takeDown ends all processes at once, then removes the files. It goes on when
// ctx has ended: that is when it is needed.
func (d *Demo) takeDown(ctx context.Context, s *state) error {
	if err := d.endAll(ctx, d.members.Delete); err != nil {
		return fmt.Errorf("cannot take the demo down: %w. Try: hanse demo down --dir %s", err, d.options.Dir)
	}
	for _, path := range d.at.owned() {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("cannot remove what the demo made: %w. Try: hanse demo down --dir %s", err, d.options.Dir)
		}
	}
	return removeEmpty(s.Made)
}

// stop ends all processes and keeps the data.
func (d *Demo) stop(ctx context.Context) error { return d.endAll(ctx, d.members.Stop) }

func (d *Demo) endAll(ctx context.Context, end func(context.Context, string) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var group errgroup.Group
	group.Go(func() error { return process.Stop(ctx, d.at.hubPID()) })
	for _, name := range d.options.Clusters {
		group.Go(func() error { return end(ctx, name) })
	}
	return group.Wait()
}

// removeEmpty removes directories, innermost first, as far as they are empty:
// what somebody else put there stays.
func removeEmpty(dirs []string) error {
	for i := len(dirs) - 1; i >= 0; i-- {
		entries, err := os.ReadDir(dirs[i])
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot look into the demo's directory: %w", err)
		}
		if len(entries) > 0 {
			return nil
		}
		if err := os.Remove(dirs[i]); err != nil {
			return fmt.Errorf("cannot remove the demo's directory: %w", err)
		}
	}
	return nil
}
