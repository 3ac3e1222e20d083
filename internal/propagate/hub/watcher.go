package hub

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/propagate/work"
)

// Watcher reads at the hub all that decisions depend on, and tells it as inputs.
type Watcher struct {
	hub       rest.Interface
	discovery discovery.DiscoveryInterface
	into      func(decide.Input)
	clock     clock.WithTickerAndDelayedExecution
	table     kinds.Table
	hasher    fieldmerge.Hasher

	rediscover chan struct{} // the hub's CRDs have changed

	mu        sync.Mutex
	resources map[schema.GroupResource]*resource
	following sync.WaitGroup // their watches
}

// NewWatcher makes a Watcher, whose client is one of watch.NewClient. into is called from several goroutines, in order for each resource, and must not block.
func NewWatcher(hub rest.Interface, d discovery.DiscoveryInterface, into func(decide.Input), c clock.WithTickerAndDelayedExecution) *Watcher {
	return &Watcher{
		hub: hub, discovery: d, into: into, clock: c, table: kinds.NewTable(), hasher: fieldmerge.NewHasher(),
		rediscover: make(chan struct{}, 1), resources: map[schema.GroupResource]*resource{},
	}
}

// Run watches until ctx ends. What decisions depend on is read once before the objects that are decided about.
func (w *Watcher) Run(ctx context.Context) {
	defer w.following.Wait()
	var ends sync.WaitGroup
	defer ends.Wait()
	begin := func(gvr schema.GroupVersionResource, name string, s sink) (seen chan struct{}) {
		seen = make(chan struct{})
		ends.Go(func() { w.follow(ctx, gvr, name, &firstSeen{sink: s, seen: seen}) })
		return seen
	}
	read := func(all ...chan struct{}) bool {
		for _, seen := range all {
			select {
			case <-seen:
			case <-ctx.Done():
				return false
			}
		}
		return true
	}
	if !read(begin(v1alpha1.Resource("clusters"), "clusters", &clusterSink{into: w.into, log: klog.FromContext(ctx)})) {
		return
	}
	if !read(begin(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, "namespace labels", namespaceSink{w.into})) {
		return
	}
	if !read(begin(v1alpha1.Resource("placementpolicies"), "placementpolicies", newPolicySink(w.into)),
		begin(v1alpha1.Resource("clusterplacementpolicies"), "clusterplacementpolicies", newPolicySink(w.into)),
		begin(v1alpha1.Resource("residencies"), "residencies", newPolicySink(w.into))) {
		return
	}
	ends.Go(func() { work.Keep(ctx, w.clock, "watchResources", w.watchResources) })
}

// Synced says whether everything that is propagated has been read from the hub once since Run began; nil if so.
func (w *Watcher) Synced() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.resources) == 0 {
		return fmt.Errorf("the hub's resources have not been discovered yet")
	}
	for gr, r := range w.resources {
		if !r.isSynced() {
			return fmt.Errorf("%s have not been read from the hub yet", gr)
		}
	}
	return nil
}

// How often the hub is asked what it serves: for what no event announces, as the resources of an aggregated API server; when it did
// not answer; and while what a CustomResourceDefinition defines is not shown yet, which is soon.
const (
	rediscoverEvery   = 5 * time.Minute
	rediscoverFailed  = 2 * time.Second
	rediscoverAwaited = 250 * time.Millisecond
)

// watchResources keeps a watch on every resource that the hub serves and that is propagated, until ctx ends. It goes by
// discovery, so that custom resources are propagated from the moment that they are served.
func (w *Watcher) watchResources(ctx context.Context) {
	log := klog.FromContext(ctx)
	failing := ""
	for {
		err := w.discover(ctx)
		wait := rediscoverEvery
		switch {
		case err != nil:
			wait = rediscoverFailed
			if failing != err.Error() {
				log.Error(err, "The hub's resources could not all be discovered")
			}
			failing = err.Error()
		case w.awaitsDiscovery():
			wait = rediscoverAwaited
		}
		if err == nil && failing != "" {
			failing = ""
			log.Info("The hub's resources have all been discovered")
		}
		if !work.Rest(ctx, w.clock, wait, w.rediscover) {
			return
		}
	}
}

// discover starts watches on resources that are new and stops those on resources that are gone. Resources of a group that could
// not be read stay as they were.
func (w *Watcher) discover(ctx context.Context) error {
	found, complete, err := served(w.discovery)
	if found == nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for gr, in := range found {
		if _, stays := w.table.ResourceStays(gr); stays || w.resources[gr] != nil {
			continue
		}
		watched, stop := context.WithCancel(ctx)
		r := &resource{Served: in, stop: stop, templates: map[template.Key]*template.Template{}}
		w.resources[gr] = r
		w.into(in)
		w.following.Go(func() {
			w.follow(watched, in.GVR, gr.String(), &templateSink{watcher: w, resource: r, log: klog.FromContext(ctx)})
		})
	}
	for gr, r := range w.resources {
		if _, still := found[gr]; !still && complete(gr.Group) {
			r.end()
			delete(w.resources, gr)
			w.into(decide.Unserved{GR: gr})
		}
	}
	return err
}

// awaitsDiscovery says whether a CustomResourceDefinition is established of which discovery did not show the resource: it lags
// a little behind.
func (w *Watcher) awaitsDiscovery() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	crds := w.resources[template.CRDs()]
	if crds == nil {
		return false
	}
	crds.mu.Lock()
	defer crds.mu.Unlock()
	for _, t := range crds.templates {
		defined, established := customResource(t.Object)
		if _, stays := w.table.ResourceStays(defined); established && !stays && w.resources[defined] == nil && t.Object.GetDeletionTimestamp() == nil {
			return true
		}
	}
	return false
}

func (w *Watcher) rediscoverSoon() {
	select {
	case w.rediscover <- struct{}{}:
	default:
	}
}
