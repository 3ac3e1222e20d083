package propagate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// session is a member that is engaged: watches, a queue and workers, all of
// which end with it.
type session struct {
	engine    *Engine
	member    *member
	cancel    context.CancelFunc
	client    dynamic.Interface
	typed     kubernetes.Interface
	discovery discovery.DiscoveryInterface
	queue     workqueue.TypedRateLimitingInterface[Key]
	events    eventSink
	again     chan struct{}
	scaled    autoscaled
	lists     chan struct{} // holds an item for each list that is in memory
	// schemasEvery is lookForSchemas, but in tests.
	schemasEvery time.Duration

	mu       sync.Mutex
	watching map[schema.GroupResource]context.CancelFunc
	watched  map[schema.GroupResource]bool  // its first list has come
	missing  map[schema.GroupResource]bool  // the member does not serve it
	unread   map[schema.GroupResource]error // why its objects are not known as they are now
	exceeded error                          // why it was ended: the member is too large
	schemas  schemas
	granted  map[string]bool // rights to custom resources that the role has
}

// memberWorkers is how many requests one member is sent at once. A member that
// takes its time holds up nobody but itself.
const memberWorkers = 32

// Engage begins a session with a member; it ends with ctx. It does not block.
func (e *Engine) Engage(ctx context.Context, name string, cfg *rest.Config) {
	log := klog.FromContext(ctx).WithValues("cluster", name)
	joined := ctx
	ctx, cancel := context.WithCancel(klog.NewContext(ctx, log))
	s, err := newSession(e, cfg, cancel)
	if err != nil {
		cancel()
		log.Error(err, "Member cannot be used")
		return
	}
	e.mu.Lock()
	m := e.members[name]
	if m == nil {
		m = newMember(name)
		e.members[name] = m
	}
	running := e.running
	e.mu.Unlock()
	s.member = m
	m.disengage()
	m.mu.Lock()
	m.session = s
	m.version++
	m.mu.Unlock()
	if running != nil {
		context.AfterFunc(running, cancel)
	}
	go func() {
		s.run(ctx)
		e.engageAgain(joined, cfg, s)
	}()
	e.around.watcher.Engage(ctx, name, LimitResponses(cfg))
}

func newSession(e *Engine, cfg *rest.Config, cancel context.CancelFunc) (*session, error) {
	s := unconnected(e, cancel)
	cfg = limitResponses(cfg, largestResponse, s.exceed)
	cfg.WarningHandler = rest.NoWarnings{} // whoever wrote the object at the hub was warned there
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	typed, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	s.use(client, typed)
	return s, nil
}

func makeSession(e *Engine, client dynamic.Interface, typed kubernetes.Interface, cancel context.CancelFunc) *session {
	s := unconnected(e, cancel)
	s.use(client, typed)
	return s
}

func (s *session) use(client dynamic.Interface, typed kubernetes.Interface) {
	s.client, s.typed, s.discovery, s.events = client, typed, typed.Discovery(), newEventSink(typed.CoreV1())
}

// unconnected is a session without a way to its member.
func unconnected(e *Engine, cancel context.CancelFunc) *session {
	return &session{
		engine: e, cancel: cancel, queue: newQueue(), again: make(chan struct{}, 1), lists: make(chan struct{}, listsAtOnce),
		watching: map[schema.GroupResource]context.CancelFunc{},
		watched:  map[schema.GroupResource]bool{},
		missing:  map[schema.GroupResource]bool{},
		unread:   map[schema.GroupResource]error{},
		schemas:  newSchemas(), schemasEvery: lookForSchemas,
		granted: map[string]bool{},
	}
}

// run blocks until the session ends.
func (s *session) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range memberWorkers {
		wg.Go(func() { work(ctx, s.queue, s.attempt) })
	}
	go watchInto(ctx, s.bounded(autoscalersResource(), cutAutoscaler), s.member.name+"/autoscalers", "", &autoscalerSink{session: s}, s.scaled.setUnread)
	wg.Go(func() { keep(ctx, s.member.name+"/schemas", s.watchSchemas) })
	keep(ctx, s.member.name+"/discovery", s.watchAll)
	s.queue.ShutDown()
	wg.Wait()
	s.events.stop()
	m := s.member
	m.mu.Lock()
	if m.session == s {
		m.session = nil
	}
	m.version++
	m.mu.Unlock()
	s.engine.reachChanged(m.name)
}

const (
	// lookAgain is how often a member is asked for resources that it did not serve.
	lookAgain = 15 * time.Second
	// lookForCustom is the same while a CRD is established in the member whose
	// resource discovery does not show: it lags a little behind.
	lookForCustom = 250 * time.Millisecond
	// A discovery that failed is tried again after this, and then ever later. It costs
	// a member little; what it does not show is not written at all.
	retryDiscovery, longestDiscovery = 500 * time.Millisecond, 5 * time.Second
)

// watchAll watches every propagated resource that the member serves, and those
// that come later, until ctx ends.
func (s *session) watchAll(ctx context.Context) {
	log := klog.FromContext(ctx)
	custom, failed := lookForCustom, retryDiscovery
	for {
		err := guard.Run(func() error { return s.discover(ctx) })
		retry := lookAgain
		switch {
		case err != nil:
			log.V(1).Info("The member's resources could not all be discovered", "reason", err.Error(), "stack", string(guard.Stack(err)))
			retry = failed
			failed = min(2*failed, longestDiscovery)
		case s.awaitsCustom():
			retry = custom
			custom = min(2*custom, lookAgain) // its CRD there may never serve the version that is wanted
			failed = retryDiscovery
		default:
			custom, failed = lookForCustom, retryDiscovery
		}
		if !s.pause(ctx, retry, err != nil) {
			return
		}
	}
}

// pause blocks until it is time to discover again, and returns false if ctx ends
// first. As long as nothing waits for a missing resource, there is nothing to
// discover, unless due says that there is; something may come to wait for one at any
// time.
func (s *session) pause(ctx context.Context, d time.Duration, due bool) bool {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-s.again:
			return true
		case <-tick.C:
			if due || s.wanting() {
				return true
			}
		}
	}
}

// awaitsCustom says whether a resource is missing whose CRD is established in the
// member.
func (s *session) awaitsCustom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for gr := range s.missing {
		crd := Key{GR: crds(), Name: gr.String()} // their names are so
		if seen := s.member.get(crd).seen; seen.exists() && !seen.deleting && isEstablished(seen.status) {
			return true
		}
	}
	return false
}

// discover starts watches on what is served and not watched so far. A resource
// whose group could not be read stays as it was: a failed discovery never
// makes the hub forget what a member serves. The error is about resources that the
// hub has, too: what else is down in a member is not the hub's business.
func (s *session) discover(ctx context.Context) error {
	found, failed, err := servedVersions(s.discovery)
	s.engine.mu.RLock()
	wanted := make([]*resource, 0, len(s.engine.resources))
	for _, r := range s.engine.resources {
		wanted = append(wanted, r)
	}
	s.engine.mu.RUnlock()
	if err != nil {
		s.undiscovered(wanted, func(schema.GroupResource) error { return err })
		return err
	}
	s.stopUnwanted(wanted)
	served := map[schema.GroupResource]*resource{}
	for _, r := range wanted {
		gr := r.gvr.GroupResource()
		switch {
		case found[r.gvr]:
			served[gr] = r
		case failed[gr.Group] == nil:
			s.stopWatching(gr)
		default:
			err = fmt.Errorf("group %s: %w", gr.Group, failed[gr.Group])
		}
	}
	if err := s.grantCustom(ctx, served); err != nil {
		klog.FromContext(ctx).Error(err, "The hub's role in the member could not be extended to custom resources")
	}
	for gr, r := range served {
		s.watch(ctx, gr, r)
	}
	s.undiscovered(wanted, func(gr schema.GroupResource) error { return failed[gr.Group] })
	return err
}

// stopUnwanted ends watches on resources that the hub serves no more, as those
// of a CRD that was deleted.
func (s *session) stopUnwanted(wanted []*resource) {
	keep := map[schema.GroupResource]bool{}
	for _, r := range wanted {
		keep[r.gvr.GroupResource()] = true
	}
	var unwanted []schema.GroupResource
	s.mu.Lock()
	for gr := range s.watching {
		if !keep[gr] {
			unwanted = append(unwanted, gr)
		}
	}
	s.mu.Unlock()
	for _, gr := range unwanted {
		s.stopWatching(gr)
		s.mu.Lock()
		delete(s.missing, gr)
		delete(s.unread, gr)
		s.mu.Unlock()
		s.member.forgetAll(gr)
	}
}

func (s *session) watch(ctx context.Context, gr schema.GroupResource, r *resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.missing, gr)
	if s.watching[gr] != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	s.watching[gr] = cancel
	delete(s.unread, gr)
	go watchInto(ctx, s.bounded(r.gvr, s.cutManaged(gr)), s.member.name+"/"+gr.String(), kinds.ManagedSelector(gr), &memberSink{session: s, gr: gr},
		func(err error) { s.setUnread(ctx, gr, err) })
}

// stopWatching is for a resource that the member does not serve, or not any
// more. What was known of its objects is forgotten: with a CRD, they go.
func (s *session) stopWatching(gr schema.GroupResource) {
	s.mu.Lock()
	stop := s.watching[gr]
	delete(s.watching, gr)
	delete(s.watched, gr)
	delete(s.unread, gr)
	s.missing[gr] = true
	s.mu.Unlock()
	if stop == nil {
		s.queueAll(gr) // so that the placements say what is missing
		return
	}
	stop()
	sink := &memberSink{session: s, gr: gr}
	for _, key := range s.member.keysOf(gr) {
		sink.forget(key, nil)
		s.queue.Add(key)
	}
}

func (s *session) setWatched(gr schema.GroupResource) {
	s.mu.Lock()
	if s.watching[gr] != nil {
		s.watched[gr] = true
	}
	s.mu.Unlock()
	s.engine.reachChanged(s.member.name, gr)
}

// state says whether the objects of a resource in the member are known, and
// whether the member serves it at all.
func (s *session) state(gr schema.GroupResource) (watched, missing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watched[gr], s.missing[gr]
}

// wanting says whether something waits for a resource that is missing.
func (s *session) wanting() bool {
	s.mu.Lock()
	missing := make([]schema.GroupResource, 0, len(s.missing))
	for gr := range s.missing {
		missing = append(missing, gr)
	}
	s.mu.Unlock()
	s.engine.mu.RLock()
	defer s.engine.mu.RUnlock()
	for _, gr := range missing {
		if r := s.engine.resources[gr]; r != nil && len(r.templates) > 0 {
			return true
		}
	}
	return false
}

// queueAll puts everything of a resource on the queue: what has a template and
// what has a record.
func (s *session) queueAll(gr schema.GroupResource) {
	s.engine.mu.RLock()
	if r := s.engine.resources[gr]; r != nil {
		for _, t := range r.templates {
			s.queue.Add(t.key)
		}
	}
	s.engine.mu.RUnlock()
	for _, key := range s.member.keysOf(gr) {
		s.queue.Add(key)
	}
}

// namespaceChanged has what is to be in a namespace of the member tried at once: whatever
// it was refused for, the namespace may have been why, and waiting longer and longer for
// that is over.
func (s *session) namespaceChanged(ns Key) {
	keys := []Key{ns}
	s.engine.mu.RLock()
	for _, r := range s.engine.resources {
		for name, t := range r.templates {
			if name.Namespace == ns.Name {
				keys = append(keys, t.key)
			}
		}
	}
	s.engine.mu.RUnlock()
	for _, key := range keys {
		s.queue.Forget(key)
		s.queue.Add(key)
	}
}

func (s *session) refreshSoon() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// builtIn says whether a group is one of Kubernetes' own, which the member's
// role names from the start.
func builtIn(group string) bool {
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
}
