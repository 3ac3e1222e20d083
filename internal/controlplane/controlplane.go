// Package controlplane runs a Kubernetes control plane inside this process: etcd,
// kube-apiserver, the controllers of kube-controller-manager and kube-scheduler,
// all of them upstream's own. There can be one per process, because the servers
// keep global registries.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"k8s.io/client-go/rest"
)

// ControlPlane is a running control plane.
type ControlPlane struct {
	dir         *datadir.Dir
	credentials datadir.Credentials
	address     string
	// parts in the order in which they started; they stop in reverse.
	parts []*part
	now   func() time.Time
	db    *database
	ends  []uint64
	keys  *keys // nil: this is no hub
	log   *gate

	once sync.Once
	done chan struct{}
	err  error
}

// part is a server that runs until its context ends.
type part struct {
	name   string
	cancel context.CancelFunc
	ended  chan struct{}
}

// Start starts the control plane and returns once its administrator can work
// with it; WaitReady waits for the rest. ctx bounds the start only: call Stop to
// end what was started. After an error nothing is left running.
func Start(ctx context.Context, cfg Config) (*ControlPlane, error) {
	c := &ControlPlane{log: newGate(cfg.Log), now: cfg.Clock.Now, done: make(chan struct{})}
	if err := errors.Join(c.log.collect(c.died), SetKubernetesVersion()); err != nil {
		return nil, err
	}
	var err error
	if c.dir, err = datadir.Open(ctx, cfg.DataDir, datadir.Identity{Role: cfg.Role.String(), Name: cfg.Name}); err != nil {
		return nil, err
	}
	if err := c.start(ctx, cfg); err != nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = c.Stop(stopping)
		// What died says more than what noticed it.
		if c.Err() != nil {
			return nil, c.Err()
		}
		return nil, err
	}
	c.log.open.Store(true)
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context, cfg Config) error {
	listener, err := listen(cfg, c.dir)
	if err != nil {
		return err
	}
	c.address = address(listener)
	listenHost, _, _ := net.SplitHostPort(cfg.Listen)
	issuance := cfg.issuance(c.address, hosts(listenHost, listener))
	etcd := cfg.EtcdServers
	if len(etcd) == 0 {
		if c.db, err = startEtcd(ctx, c.dir, cfg.UnsafeNoFsync, c.log, c.died); err != nil {
			return errors.Join(err, listener.Close())
		}
		if cfg.Role == Hub {
			if c.ends, err = c.db.setForward(ctx, cfg.Clock.Now()); err != nil {
				return errors.Join(err, listener.Close())
			}
		}
		etcd = []string{c.db.endpoint}
	} else if err := reachEtcd(ctx, etcd); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := c.prepareKeys(ctx, cfg, issuance, etcd, reachable(listener)); err != nil {
		return errors.Join(err, listener.Close())
	}
	server, err := newAPIServer(context.WithoutCancel(ctx), cfg, c.dir, c.credentials, listener, etcd)
	if err != nil {
		return errors.Join(fmt.Errorf("building the API server: %w", err), listener.Close())
	}
	c.run(ctx, "the API server", server.run)
	if c.keys != nil {
		c.keys.rewriter.config = c.RESTConfig()
		c.run(ctx, "the watch over keys", c.keys.run)
	}
	c.run(ctx, "the renewal of certificates", func(ctx context.Context) error { return c.renew(ctx, cfg, issuance) })
	// Configuring the clients takes as long as the API server does to start;
	// they are not let loose on it before it is ready, since they would poll.
	clients, err := newClients(context.WithoutCancel(ctx), cfg, c.credentials)
	if err != nil {
		return err
	}
	own := names(cfg.ReadyChecks)
	if err := c.waitReady(ctx, append(lateHooks(cfg.Role), own...)); err != nil {
		return err
	}
	for _, client := range clients {
		c.run(ctx, client.name, func(ctx context.Context) error {
			if err := c.waitReady(ctx, own); err != nil {
				return err
			}
			return client.run(ctx)
		})
	}
	return nil
}

// lateHooks are the checks of /readyz that Start does not wait for: upstream
// sleeps a second before it writes the default roles and priority classes. The
// hub's own parts are administrators and need neither.
func lateHooks(role Role) []string {
	if role != Hub {
		return nil
	}
	return []string{"poststarthook/rbac/bootstrap-roles", "poststarthook/scheduling/bootstrap-system-priority-classes"}
}

func names(checks []ReadyCheck) []string {
	var all []string
	for _, check := range checks {
		all = append(all, check.Name)
	}
	return all
}

// WaitReady blocks until /readyz is ok in all respects.
func (c *ControlPlane) WaitReady(ctx context.Context) error { return c.waitReady(ctx, nil) }

// client is a component that works through the API server.
type client struct {
	name string
	run  func(context.Context) error
}

// newClients configures what cfg asks for.
func newClients(ctx context.Context, cfg Config, c datadir.Credentials) ([]client, error) {
	var clients []client
	if cfg.Controllers == nil || len(cfg.Controllers) > 0 {
		controllers, err := newControllers(ctx, cfg, c)
		if err != nil {
			return nil, fmt.Errorf("configuring the controllers: %w", err)
		}
		clients = append(clients, client{"the controllers", controllers})
	}
	if !cfg.Scheduler {
		return clients, nil
	}
	scheduler, err := newScheduler(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("configuring the scheduler: %w", err)
	}
	return append(clients, client{"the scheduler", scheduler}), nil
}

// run starts a part that lives until Stop. One that ends earlier has died, and
// with it the control plane.
func (c *ControlPlane) run(ctx context.Context, name string, body func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{name: name, cancel: cancel, ended: make(chan struct{})}
	c.parts = append(c.parts, p)
	go func() {
		defer close(p.ended)
		err := body(ctx)
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("it returned")
			}
			c.died(fmt.Errorf("%s stopped: %w", name, err))
		}
	}()
}

func (c *ControlPlane) died(err error) {
	c.once.Do(func() {
		// What follows from it says nothing new.
		c.log.open.Store(false)
		c.err = err
		close(c.done)
	})
}

// Done is closed when the control plane has died by itself; Err says why.
func (c *ControlPlane) Done() <-chan struct{} { return c.done }

// Err is nil until Done is closed.
func (c *ControlPlane) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// RESTConfig is a client of the control plane that may do everything and is not
// slowed down.
func (c *ControlPlane) RESTConfig() *rest.Config {
	return &rest.Config{
		Host: c.address,
		// Files, so that a renewed certificate is picked up.
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.credentials.CA, CertFile: c.credentials.Server, KeyFile: c.credentials.ServerKey},
		QPS:             -1,
	}
}

// Ends are the last revisions of the database before each time that it was set
// forward, which is at every start of a hub, oldest first: this start's is the
// last. With an outside etcd it is nil: nobody knows.
func (c *ControlPlane) Ends() []uint64 { return c.ends }

// Log passes on what is written to it to Config.Log, from the end of Start until Stop or the control plane's death.
func (c *ControlPlane) Log() io.Writer { return c.log }

// Certificates is what there is to know of the control plane's own.
func (c *ControlPlane) Certificates() datadir.Report { return datadir.NewReport(c.dir.Path(), c.now()) }

// KubeconfigPath is the administrator's kubeconfig, its context named Config.Name.
func (c *ControlPlane) KubeconfigPath() string { return c.credentials.Admin }

// Address is the URL of the API server.
func (c *ControlPlane) Address() string { return c.address }
