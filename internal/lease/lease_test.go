package lease

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"
)

// shared is a Lease object that several locks are of.
type shared struct {
	mu      sync.Mutex
	record  *resourcelock.LeaderElectionRecord
	version int
	broken  bool
	held    []string // who had it, one after another; "" is nobody
}

// lock is how one process sees it.
type lock struct {
	*shared
	name string
	seen int
}

var errBroken = errors.New("the database does not answer")

func (l *lock) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.broken:
		return nil, nil, errBroken
	case l.record == nil:
		return nil, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "leases"}, "hanse-hub")
	}
	l.seen = l.version
	copied := *l.record
	return &copied, []byte(time.Now().String() + copied.RenewTime.String() + copied.HolderIdentity), nil
}

func (l *lock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.Update(ctx, r)
}

func (l *lock) Update(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.broken:
		return errBroken
	case l.seen != l.version:
		return apierrors.NewConflict(schema.GroupResource{Resource: "leases"}, "hanse-hub", errors.New("it was changed"))
	}
	if l.record == nil || l.record.HolderIdentity != r.HolderIdentity {
		l.held = append(l.held, r.HolderIdentity)
	}
	l.record = &r
	l.version++
	l.seen = l.version
	return nil
}

func (l *lock) RecordEvent(string) {}
func (l *lock) Identity() string   { return l.name }
func (l *lock) Describe() string   { return l.name }

func (s *shared) breaks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = true
}

func (s *shared) holder() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.HolderIdentity
}

func TestHeldWhileNobodyElseCanHaveIt(t *testing.T) {
	clock := testingclock.NewFakePassiveClock(time.Unix(1_000_000, 0))
	l := New(&lock{shared: &shared{}, name: "a"}, clock)
	if l.Held() == nil {
		t.Fatal("it is held before anybody took it")
	}
	if err := (timed{l.lock, l}).Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: "a"}); err != nil {
		t.Fatal(err)
	}
	began := clock.Now()
	for after, held := range map[time.Duration]bool{0: true, renewDeadline: true, heldFor - 1: true, heldFor: false, duration: false, time.Hour: false} {
		clock.SetTime(began.Add(after))
		if err := l.Held(); (err == nil) != held {
			t.Errorf("after %s: %v", after, err)
		}
	}
	// A renewal that fails is none.
	clock.SetTime(began.Add(duration))
	l.lock.(*lock).breaks()
	if err := (timed{l.lock, l}).Update(t.Context(), resourcelock.LeaderElectionRecord{}); err == nil || l.Held() == nil {
		t.Error("a renewal that failed counts")
	}
}

// TestStopsBeforeRelease ends a leader that takes its time: nobody else leads before it is done, and then somebody does at once.
func TestStopsBeforeRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{}
		first, second := New(&lock{shared: s, name: "first"}, clock.RealClock{}), New(&lock{shared: s, name: "second"}, clock.RealClock{})
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var said []string
		say := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, what)
		}
		over := make(chan error, 2)
		go func() {
			over <- first.Lead(ctx, func(ctx context.Context) error {
				<-ctx.Done()
				timer := time.NewTimer(40 * time.Second) // longer than the lease
				<-timer.C
				if err := first.Held(); err != nil {
					say("the first one no longer had it")
				}
				say("the first one stopped")
				return nil
			})
		}()
		synctest.Wait()
		ending, end := context.WithCancel(t.Context())
		go func() {
			over <- second.Lead(ending, func(ctx context.Context) error {
				say("the second one leads")
				<-ctx.Done()
				return nil
			})
		}()
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
		if first.Held() == nil {
			t.Error("it is held by who has given it back")
		}
		timer := time.NewTimer(2 * retryPeriod)
		<-timer.C
		end()
		if err := <-over; err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(said) != 2 || said[0] != "the first one stopped" || said[1] != "the second one leads" {
			t.Errorf("%q", said)
		}
		if s.holder() != "" {
			t.Errorf("%q holds it", s.holder())
		}
	})
}

// TestLost: who cannot renew is told to stop while it still has the lease, and does not give back what another may have.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{}
		l := New(&lock{shared: s, name: "first"}, clock.RealClock{})
		var held error
		err := l.Lead(t.Context(), func(ctx context.Context) error {
			s.breaks()
			<-ctx.Done()
			held = l.Held()
			return nil
		})
		if !errors.Is(err, ErrLost) || held != nil {
			t.Errorf("%v; when it was told, %v", err, held)
		}
	})
}

func TestNeverLed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{}
		s.breaks()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := New(&lock{shared: s, name: "first"}, clock.RealClock{}).Lead(ctx, func(context.Context) error {
			t.Error("it leads")
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestWhatLedFails: the lease is given back, and the error is that of what failed.
func TestWhatLedFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{}
		want := errors.New("it failed")
		if err := New(&lock{shared: s, name: "first"}, clock.RealClock{}).Lead(t.Context(), func(context.Context) error { return want }); !errors.Is(err, want) {
			t.Error(err)
		}
		if s.holder() != "" {
			t.Errorf("%q holds it", s.holder())
		}
	})
}
