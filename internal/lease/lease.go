// Package lease has one of several hubs on the same database lead, and keeps one that leads no more from sending anything that
// a leader sends.
package lease

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// The hub that propagates renews its lease; another one on the same database
// takes over when it has not been renewed for duration. The values are
// kube-controller-manager's.
const (
	duration      = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
	// heldFor is how old the last renewal may be for the holder to send something: longer than it tries to renew, and shorter than
	// another hub waits, by more than two machines' clocks drift apart in that time.
	heldFor = duration - retryPeriod
	// releaseTimeout bounds the request that gives the lease back.
	releaseTimeout = 2 * time.Second
)

// ErrLost ends a hub whose lease another one may have by now.
var ErrLost = errors.New("the lease hanse-system/hanse-hub was lost: another hub on the same etcd may propagate now. Try: start this hub again, it waits for its turn")

// Lease is the right to lead, as one process has it or not.
type Lease struct {
	lock  resourcelock.Interface
	clock clock.PassiveClock
	// renewed is when the last request was sent by which the lease was taken or renewed; nil: it is not held.
	renewed atomic.Pointer[time.Time]
}

// New makes the right that a lock stands for.
func New(lock resourcelock.Interface, clock clock.PassiveClock) *Lease {
	return &Lease{lock: lock, clock: clock}
}

// Held is nil while no other hub can have the lease. It neither blocks nor asks: what counts is how long ago the lease was
// renewed, by the clock that nobody sets and, for a machine that slept, by the time of day. A process that was stopped and goes
// on finds out before it sends anything.
func (l *Lease) Held() error {
	at := l.renewed.Load()
	if at == nil {
		return ErrLost
	}
	now := l.clock.Now()
	if max(now.Sub(*at), now.Round(0).Sub(at.Round(0))) >= heldFor {
		return ErrLost
	}
	return nil
}

// Lead waits for the lease and runs do while this process has it. It blocks until ctx ends, do returns, or the lease is lost,
// which is an error. The lease is given back when do has returned and not before.
func (l *Lease) Lead(ctx context.Context, do func(context.Context) error) error {
	// The elector goes on renewing after ctx has ended, until do has returned.
	electing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var leads atomic.Bool
	defer context.AfterFunc(ctx, func() {
		if !leads.Load() {
			cancel()
		}
	})()
	ended := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:          timed{l.lock, l},
		LeaseDuration: duration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				leads.Store(true)
				defer cancel()
				ended <- whileBoth(ctx, leading, do)
			},
			OnStoppedLeading: func() {},
			OnNewLeader:      func(who string) { klog.FromContext(ctx).Info("Leader changed", "leader", who) },
		},
	})
	if err != nil {
		return fmt.Errorf("prepare the lease: %w", err)
	}
	elector.Run(electing)
	if l.renewed.Load() == nil {
		return nil // never led
	}
	err = <-ended
	l.renewed.Store(nil)
	l.release(ctx)
	if err == nil && ctx.Err() == nil {
		return ErrLost
	}
	return err
}

// whileBoth runs do until either context ends.
func whileBoth(a, b context.Context, do func(context.Context) error) error {
	both, cancel := context.WithCancel(a)
	defer cancel()
	defer context.AfterFunc(b, cancel)()
	if both.Err() != nil {
		return nil
	}
	return do(both)
}

// release gives the lease back, if it is still this process's, so that the next hub need not wait. It runs out anyway.
func (l *Lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	record, _, err := l.lock.Get(ctx)
	if err != nil || record.HolderIdentity != l.lock.Identity() {
		return
	}
	record.HolderIdentity, record.LeaseDurationSeconds = "", 1
	if err := l.lock.Update(ctx, *record); err != nil {
		klog.FromContext(ctx).V(2).Info("The lease was not given back", "err", err)
	}
}

// timed is a lock that notes when it was taken or renewed.
type timed struct {
	resourcelock.Interface
	lease *Lease
}

func (t timed) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return t.note(func() error { return t.Interface.Create(ctx, record) })
}

func (t timed) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return t.note(func() error { return t.Interface.Update(ctx, record) })
}

// note counts from before the request: another hub counts from when it sees what the request did.
func (t timed) note(request func() error) error {
	began := t.lease.clock.Now()
	err := request()
	if err == nil {
		t.lease.renewed.Store(&began)
	}
	return err
}
