package member

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/watch"
)

// A watch is open for resources of which something is in the member or is to be there. What else the member serves
// is looked at when a session begins, and now and then: that finds what the hub left there and has no template for any
// more, and what somebody copied. What is placed is watched, so that a change of it is seen at once.

// kind is what is known of a resource in a session.
type kind struct {
	resource Resource
	stop     context.CancelFunc    // of its watch; nil: it has none
	read     bool                  // it is known what is there
	listed   bool                  // the watch has said all there is
	unlisted int                   // watches, of single namespaces, that have not
	missing  bool                  // the member does not serve it
	unread   error                 // why its objects are not known as they are now
	due      time.Time             // when it is looked at again if it has no watch, or closed if nothing is there
	early    map[template.Key]bool // written before the watch has said what there is
}

const (
	// Something may be put into a member by others than the hub at any time: what is not watched is looked at after a time between
	// these.
	shortestLook, longestLook = 20 * time.Minute, 40 * time.Minute
	// closeAfter is how long a watch goes on when nothing is there any more: what is deleted is often made again.
	closeAfter = 5 * time.Minute
	// looksAtOnce is how many resources are looked at at once when a session begins.
	looksAtOnce = 4
)

// serve looks at what the member serves and is not known: what may be to be there is watched, and of all else it is
// found out whether there is any. It blocks until that is known.
func (s *session) serve(ctx context.Context, served []Resource) {
	var unknown []*kind
	access := s.member.source.Bounds(s.member.name).Access
	for _, r := range served {
		gr := r.GVR.GroupResource()
		s.mu.Lock()
		k := s.kinds[gr]
		if k == nil {
			k = &kind{}
			s.kinds[gr] = k
		}
		k.resource, k.missing = r, false
		known := k.stop != nil || k.read
		s.mu.Unlock()
		switch {
		case known:
		case !access.Kind(gr):
			s.passesOver(gr)
		case access.Bounded(gr):
			s.watchSoon(gr)
		case s.member.source.Has(s.member.name, gr) || len(s.member.keysOf(gr)) > 0:
			s.watchSoon(gr)
		default:
			unknown = append(unknown, k)
		}
	}
	var wg sync.WaitGroup
	next := make(chan *kind)
	for range min(looksAtOnce, len(unknown)) {
		wg.Go(func() {
			for k := range next {
				if err := guard.RunCounted(ctx, "propagation", func() error { s.look(ctx, k); return nil }); err != nil {
					klog.FromContext(ctx).Error(err, "The objects of a resource could not be processed", "resource", k.resource.GVR.GroupResource().String(), "stack", string(guard.Stack(err)))
				}
			}
		})
	}
	for _, k := range unknown {
		next <- k
	}
	close(next)
	wg.Wait()
}

// passesOver is for a resource that the hub's account may not write: whatever is there is not the hub's, and need not be read.
func (s *session) passesOver(gr schema.GroupResource) {
	s.mu.Lock()
	s.kinds[gr].read, s.kinds[gr].unread = true, nil
	s.mu.Unlock()
	s.hasRead(gr)
	s.queueAll(gr)
}

// look finds out whether there is anything of the hub's of a resource: if so, or if that cannot be found out, it is watched,
// which tells of it.
func (s *session) look(ctx context.Context, k *kind) {
	gr := k.resource.GVR.GroupResource()
	asked, cancel := context.WithTimeout(ctx, lateAfter)
	defer cancel()
	none, err := watch.None(asked, s.watches, watch.Path(k.resource.GVR, ""), kinds.ManagedSelector(gr))
	switch {
	case ctx.Err() != nil:
	case err != nil || !none:
		s.watchSoon(gr)
	default:
		s.mu.Lock()
		news := !k.read && k.stop == nil && !k.missing
		k.due = s.member.clock.Now().Add(shortestLook + rand.N(longestLook-shortestLook))
		if news {
			k.read, k.unread = true, nil
		}
		s.mu.Unlock()
		if news {
			s.hasRead(gr)
			s.queueAll(gr)
		}
	}
}

// watchSoon opens a watch on a resource that the member serves, if there is none.
func (s *session) watchSoon(gr schema.GroupResource) {
	access := s.member.source.Bounds(s.member.name).Access
	s.mu.Lock()
	k := s.kinds[gr]
	if k == nil || k.missing || k.stop != nil || s.ctx == nil || !access.Kind(gr) {
		s.mu.Unlock()
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	k.stop, k.unread, k.due = cancel, nil, time.Time{}
	k.listed, k.early = false, nil
	gvr, namespaces := k.resource.GVR, []string{""}
	if access.Bounded(gr) {
		namespaces = access.Namespaces
	}
	k.unlisted = len(namespaces)
	s.mu.Unlock()
	if template.IsScalable(gr) {
		s.scalers.watch(s)
	}
	for _, ns := range namespaces {
		sink := &sink{session: s, gr: gr, namespace: ns}
		go s.follow(ctx, followed{
			name: gr.String(), gvr: gvr, namespace: ns, labels: kinds.ManagedSelector(gr), cut: s.cutManaged(gr), into: sink, known: sink.knows,
			told: func(err error) { s.setUnread(ctx, gr, err) },
		})
	}
}

// early notes that an object was written: a list that was read before does not say that it is gone.
func (s *session) early(key template.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kinds[key.GR]; k != nil && !k.listed {
		if k.early == nil {
			k.early = map[template.Key]bool{}
		}
		k.early[key] = true
	}
}

// stopUnwanted ends watches on resources that the hub serves no more, as those of a CRD that was deleted.
func (s *session) stopUnwanted(wanted []Resource) {
	keep := map[schema.GroupResource]bool{}
	for _, r := range wanted {
		keep[r.GVR.GroupResource()] = true
	}
	var unwanted []schema.GroupResource
	s.mu.Lock()
	for gr, k := range s.kinds {
		if !keep[gr] {
			unwanted = append(unwanted, gr)
			if k.stop != nil {
				k.stop()
			}
			delete(s.kinds, gr)
		}
	}
	s.mu.Unlock()
	for _, gr := range unwanted {
		s.member.forgetAll(gr)
	}
}

// stopServing is for a resource that the member does not serve, or not any more. What was known of its objects is forgotten:
// with a CRD, they go.
func (s *session) stopServing(gr schema.GroupResource) {
	s.mu.Lock()
	k := s.kinds[gr]
	news := k == nil || !k.missing
	if k != nil && k.stop != nil {
		k.stop()
	}
	s.kinds[gr] = &kind{missing: true}
	s.mu.Unlock()
	sink := &sink{session: s, gr: gr}
	for _, key := range s.member.keysOf(gr) {
		sink.forget(key, nil)
	}
	if news {
		s.hasRead(gr)
		s.queueAll(gr) // so that the placements say what is missing
	}
}

// hasRead tells that it is known what is there of a resource.
func (s *session) hasRead(gr schema.GroupResource) {
	if s.member.engaged() != s {
		return // what another session has read counts
	}
	s.member.listener.Read(s.member.name, gr, true)
	s.tellOf(gr)
	if gr == template.Namespaces() {
		s.member.Rebound() // what was waiting for that
	}
}

// knowsNamespaces says whether it is known which namespaces are the hub's, without which nothing is written into any.
func (s *session) knowsNamespaces() bool {
	read, missing := s.state(template.Namespaces())
	return read || missing
}

// state says whether the objects of a resource in the member are known, and whether the member does not serve it at all.
func (s *session) state(gr schema.GroupResource) (read, missing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gr]
	return k != nil && k.read, k != nil && k.missing
}

// tidy looks at one of the resources that are due: one without a watch is looked at, and the watch of one closed of which
// nothing has been there for a while.
func (s *session) tidy(ctx context.Context) {
	now, access := s.member.clock.Now(), s.member.source.Bounds(s.member.name).Access
	var look *kind
	var idle []schema.GroupResource
	s.mu.Lock()
	for gr, k := range s.kinds {
		switch {
		case k.missing || !k.read || !access.Kind(gr):
		case k.stop != nil && k.listed:
			idle = append(idle, gr)
		case k.stop == nil && now.After(k.due) && (look == nil || k.due.Before(look.due)):
			look = k
		}
	}
	s.mu.Unlock()
	for _, gr := range idle {
		used := len(s.member.keysOf(gr)) > 0 || s.member.source.Has(s.member.name, gr)
		s.closeUnused(gr, used, now)
	}
	if look != nil {
		s.look(ctx, look)
	}
}

func (s *session) closeUnused(gr schema.GroupResource, used bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gr]
	switch {
	case k == nil || k.stop == nil:
	case used:
		k.due = time.Time{}
	case k.due.IsZero():
		k.due = now.Add(closeAfter)
	case now.After(k.due):
		k.stop()
		k.stop, k.listed = nil, false
		k.due = now.Add(shortestLook)
	}
}
