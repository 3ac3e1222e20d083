package propagate

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/lineage"
)

// Key names an object of a propagated resource, the same at the hub and in
// every member.
type Key struct {
	GR        schema.GroupResource
	Namespace string
	Name      string
}

// String is RESOURCE.GROUP/NAMESPACE/NAME.
func (k Key) String() string { return k.GR.String() + "/" + k.Namespace + "/" + k.Name }

// Engine propagates. Its methods may be called from any goroutine.
type Engine struct {
	hub       dynamic.Interface
	discovery discovery.DiscoveryInterface
	hubUID    types.UID
	table     kinds.Table
	hasher    fieldmerge.Hasher
	limits    limits
	events    eventSink

	// Set once by Run, before anything else starts.
	session string // this run's name in the lineage
	history lineage.History
	began   time.Time
	ends    []uint64 // see SetEnds

	restored sync.Map // name of a member → *atomic.Int32, see Session

	mu         sync.RWMutex
	running    context.Context // ends with Run; nil before
	resources  map[schema.GroupResource]*resource
	clusters   map[string]*cluster
	members    map[string]*member
	namespaces namespaceLabels
	policies   policies

	around     *surroundings
	outlooks   outlooks
	losses     *losses
	moves      *moves
	drains     drains
	ceilings   map[Key]map[string]ceiling // by cluster; guarded by mu
	draining   chan struct{}              // which clusters are to be drained changed
	clock      func() time.Time
	rediscover chan struct{} // the hub's CRDs changed
	divisions  workqueue.TypedRateLimitingInterface[Key]
	statuses   workqueue.TypedRateLimitingInterface[Key]
	written    sync.Map // Key → time.Time of the last status write
	blamed     sync.Map // Key of what a member's status makes a fault of → true
	following  workqueue.TypedRateLimitingInterface[Key]
	followed   sync.Map // Key → followed
	bounds     workqueue.TypedRateLimitingInterface[Key]
	scalers    sync.Map // Key of a target → Key of its autoscaler
	changes    *changes
	recount    chan struct{} // what policies apply to may have changed
	rollouts   rollouts
}

// New makes an Engine for the hub that cfg reaches. hubUID is the UID of the
// hub's kube-system Namespace. Nothing starts before Run.
func New(cfg *rest.Config, hubUID types.UID, failoverAfter time.Duration) (*Engine, error) {
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	typed, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	e := newEngine(hubUID)
	e.losses = newLosses(failoverAfter)
	e.around.watcher = capacity.New(e.capacityChanged)
	e.hub, e.discovery, e.events = client, typed.Discovery(), newEventSink(typed.CoreV1())
	return e, nil
}

// newEngine is an Engine without a hub: it decides, and writes nothing.
func newEngine(hubUID types.UID) *Engine {
	return &Engine{
		hubUID:     hubUID,
		table:      kinds.NewTable(),
		hasher:     fieldmerge.NewHasher(),
		limits:     defaultLimits(),
		resources:  map[schema.GroupResource]*resource{},
		clusters:   map[string]*cluster{},
		members:    map[string]*member{},
		namespaces: namespaceLabels{labels: map[string]map[string]string{}},
		policies:   newPolicies(),
		around:     newSurroundings(),
		outlooks:   newOutlooks(),
		losses:     newLosses(0),
		moves:      newMoves(),
		ceilings:   map[Key]map[string]ceiling{},
		draining:   make(chan struct{}, 1),
		clock:      time.Now,
		rediscover: make(chan struct{}, 1),
		divisions:  newQueue(),
		statuses:   newQueue(),
		following:  newQueue(),
		bounds:     newQueue(),
		changes:    newChanges(),
		recount:    make(chan struct{}, 1),
		rollouts:   newRollouts(),
	}
}

// hubWorkers is how many statuses are written at once at the hub, divisionWorkers how
// many divisions: when a cluster is lost, all that it ran waits for these.
const (
	hubWorkers      = 4
	divisionWorkers = 16
)

// Run propagates until ctx ends. It returns an error when the hub cannot be
// read at the start.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.beginSession(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	e.running = ctx
	e.mu.Unlock()
	defer e.events.stop()

	var wg sync.WaitGroup
	defer wg.Wait()
	// Decisions depend on these: templates come after.
	for _, watch := range []func(context.Context, chan struct{}){e.watchClusters, e.watchNamespaces, e.watchPolicies} {
		seen := make(chan struct{})
		wg.Go(func() { watch(ctx, seen) })
		select {
		case <-seen:
		case <-ctx.Done():
			return nil
		}
	}
	wg.Go(func() { keep(ctx, "watchResources", e.watchResources) })
	wg.Go(func() { keep(ctx, "watchLosses", e.watchLosses) })
	wg.Go(func() { keep(ctx, "sayHowFar", e.sayHowFar) })
	wg.Go(func() { keep(ctx, "watchDrains", e.watchDrains) })
	wg.Go(func() { keep(ctx, "watchStuck", e.watchStuck) })
	wg.Go(func() { keep(ctx, "watchSurroundings", e.watchSurroundings) })
	wg.Go(func() { keep(ctx, "writePolicyStatuses", e.writePolicyStatuses) })
	for range divisionWorkers {
		wg.Go(func() { work(ctx, e.divisions, e.persistDivision) })
	}
	for range hubWorkers {
		wg.Go(func() { work(ctx, e.statuses, e.writeStatus) })
		wg.Go(func() { work(ctx, e.rollouts.queue, e.advanceRollout) })
	}
	wg.Go(func() { work(ctx, e.following, e.followMembers) })
	wg.Go(func() { work(ctx, e.bounds, e.divideBounds) })
	<-ctx.Done()
	e.divisions.ShutDown()
	e.statuses.ShutDown()
	e.following.ShutDown()
	e.rollouts.queue.ShutDown()
	e.bounds.ShutDown()
	return nil
}

// Synced says whether everything that is propagated has been read from the hub
// once since Run began; nil if so.
func (e *Engine) Synced() error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.resources) == 0 {
		return fmt.Errorf("the hub's resources have not been discovered yet")
	}
	for gr, r := range e.resources {
		if !r.synced {
			return fmt.Errorf("%s have not been read from the hub yet", gr)
		}
	}
	return nil
}

// locked runs f with Engine.mu held, and gives it back also when f panics: whoever
// makes an error of the panic would otherwise leave a hub behind that stands still.
func (e *Engine) locked(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// template is the template of key, nil if there is none or its resource has
// not been read from the hub so far; known tells the two apart.
func (e *Engine) template(key Key) (t *template, known bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	r := e.resources[key.GR]
	if r == nil || !r.synced {
		return nil, false
	}
	return r.templates[types.NamespacedName{Namespace: key.Namespace, Name: key.Name}], true
}

func (e *Engine) resource(gr schema.GroupResource) *resource {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.resources[gr]
}

// toMembers puts keys on the queue of every member.
func (e *Engine) toMembers(keys ...Key) {
	e.rolloutsSoon(keys...)
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, m := range e.members {
		m.enqueue(keys...)
	}
}
