package dns

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/external"
	"github.com/hanse-dev/hanse/internal/dns/flatten"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/status"
	"github.com/hanse-dev/hanse/internal/dns/transfer"
	"github.com/hanse-dev/hanse/internal/watch"
)

// Config is how a hub does DNS.
type Config struct {
	// Listen are HOST:PORT, for UDP and TCP; none: the hub answers no queries, and
	// still keeps external zones.
	Listen []string
	// Database is the path of an mmdb; empty: the database in the binary.
	Database string
	// Resolver is the HOST:PORT of a resolver that load balancers' hostnames and
	// delegations are looked up with; empty: the system's.
	Resolver string
	// RateLimit is how many equal responses a second a network of clients gets; 0:
	// as many as it asks for.
	RateLimit int
	// HubUID owns the records in external zones that name no other owner.
	HubUID string
	// Names are what the administrator says of names.
	Names grant.Terms
	// ProbeNetworks are what may be probed, whatever it is.
	ProbeNetworks []netip.Prefix
	// Probes bound how much is probed.
	Probes health.Limits
	Clock  clock.WithTickerAndDelayedExecution
}

// Controller is global DNS. There is one in a hub.
type Controller struct {
	cfg    Config
	typed  kubernetes.Interface
	hub    rest.Interface
	caches *caches

	prober    *health.Prober
	flat      *flatten.Resolver
	transfers *transfer.Transfers
	listener  *listener
	statuses  *status.Writer
	external  *external.Zones
	announcer *announcer
	deriver   *deriver
	books     *bookkeeper
	crashes   *crashes
	loop      *loop

	broadcaster record.EventBroadcaster
	// wanted is closed by the loop when there is something to answer: until then, no
	// member is watched.
	wanted <-chan struct{}
}

// New makes the global DNS of a hub; nothing is watched or answered before Run.
func New(hub *rest.Config, cfg Config) (*Controller, error) {
	typed, err := kubernetes.NewForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	client, err := dynamic.NewForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	watcher, err := watch.NewClient(hub)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	c := newController(client, cfg)
	c.typed, c.hub = typed, watcher
	return c, nil
}

// newController is a Controller without a way to watch the hub; it writes with client.
func newController(client dynamic.Interface, cfg Config) *Controller {
	c := &Controller{cfg: cfg, caches: newCaches(), crashes: &crashes{}, broadcaster: record.NewBroadcaster()}
	c.transfers = transfer.New(cfg.Clock)
	networks := health.Networks{
		Allowed: cfg.ProbeNetworks, Own: (&health.Machine{Clock: cfg.Clock, Ask: machineAddresses}).Addresses,
	}
	c.prober = health.New(c.probed, health.Config{Clock: cfg.Clock, Networks: networks, Limits: cfg.Probes})
	c.flat = flatten.New(cfg.Resolver, c.everything, cfg.Clock)
	c.listener = newListener(cfg, c.transfers)
	c.listener.changed = func() { c.caches.change(func(d *dirty) { d.zones = true }) }
	c.announcer = &announcer{
		events:  c.broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: v1alpha1.FieldManager}),
		cluster: c.caches.clusterUID,
	}
	c.statuses = status.New(client, cfg.Clock)
	c.external = external.New(external.Config{
		HubUID: cfg.HubUID, Credentials: c.caches, Status: c.statuses.Zone, Changed: c.caches.reported, Clock: cfg.Clock,
	})
	c.deriver = newDeriver(client, c.caches, c.announcer, cfg.Clock)
	c.books = newBookkeeper(client, cfg.Clock)
	wanted := make(chan struct{})
	c.wanted = wanted
	c.loop = &loop{
		caches: c.caches, crashes: c.crashes, clock: cfg.Clock, wanted: wanted, derive: c.deriver.derive,
		prober: c.prober, flat: c.flat, listener: c.listener, statuses: c.statuses, announcer: c.announcer,
		publisher: publisher{
			caches: c.caches, clock: cfg.Clock, announcer: c.announcer, listener: c.listener, transfers: c.transfers,
			external: c.external, statuses: c.statuses, off: len(cfg.Listen) == 0,
			terms: cfg.Names, book: grant.NewBook(), keep: c.books.keep,
		},
	}
	c.loop.start(&networks)
	return c
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
	wg.Go(func() { c.statuses.Run(ctx) })
	wg.Go(func() { c.external.Run(ctx) })
	wg.Go(func() { c.deriver.run(ctx) })
	wg.Go(func() { c.books.run(ctx) })
	wg.Go(func() {
		d := delegations{resolver: resolverAt(c.cfg.Resolver), zones: c.caches.zoneList, say: c.statuses.Condition, clock: c.cfg.Clock}
		d.check(ctx)
	})
	wg.Go(func() {
		if await(ctx, c.wanted) { // a hub without routes has no use for the database
			c.loop.followDatabase(ctx, c.cfg.Database)
		}
	})
	wg.Go(func() {
		// Without the book whoever asks first would be given what is another's.
		if c.books.load(ctx, c.loop.publisher.book) && await(ctx, ready) {
			c.loop.run(ctx)
		}
	})
	wg.Wait()
	return nil
}

// await waits until something is closed; false: ctx has ended first.
func await(ctx context.Context, closed <-chan struct{}) bool {
	select {
	case <-closed:
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
	prober   *health.Prober
	flat     *flatten.Resolver
	networks *health.Networks
	probing  *grant.Probing // the loop's
}

func (w world) Probe(c health.Check) health.Result { return w.prober.Result(c) }

func (w world) Flat(hostname string) []netip.Addr {
	addresses, _ := w.flat.Addresses(hostname)
	return addresses
}

// Refuse is part of route.World.
func (w world) Refuse(a netip.Addr, host string) (why string, within netip.Prefix) {
	networks := w.probing.Of(host)
	if why := w.networks.Refuse(a, networks); why != "" {
		return why, netip.Prefix{}
	}
	for _, p := range networks {
		if p.Contains(a) {
			return "", p
		}
	}
	return "", netip.Prefix{}
}

func sameCluster(a, b route.Cluster) bool { return reflect.DeepEqual(a, b) }

func sameTarget(a, b *route.Target) bool { return reflect.DeepEqual(a, b) }

// pause waits, unless ctx ends first.
func pause(ctx context.Context, c clock.Clock, d time.Duration) bool {
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}
