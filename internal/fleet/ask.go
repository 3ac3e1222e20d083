package fleet

import (
	"context"
	"crypto/sha256"
	"sync"

	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/guard"
)

// said is what a member says at every look.
type said struct {
	uid      string // of the cluster
	otherHub string // that it says it belongs to, "" if that is this one or nobody
	session  string // the run of this hub that was there last, "" if none is known
	// namespace is the UID of the hub's Namespace there, "" if there is none; digest
	// is that of the answer that showed it, zero if that is not known.
	namespace string
	digest    [sha256.Size]byte
}

// asked is what one attempt brought.
type asked struct {
	said
	err error
}

// ask asks the member whether it is ready, which cluster it is and whose; one that was
// well, and need not be looked at as a whole, only one of that in turn. If
// there is no answer it asks once more by a new connection, beside the first: a
// connection may be dead although both ends are well. Blocks for as long as
// patienceFor says.
func (m *member) ask(ctx context.Context, whole bool) (said, verdict) {
	limit := patienceFor(m.health, m.pace)
	began := m.fleet.clock.Now()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	attempts := make(chan asked, 2)
	was, at := m.said, m.glance
	m.glance = !m.glance
	attempt := func(l *link) {
		m.fleet.wg.Go(func() {
			if !whole {
				if a, ok := glanceOnce(limited, l, at, was, m.fleet.hubUID); ok {
					attempts <- a
					return
				}
			}
			attempts <- askOnce(limited, l, m.fleet.hubUID)
		})
	}
	attempt(m.link)
	again := m.fleet.clock.NewTimer(limit / 4)
	defer again.Stop()
	var last asked
	for running := 1; running > 0; {
		select {
		case last = <-attempts:
			running--
			if last.err == nil || answered(last.err) {
				running = 0
			}
		case <-again.C():
			if spare := m.another(ctx); spare != nil {
				attempt(spare)
				running++
			}
		}
	}
	took := m.fleet.clock.Since(began)
	if last.err == nil {
		m.pace = nextPace(m.pace, took)
		return last.said, reachable(m.spec.Endpoint)
	}
	if guard.Stack(last.err) != nil {
		return said{}, m.fault(ctx, last.err)
	}
	v := m.judge(last.err)
	v.silent = v.reason == v1alpha1.ReasonNetworkUnreachable && took >= limit && !m.line.heardSince(began)
	if v.silent {
		m.link.renew()
	}
	return said{}, v
}

// another is a link whose next request opens a connection; nil if there is none.
func (m *member) another(ctx context.Context) *link {
	if m.spare != nil {
		m.spare.renew()
		return m.spare
	}
	spare, err := newLink(ctx, m.spec, m.token, &line{clock: m.fleet.clock, broken: func() {}, fence: m.fleet.fence})
	if err != nil {
		return nil
	}
	m.spare = spare
	return spare
}

// answered says whether an error is what the member answered, or the refusal of
// a connection: another attempt would be told the same.
func answered(err error) bool {
	p := access.Classify(err)
	return p.Reason != v1alpha1.ReasonNetworkUnreachable || p.Refused || guard.Stack(err) != nil
}

// glanceOnce is askOnce by a glance; ok is false if that does not do.
func glanceOnce(ctx context.Context, l *link, at glanced, was said, hubUID string) (a asked, ok bool) {
	err := guard.Run(func() (err error) {
		a.said, ok, err = l.glance(ctx, at, was, hubUID)
		return err
	})
	if err != nil {
		return asked{err: err}, true
	}
	return a, ok
}

// askOnce asks all at once, so that a slow member is waited for once. A member
// that says that it is not ready need not say anything else.
func askOnce(ctx context.Context, l *link, hubUID string) (a asked) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var client kubernetes.Interface
	if err := guard.Run(func() error { client = l.client(); return nil }); err != nil {
		return asked{err: err}
	}
	var ready, which, whose error
	var wg sync.WaitGroup
	wg.Go(func() {
		if ready = guard.Run(func() error { return readyz(ctx, client) }); ready != nil {
			cancel()
		}
	})
	// /readyz is open to everybody: what shows that the hub has its rights, and
	// that this is the cluster that was joined, is a read that needs them.
	wg.Go(func() {
		which = guard.Run(func() (err error) { a.uid, err = access.Identity(ctx, client); return err })
	})
	wg.Go(func() {
		whose = guard.Run(func() error {
			ns, err := systemNamespace(ctx, client)
			if ns != nil {
				a.namespace = string(ns.UID)
				a.otherHub, a.session = ownerOf(ns, hubUID)
			}
			return err
		})
	})
	wg.Wait()
	for _, err := range []error{ready, which, whose} {
		if err != nil {
			return asked{err: err}
		}
	}
	return a
}
