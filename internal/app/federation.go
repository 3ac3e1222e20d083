package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/attribution"
	"github.com/hanse-dev/hanse/internal/audit"
	"github.com/hanse-dev/hanse/internal/dns"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/fleet"
	"github.com/hanse-dev/hanse/internal/limits"
	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/placement"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/tenancy"
)

// federation is what makes a control plane a hub: the engine that propagates,
// global DNS, the fleet that tells both which members can be reached, and the rights of organizations.
type federation struct {
	engine  *propagate.Engine
	dns     *dns.Controller
	fleet   *fleet.Fleet
	tenancy *tenancy.Controller
}

// shared is what the parts of a hub have in common.
type shared struct {
	clock   clock.WithTickerAndDelayedExecution
	metrics *metrics.Metrics
	// authors knows who wrote what at the hub, ends is propagate.Options.Ends.
	authors *attribution.Authors
	ends    []uint64
}

func newFederation(ctx context.Context, hub *rest.Config, with shared, o ServerOptions) (*federation, error) {
	uid, err := identity(ctx, hub)
	if err != nil {
		return nil, err
	}
	options := propagate.Options{
		HubUID: uid, Place: o.Place, FailoverAfter: o.FailoverAfter, Propagation: o.Propagation, Ends: with.ends, Clock: with.clock, Metrics: with.metrics.Propagation, Workqueues: with.metrics.Workqueues,
		Attribute: func(ctx context.Context, key propagate.Key) context.Context {
			return attribution.NewContext(ctx, with.authors.Of(attribution.Key{GroupResource: key.GR, Namespace: key.Namespace, Name: key.Name}))
		},
	}
	if o.FlightBytes > 0 {
		options.FlightDir, options.FlightBytes = o.flightDir(), o.FlightBytes
	}
	engine, err := propagate.New(hub, options)
	if err != nil {
		return nil, err
	}
	names, err := dns.New(hub, o.DNS.config(string(uid), with.clock))
	if err != nil {
		return nil, err
	}
	tenants, err := tenancy.New(hub, with.clock)
	if err != nil {
		return nil, err
	}
	members, err := fleet.New(hub, string(uid), with.clock, propagator{engine, names})
	if err != nil {
		return nil, err
	}
	return &federation{engine: engine, dns: names, fleet: members, tenancy: tenants}, nil
}

// openFiles is how many files this process may have open.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 1024 // as is usual
	}
	return limit.Cur
}

// config is the settings in the terms of package dns.
func (o DNSOptions) config(hubUID string, clock clock.WithTickerAndDelayedExecution) dns.Config {
	return dns.Config{
		Listen:   slices.DeleteFunc(slices.Clone(o.Listen), func(s string) bool { return s == "" || s == "off" }),
		Database: o.Database, Resolver: o.Resolver, RateLimit: o.RateLimit, HubUID: hubUID, Names: o.Names, Clock: clock,
		ProbeNetworks: o.ProbeNetworks, Probes: health.DefaultLimits().Within(openFiles()),
	}
}

// run blocks until ctx ends, or a part fails, which ends the other.
func (f *federation) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var engineErr, dnsErr, fleetErr, tenancyErr error
	wg.Go(func() { defer cancel(); engineErr = f.engine.Run(ctx) })
	wg.Go(func() { defer cancel(); dnsErr = f.dns.Run(ctx) })
	wg.Go(func() { defer cancel(); fleetErr = f.fleet.Run(ctx) })
	wg.Go(func() { defer cancel(); tenancyErr = f.tenancy.Run(ctx) })
	wg.Wait()
	return errors.Join(engineErr, dnsErr, fleetErr, tenancyErr)
}

// identity is the hub's: the UID of its kube-system Namespace, which lives and
// dies with its database.
func identity(ctx context.Context, hub *rest.Config) (types.UID, error) {
	client, err := kubernetes.NewForConfig(hub)
	if err != nil {
		return "", fmt.Errorf("make a client for the hub: %w", err)
	}
	ns, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read the hub's identity: %w", err)
	}
	return ns.UID, nil
}

// placements is the engine in the terms of package placement.
type placements struct{ engine *propagate.Engine }

func (p placements) List(namespace string) []v1alpha1.Placement {
	return p.engine.Placements(namespace, placement.Name)
}

func (p placements) Get(namespace, name string) (v1alpha1.Placement, bool) {
	key, ok := p.engine.Find(namespace, name, placement.Name)
	if !ok {
		return v1alpha1.Placement{}, false
	}
	return p.engine.Placement(key, name)
}

func (p placements) Subscribe(ctx context.Context) <-chan types.NamespacedName {
	return p.engine.Subscribe(ctx, placement.Name)
}

// late is a part of the hub's API server that needs the engine, which starts
// after the API server: until then there are no placements, and it is not
// ready.
type late struct {
	clock  clock.WithTicker
	engine atomic.Pointer[propagate.Engine]
	dns    atomic.Pointer[dns.Controller]
	audit  audit.Sources
	// tenancy takes invitations also on standby.
	tenancy atomic.Pointer[tenancy.Controller]
	people  people
	// standby: another hub on the same database propagates; this one serves.
	standby atomic.Bool
}

func (l *late) placements() placement.Source {
	if engine := l.engine.Load(); engine != nil && !l.standby.Load() {
		return placements{engine}
	}
	return nil
}

// leading is the engine, nil while it does not propagate.
func (l *late) leading() *propagate.Engine {
	if l.standby.Load() {
		return nil
	}
	return l.engine.Load()
}

// names is the hub's DNS, nil while it has none.
func (l *late) names() *dns.Controller {
	if l.standby.Load() {
		return nil
	}
	return l.dns.Load()
}

// filter answers what is not stored.
func (l *late) filter(next http.Handler) http.Handler {
	hanse := tenancy.Filter(l.tenancy.Load)(placement.Filter(l.placements, l.clock)(dns.Filter(l.names)(propagate.Filter(l.leading)(next))))
	return audit.Filter(l.audit, l.clock)(l.people.filter(hanse))
}

func (l *late) ready() error {
	if l.standby.Load() {
		return nil
	}
	engine := l.engine.Load()
	if engine == nil {
		return errors.New("propagation has not begun")
	}
	return engine.Synced()
}

// propagator is the engine, and DNS, which watches members too, in the terms of
// package fleet.
type propagator struct {
	*propagate.Engine
	dns *dns.Controller
}

func (p propagator) Engage(ctx context.Context, name string, cfg *rest.Config) {
	p.Engine.Engage(ctx, name, cfg)
	p.dns.Engage(ctx, name, limits.Responses(cfg, limits.Response, nil))
}

func (p propagator) Report(name string) fleet.Report {
	return fleet.Report(p.Engine.Report(name))
}
