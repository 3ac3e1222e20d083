package propagate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/hub"
	"github.com/hanse-dev/hanse/internal/propagate/member"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
	"github.com/hanse-dev/hanse/internal/propagate/record"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/watch"
)

// Options is what an Engine may be told beside the hub that it belongs to.
type Options struct {
	// HubUID is the UID of the hub's kube-system Namespace.
	HubUID types.UID
	// FailoverAfter is how long a cluster has to be away until it counts as lost; 0: failover is off, but for policies
	// that say otherwise.
	FailoverAfter time.Duration
	// Propagation is how objects propagate of which nothing says anything else.
	Propagation policies.Defaults
	// Ends are the last revisions of the hub's database before each time that it was set forward, oldest first; nil:
	// nobody knows.
	Ends []uint64
	// FlightDir is where what is decided is recorded, empty: nowhere. FlightBytes bounds it.
	FlightDir   string
	FlightBytes int64
	// Place is where the hub is, as is declared: its provider, region and continent.
	Place policy.Cluster
	// Clock is the real one if nil.
	Clock clock.WithTickerAndDelayedExecution
	// Metrics and Workqueues may be nil.
	Metrics    Metrics
	Workqueues *metrics.Workqueues
	// Attribute is member.Options.Attribute.
	Attribute func(ctx context.Context, key template.Key) context.Context
}

// Metrics is told what an Engine does.
type Metrics interface {
	// Decided: an input was decided about.
	Decided(took time.Duration)
	// Wrote: a write to a cluster came to err. verb is create, update, patch or delete.
	Wrote(cluster, verb string, err error, took time.Duration)
	// Confirmed: a cluster has taken over what was decided about an object that long ago.
	Confirmed(cluster string, after time.Duration)
}

// Engine propagates. Its methods may be called from any goroutine.
type Engine struct {
	options   Options
	hub       dynamic.Interface
	discovery discovery.DiscoveryInterface
	clock     clock.WithTickerAndDelayedExecution

	published *published
	changes   *changes
	counts    *counts
	measurer  *capacity.Watcher
	measured  measured
	survival  *survival
	events    *hub.Events
	watcher   *hub.Watcher
	policies  *hub.Policies
	revisions *hub.Revisions

	// Set by Run, once the run has its place in the lineage; nil before. What needs them comes later.
	running atomic.Pointer[running]

	mu          sync.Mutex // of membership
	engagements map[string]*engagement
}

// running is what there is while the Engine runs.
type running struct {
	ctx      context.Context
	run      *hub.Run
	loop     *loop
	recorder *hub.Recorder
	flight   *record.Recorder // nil: nothing is recorded
	members  member.Options
}

// New makes an Engine for the hub that cfg reaches. Nothing starts before Run.
func New(cfg *rest.Config, o Options) (*Engine, error) {
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	typed, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	watches, err := watch.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	e := &Engine{
		options: o, hub: client, discovery: typed.Discovery(), clock: o.Clock,
		published: newPublished(), changes: newChanges(), measured: newMeasured(), survival: newSurvival(), engagements: map[string]*engagement{},
		events: hub.NewEvents(typed.CoreV1()),
	}
	e.counts = newCounts(e.published)
	e.measurer = capacity.New(e.measured.changed, e.clock)
	e.watcher = hub.NewWatcher(watches, e.discovery, e.apply, e.clock)
	e.policies = hub.NewPolicies(client, e.published, o.Place, e.clock)
	e.revisions = hub.NewRevisions(client, e.published, e.apply, o.Workqueues, e.clock)
	return e, nil
}

// Run propagates until ctx ends. It returns an error when the hub cannot be read at the start. An Engine runs once.
func (e *Engine) Run(ctx context.Context) error {
	defer e.events.Stop()
	run, err := hub.Begin(ctx, e.hub, e.options.Ends, e.clock)
	if err != nil {
		return err
	}
	r, err := e.begin(ctx, run)
	if err != nil {
		return err
	}
	e.running.Store(r)
	var parts sync.WaitGroup
	defer parts.Wait()
	for _, part := range []func(context.Context){
		r.loop.run, r.recorder.Run, e.watcher.Run, e.policies.Run, e.revisions.Run, e.measure, e.keepSurvival, run.SayHowFar,
	} {
		parts.Go(func() { part(ctx) })
	}
	if r.flight != nil {
		parts.Go(func() { r.flight.Run(ctx) })
	}
	e.engageAll(r)
	<-ctx.Done()
	return nil
}

// begin makes what there is while the Engine runs.
func (e *Engine) begin(ctx context.Context, run *hub.Run) (*running, error) {
	options := decide.Options{
		FailoverAfter: e.options.FailoverAfter, Began: run.Began, Measures: true, Restored: run.History.Restored(), Propagation: e.options.Propagation,
	}
	r := &running{ctx: ctx, run: run, loop: newLoop(decide.NewWorld(options), e.clock, e.carryOut)}
	r.loop.applied, r.loop.queue = e.applied, e.options.Workqueues.Open("inputs", "")
	if e.options.FlightDir != "" {
		var err error
		if r.flight, err = record.Open(e.options.FlightDir, e.options.FlightBytes, options, e.clock); err != nil {
			// What is decided is more than what is recorded of it.
			klog.FromContext(ctx).Error(err, "The flight recorder is off. Try: make room, or take the directory away")
			r.flight = nil
		}
	}
	if r.flight != nil {
		world := r.loop.world
		r.loop.trace = func(at time.Time, in decide.Input, effects []decide.Effect) {
			r.flight.Trace(at, in, effects, world.Checkpoint)
		}
	}
	r.recorder = hub.NewRecorder(hub.RecorderConfig{
		Hub: e.hub, Published: e.published, Into: r.loop.add, Tell: e.events.Tell, Blame: e.blame, Clock: e.clock, Began: run.Began, Workqueues: e.options.Workqueues,
	})
	r.members = member.Options{
		Hub: e.options.HubUID, Run: run.Name, History: run.History, Hasher: fieldmerge.NewHasher(), Clock: e.clock, Version: e.versionOf,
		Attribute: e.options.Attribute, Metrics: written{e, r.flight}, Workqueues: e.options.Workqueues,
	}
	if e.options.Metrics != nil {
		r.loop.took = e.options.Metrics.Decided
	}
	return r, nil
}

// apply has an input applied once the Engine runs, and never blocks.
func (e *Engine) apply(in decide.Input) {
	r := e.running.Load()
	if r == nil {
		return // nothing is known yet that could be lost
	}
	switch in := in.(type) {
	case decide.Served:
		e.published.serve(in)
		e.refreshMembers()
	case decide.Unserved:
		e.published.unserve(in.GR)
		e.refreshMembers()
	}
	r.loop.add(in)
}

// applied is called once the effects of an input have been carried out.
func (e *Engine) applied(in decide.Input) {
	listed, ok := in.(decide.Listed)
	if !ok {
		return
	}
	e.published.listed(listed.GR)
	for _, m := range *e.published.members.Load() {
		m.EnqueueAll(listed.GR) // it may have what has no template any more
	}
}

// Synced says whether everything that is propagated has been read from the hub once since Run began, and decided about; nil
// if so.
func (e *Engine) Synced() error {
	if e.running.Load() == nil {
		return errors.New("propagation has not begun")
	}
	if err := e.watcher.Synced(); err != nil {
		return err
	}
	return e.published.synced()
}

func (e *Engine) versionOf(cluster string) string {
	if c := e.published.Facts().Clusters[cluster]; c != nil {
		return c.Version
	}
	return ""
}

// blame says in the Placement of an object that what a member says of it makes a fault, or has the member's workers take
// that away.
func (e *Engine) blame(key template.Key, blamed map[string]string) {
	for _, m := range *e.published.members.Load() {
		if message := blamed[m.Name()]; message != "" {
			m.Blame(key, message)
		} else if len(blamed) == 0 {
			m.Enqueue(key)
		}
	}
}
