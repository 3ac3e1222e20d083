// Package flatten knows the addresses of names that other DNS servers answer
// for, and keeps them fresh: load balancers that a cloud names by a hostname
// have addresses where a CNAME cannot be.
package flatten

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/guard"
)

const (
	// Names are looked up again when their TTL is over, within these limits.
	minRefresh = 10 * time.Second
	maxRefresh = 5 * time.Minute
	// parallel is how many names are looked up at a time.
	parallel = 8
)

// Resolver looks names up, again and again.
type Resolver struct {
	changed func()
	lookup  func(ctx context.Context, name string) ([]netip.Addr, time.Duration, error)
	clock   clock.Clock
	// wake says that names are wanted that have not been looked up.
	wake chan struct{}

	mu    sync.Mutex
	names map[string]*entry
}

// entry is what is known of a name.
type entry struct {
	addresses []netip.Addr // sorted; nobody changes it
	known     bool
	due       time.Time
	busy      bool
	failures  int
}

// New returns a Resolver that asks server, HOST:PORT; empty: those of
// /etc/resolv.conf. changed is called whenever the addresses of a wanted name
// have changed, from Run; it should not block.
func New(server string, changed func(), clk clock.Clock) *Resolver {
	c := &client{server: server, resolvConf: "/etc/resolv.conf"}
	return &Resolver{
		changed: changed,
		lookup:  c.lookup,
		clock:   clk,
		wake:    make(chan struct{}, 1),
		names:   map[string]*entry{},
	}
}

// canonical is a name in lower case with a final dot.
func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") + "." }

// Want says which names to look up from now on; others are forgotten. It does
// not block, and to want the same again does nothing.
func (r *Resolver) Want(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := make(map[string]struct{}, len(names))
	fresh := false
	for _, name := range names {
		name = canonical(name)
		wanted[name] = struct{}{}
		if _, ok := r.names[name]; !ok {
			r.names[name] = &entry{due: r.clock.Now()}
			fresh = true
		}
	}
	for name := range r.names {
		if _, ok := wanted[name]; !ok {
			delete(r.names, name)
		}
	}
	if fresh {
		r.signal()
	}
}

func (r *Resolver) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Addresses returns the addresses of a name, sorted, and whether they are known:
// false before the first answer, and for a name that is not wanted. A name
// without addresses is known. It does not block, and nobody may change the
// result.
func (r *Resolver) Addresses(name string) ([]netip.Addr, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.names[canonical(name)]; ok {
		return e.addresses, e.known
	}
	return nil, false
}

// Run looks names up until ctx ends.
func (r *Resolver) Run(ctx context.Context) {
	var lookups sync.WaitGroup
	defer lookups.Wait()
	slots := make(chan struct{}, parallel)
	timer := r.clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		case <-r.wake:
		}
		due, wait := r.due()
		for _, name := range due {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			lookups.Go(func() {
				defer func() { <-slots }()
				r.refresh(ctx, name)
				r.signal()
			})
		}
		timer.Reset(wait)
	}
}

// due returns the names to look up now, which count as busy from then on, and
// how long it is until the next.
func (r *Resolver) due() ([]string, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	wait := maxRefresh
	var due []string
	for name, e := range r.names {
		switch left := e.due.Sub(now); {
		case e.busy:
		case left > 0:
			wait = min(wait, left)
		default:
			e.busy = true
			due = append(due, name)
		}
	}
	slices.Sort(due)
	return due, wait
}

// refresh looks a name up. When that fails the last addresses stay, since a
// resolver that is away does not take a load balancer away.
func (r *Resolver) refresh(ctx context.Context, name string) {
	addresses, ttl, err := r.ask(ctx, name)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Cannot look up the addresses of a name", "name", name, "err", err)
	}
	if r.learn(name, addresses, ttl, err) {
		r.changed()
	}
}

// ask is a lookup that cannot end the process: names come from members, and answers
// from whoever has these names.
func (r *Resolver) ask(ctx context.Context, name string) (addresses []netip.Addr, ttl time.Duration, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			guard.Count(ctx, "dns-lookup")
			err = fmt.Errorf("panic: %v", cause)
			klog.FromContext(ctx).Error(err, "A lookup panicked", "name", name, "stack", string(debug.Stack()))
		}
	}()
	return r.lookup(ctx, name)
}

// learn takes in an answer; it returns true if the addresses have changed.
func (r *Resolver) learn(name string, addresses []netip.Addr, ttl time.Duration, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.names[name]
	if !ok {
		return false
	}
	e.busy = false
	if err != nil {
		// 10 s, 20 s, … as long as it fails.
		e.due = r.clock.Now().Add(min(minRefresh<<min(e.failures, 5), maxRefresh))
		e.failures++
		return false
	}
	e.failures = 0
	e.due = r.clock.Now().Add(min(max(ttl, minRefresh), maxRefresh))
	slices.SortFunc(addresses, netip.Addr.Compare)
	addresses = slices.Compact(addresses)
	if e.known && slices.Equal(e.addresses, addresses) {
		return false
	}
	e.addresses, e.known = addresses, true
	return true
}

// shorter is the smaller of two TTLs of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return cmp.Or(a, b)
	}
	return min(a, b)
}
