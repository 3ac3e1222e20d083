package dns

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/flatten"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/transfer"
)

// Config is how a hub does DNS.
type Config struct {
	// Listen are HOST:PORT, for UDP and TCP; none: the hub answers no queries, and
	// still keeps zones that are elsewhere.
	Listen []string
	// Database is the path of an mmdb; empty: the database in the binary.
	Database string
	// Resolver is the HOST:PORT of a resolver that load balancers' hostnames and
	// delegations are looked up with; empty: the system's.
	Resolver string
	// RateLimit is how many equal responses a second a network of clients gets; 0:
	// as many as it asks for.
	RateLimit int
	// HubUID owns the records in zones kept elsewhere that name no other owner.
	HubUID string
}

// Controller is global DNS. There is one in a hub.
type Controller struct {
	cfg      Config
	typed    kubernetes.Interface
	client   dynamic.Interface
	gateways *gateways
	caches   *caches

	prober    *health.Prober
	flat      *flatten.Resolver
	transfers *transfer.Transfers
	listener  *listener
	statuses  *statusWriter
	elsewhere *elsewhere
	events    record.EventRecorder

	broadcaster record.EventBroadcaster
	crashes     crashes

	loop loop
	// view is what the server answers from, for explanations.
	view atomic.Pointer[view]
	// derivations holds the latest, until somebody takes it.
	derivations chan derivation
	complained  map[route.TargetKey]string

	// wantedOnce is closed when there is something to answer: until then, no
	// member is watched.
	wantedOnce chan struct{}
	closeOnce  sync.Once
}

// New makes the global DNS of a hub; nothing is watched or answered before Run.
func New(hub *rest.Config, cfg Config) (*Controller, error) {
	typed, err := kubernetes.NewForConfig(protobuf(hub))
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	client, err := dynamic.NewForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	g, err := newGateways(hub)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	c := &Controller{
		cfg: cfg, typed: typed, client: client, gateways: g,
		caches:     newCaches(),
		transfers:  transfer.New(),
		wantedOnce: make(chan struct{}),

		derivations: make(chan derivation, 1),
	}
	c.prober = health.New(c.probed)
	c.flat = flatten.New(cfg.Resolver, c.everything)
	c.listener = newListener(cfg, c.transfers)
	c.listener.changed = func() { c.caches.change(func(d *dirty) { d.zones = true }) }
	c.broadcaster = record.NewBroadcaster()
	c.events = c.broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: v1alpha1.FieldManager})
	c.statuses = newStatusWriter(client)
	c.elsewhere = newElsewhere(c)
	c.loop = newLoop(c)
	return c, nil
}

// Run watches, answers and writes until ctx ends. It fails only for what no later
// try could mend; that the port is in use, for one, is said on the zones.
func (c *Controller) Run(ctx context.Context) error {
	c.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: c.typed.CoreV1().Events("")})
	defer c.broadcaster.Shutdown()
	var wg sync.WaitGroup
	ready := make(chan struct{})
	wg.Go(func() { c.watchHub(ctx, func() { close(ready) }) })
	wg.Go(func() { c.prober.Run(ctx) })
	wg.Go(func() { c.flat.Run(ctx) })
	wg.Go(func() { c.transfers.Run(ctx) })
	wg.Go(func() { c.statuses.run(ctx) })
	wg.Go(func() { c.elsewhere.run(ctx) })
	wg.Go(func() { c.keepDerived(ctx) })
	wg.Go(func() { c.checkDelegations(ctx) })
	wg.Go(func() {
		if c.wanted(ctx) { // a hub without routes has no use for the database
			c.loop.followDatabase(ctx, c.cfg.Database)
		}
	})
	wg.Go(func() {
		select {
		case <-ready:
			c.loop.run(ctx)
		case <-ctx.Done():
		}
	})
	wg.Wait()
	return nil
}

// wanted waits until there is something to answer; false: ctx has ended first.
func (c *Controller) wanted(ctx context.Context) bool {
	select {
	case <-c.wantedOnce:
		return true
	case <-ctx.Done():
		return false
	}
}

// everything has all routes worked out again.
func (c *Controller) everything() { c.caches.change(func(d *dirty) { d.everything = true }) }

// probed hears of an address that has changed its state.
func (c *Controller) probed(check health.Check, _ health.Result) {
	c.caches.change(func(d *dirty) {
		for _, key := range c.loop.users(check) {
			d.routes[key] = true
		}
		d.services = d.services || c.loop.servesFederation(check)
	})
}

// world is what package route is told.
type world struct {
	*caches
	prober *health.Prober
	flat   *flatten.Resolver
}

func (w world) Probe(c health.Check) health.Result { return w.prober.Result(c) }

func (w world) Flat(hostname string) []netip.Addr {
	addresses, _ := w.flat.Addresses(hostname)
	return addresses
}

func sameCluster(a, b route.Cluster) bool { return reflect.DeepEqual(a, b) }

func sameTarget(a, b *route.Target) bool { return reflect.DeepEqual(a, b) }

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
