package member

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/limits"
	"github.com/hanse-dev/hanse/internal/objects"
	"github.com/hanse-dev/hanse/internal/propagate/endpoint"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/propagate/work"
)

// session is a member that is engaged: what is watched, a queue and its workers, all of which end with it. While nothing is
// placed in the member, it costs three goroutines.
type session struct {
	member    *Member
	cancel    context.CancelFunc
	client    dynamic.Interface
	discovery discovery.DiscoveryInterface
	queue     *work.Pool
	events    endpoint.Events
	rights    *endpoint.Rights // nil: it has no way to the member
	again     chan struct{}
	scalers   scalers
	schemas   schemas
	watches   rest.Interface // for lists and watches
	pages     chan struct{}  // holds an item for each page of a list that is in memory

	mu       sync.Mutex
	ctx      context.Context // of watches; nil before run
	kinds    map[schema.GroupResource]*kind
	exceeded error // why it was ended: the member is too large
	restarts bool  // it was ended so that another begins
}

// Way is a way to a member that somebody else than its workers may ask it by.
type Way struct {
	Client rest.Interface
	Served discovery.DiscoveryInterface
}

// Way is one while there is a session, else nil.
func (m *Member) Way() *Way {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		return nil
	}
	return &Way{Client: m.session.watches, Served: m.session.discovery}
}

// workersAtOnce is how many requests one member is sent at once. A member that takes its time holds up nobody but itself.
const workersAtOnce = 32

func newSession(m *Member, cfg *rest.Config, cancel context.CancelFunc) (*session, error) {
	var s *session
	cfg = limits.Responses(cfg, limits.Response, func(err error) { s.exceed(err) })
	cfg.WarningHandler = rest.NoWarnings{} // whoever wrote the object at the hub was warned there
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	writes, err := objects.NewClient(cfg, client)
	served, err2 := discovery.NewDiscoveryClientForConfigAndClient(cfg, client)
	watches, err3 := endpoint.NewRESTClient(cfg, client)
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	s = unconnected(m, cancel) // last, as its queue is to be stopped
	s.client, s.discovery, s.watches = writes, served, watches
	s.events.Connect(cfg, client)
	s.rights = endpoint.NewRights(cfg, client)
	return s, nil
}

// unconnected is a session without a way to its member.
func unconnected(m *Member, cancel context.CancelFunc) *session {
	s := &session{
		member: m, cancel: cancel, again: make(chan struct{}, 1), pages: make(chan struct{}, pagesAtOnce),
		kinds: map[schema.GroupResource]*kind{}, schemas: newSchemas(),
	}
	s.queue = work.NewPool(m.options.Workqueues.Open("member", m.name), m.clock, workersAtOnce, s.attempt, s.fails)
	return s
}

// fails hears of an object that is not as it is to be when that begins, and when it ends.
func (s *session) fails(key template.Key, err error) {
	log := klog.Background().V(1).WithValues("cluster", s.member.name, "key", key.String())
	if err != nil {
		log.Info("An object could not be synced, and will be tried again", "reason", err.Error())
	} else {
		log.Info("An object is no longer tried again")
	}
}

// run blocks until the session ends.
func (s *session) run(ctx context.Context) {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	s.queue.Start(ctx)
	s.schemas.watch(s) // for what was dropped in an earlier session
	work.Keep(ctx, s.member.clock, s.member.name+"/discovery", s.watchAll)
	s.queue.Stop()
	s.events.Stop()
	s.member.ended(s)
	s.tellAll()
}

// tellAll has the statuses and Placements of all that the member has, or is to have, made again.
func (s *session) tellAll() {
	for _, r := range s.member.source.Resources() {
		s.tellOf(r.GVR.GroupResource())
	}
}

const (
	// lookAgain is how often a member is asked for resources that it did not serve.
	lookAgain = 15 * time.Second
	// lookForCustom is the same while a CRD is established in the member whose resource discovery does not show: it lags a
	// little behind.
	lookForCustom = 250 * time.Millisecond
	// A discovery that failed is tried again after this, and then ever later. It costs a member little; what it does not show is
	// not written at all.
	retryDiscovery, longestDiscovery = 500 * time.Millisecond, 5 * time.Second
)

// watchAll finds out which of the propagated resources the member serves, also those that come later, and what is there of
// them, until ctx ends.
func (s *session) watchAll(ctx context.Context) {
	log := klog.FromContext(ctx)
	custom, failed := lookForCustom, retryDiscovery
	for {
		err := guard.RunCounted(ctx, "propagation", func() error { return s.discover(ctx) })
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

// pause blocks until it is time to discover again, and returns false if ctx ends first. As long as nothing waits for a missing
// resource, there is nothing to discover, unless due says that there is; something may come to wait for one at any time.
// Meanwhile what is not watched is looked at now and then.
func (s *session) pause(ctx context.Context, d time.Duration, due bool) bool {
	tick := s.member.clock.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-s.again:
			return true
		case <-tick.C():
			if due || s.wanting() {
				return true
			}
			s.tidy(ctx)
		}
	}
}

// awaitsCustom says whether a resource is missing whose CRD is established in the member.
func (s *session) awaitsCustom() bool {
	for _, gr := range s.missing() {
		crd := s.member.get(template.Key{GR: template.CRDs(), Name: gr.String()}).seen // their names are so
		if crd.exists() && !crd.deleting && isEstablished(crd.status) {
			return true
		}
	}
	return false
}

// wanting says whether something waits for a resource that is missing.
func (s *session) wanting() bool {
	for _, gr := range s.missing() {
		if s.member.source.Has(s.member.name, gr) {
			return true
		}
	}
	return false
}

// missing are the resources that the member does not serve.
func (s *session) missing() (all []schema.GroupResource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for gr, k := range s.kinds {
		if k.missing {
			all = append(all, gr)
		}
	}
	return all
}

// discover finds out what is served. A resource whose group could not be read stays as it was: a failed
// discovery never makes the hub forget what a member serves. The error is about resources that the hub has, too: what
// else is down in a member is not the hub's business.
func (s *session) discover(ctx context.Context) error {
	found, failed, err := objects.Served(s.discovery)
	wanted := s.member.source.Resources()
	if err != nil {
		s.undiscovered(wanted, func(schema.GroupResource) error { return err })
		return err
	}
	s.stopUnwanted(wanted)
	var served []Resource
	var versions []schema.GroupVersionResource
	for _, r := range wanted {
		gr := r.GVR.GroupResource()
		switch {
		case found[r.GVR]:
			served, versions = append(served, r), append(versions, r.GVR)
		case failed[gr.Group] == nil:
			s.stopServing(gr)
		default:
			err = fmt.Errorf("group %s: %w", gr.Group, failed[gr.Group])
		}
	}
	if s.member.source.Bounds(s.member.name).Access.Custom() {
		if err := s.rights.Grant(ctx, versions); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "The hub's role in the member could not be extended to custom resources")
		}
	}
	s.serve(ctx, served)
	s.undiscovered(wanted, func(gr schema.GroupResource) error { return failed[gr.Group] })
	return err
}

func (s *session) refreshSoon() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// queueAll puts everything of a resource on the queue: what is to be there, and what has a record.
func (s *session) queueAll(gr schema.GroupResource) {
	for _, key := range s.member.keys(gr) {
		s.queue.Add(key)
	}
}

// namespaceChanged has what is to be in a namespace of the member tried at once: whatever it was refused for, the namespace may
// have been why, and waiting longer and longer for that is over.
func (s *session) namespaceChanged(ns template.Key) {
	for _, key := range append(s.member.source.KeysIn(s.member.name, ns.Name), ns) {
		s.queue.Forget(key)
		s.queue.Add(key)
	}
}
