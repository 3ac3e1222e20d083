package flatten

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/guard"
)

// world is a DNS in which tests set what there is.
type world struct {
	mu      sync.Mutex
	answers map[string]answer
	lookups map[string]int
}

type answer struct {
	addresses []netip.Addr
	ttl       time.Duration
	err       error
}

func (w *world) set(name string, a answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[name] = a
}

func (w *world) lookup(_ context.Context, name string) ([]netip.Addr, time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookups[name]++
	a := w.answers[name]
	return slices.Clone(a.addresses), a.ttl, a.err
}

func (w *world) count(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lookups[name]
}

func addresses(text ...string) []netip.Addr {
	var a []netip.Addr
	for _, s := range text {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

// inBubble runs a test with a Resolver that runs on a clock of the test's.
func inBubble(t *testing.T, test func(t *testing.T, r *Resolver, w *world, changes *int)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{answers: map[string]answer{}, lookups: map[string]int{}}
		changes := 0
		var mu sync.Mutex
		r := New("", func() {
			mu.Lock()
			defer mu.Unlock()
			changes++
		}, clock.RealClock{})
		r.lookup = w.lookup
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { r.Run(ctx) })
		test(t, r, w, &changes)
		cancel()
		done.Wait()
	})
}

// pass lets time pass on the bubble's clock.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestAddressesAreKeptFresh(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Resolver, w *world, changes *int) {
		w.set("lb.example.", answer{addresses: addresses("192.0.2.2", "192.0.2.1", "2001:db8::1", "192.0.2.1"), ttl: 30 * time.Second})
		if _, ok := r.Addresses("lb.example"); ok {
			t.Error("known although nobody wants it")
		}
		r.Want([]string{"LB.example", "lb.example."})
		synctest.Wait()
		want := addresses("192.0.2.1", "192.0.2.2", "2001:db8::1")
		if got, ok := r.Addresses("Lb.Example."); !ok || !slices.Equal(got, want) || *changes != 1 {
			t.Errorf("%v, %v, %d changes", got, ok, *changes)
		}
		pass(29 * time.Second)
		if n := w.count("lb.example."); n != 1 {
			t.Errorf("%d lookups within the TTL", n)
		}
		pass(2 * time.Second)
		if n := w.count("lb.example."); n != 2 || *changes != 1 {
			t.Errorf("%d lookups after the TTL, %d changes", n, *changes)
		}
		w.set("lb.example.", answer{addresses: addresses("192.0.2.9"), ttl: 30 * time.Second})
		pass(31 * time.Second)
		if got, _ := r.Addresses("lb.example"); !slices.Equal(got, addresses("192.0.2.9")) || *changes != 2 {
			t.Errorf("%v, %d changes", got, *changes)
		}
	})
}

func TestRefreshIsWithinLimits(t *testing.T) {
	for _, c := range []struct{ ttl, want time.Duration }{{0, minRefresh}, {time.Second, minRefresh}, {time.Minute, time.Minute}, {time.Hour, maxRefresh}} {
		inBubble(t, func(t *testing.T, r *Resolver, w *world, _ *int) {
			w.set("a.", answer{addresses: addresses("192.0.2.1"), ttl: c.ttl})
			r.Want([]string{"a"})
			pass(c.want - time.Second)
			before := w.count("a.")
			pass(2 * time.Second)
			if after := w.count("a."); before != 1 || after != 2 {
				t.Errorf("TTL %v: %d lookups before %v, %d after", c.ttl, before, c.want, after)
			}
		})
	}
}

func TestFailureKeepsAddresses(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Resolver, w *world, changes *int) {
		w.set("a.", answer{addresses: addresses("192.0.2.1"), ttl: 10 * time.Second})
		w.set("never.", answer{err: errors.New("refused")})
		r.Want([]string{"a", "never"})
		synctest.Wait()
		w.set("a.", answer{err: errors.New("no answer")})
		pass(time.Hour)
		if got, ok := r.Addresses("a"); !ok || len(got) != 1 || *changes != 1 {
			t.Errorf("%v, %v, %d changes", got, ok, *changes)
		}
		if got, ok := r.Addresses("never"); ok || got != nil {
			t.Errorf("known without an answer: %v", got)
		}
		// 10, 30, 70, 150, 310 s and then every 5 minutes.
		if n := w.count("never."); n < 15 || n > 17 {
			t.Errorf("%d lookups in an hour", n)
		}
		// An empty answer is one.
		w.set("a.", answer{ttl: 10 * time.Second})
		pass(6 * time.Minute)
		if got, ok := r.Addresses("a"); !ok || len(got) != 0 || *changes != 2 {
			t.Errorf("%v, %v, %d changes", got, ok, *changes)
		}
	})
}

func TestUnwantedNamesAreForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Resolver, w *world, _ *int) {
		w.set("a.", answer{addresses: addresses("192.0.2.1")})
		r.Want([]string{"a", "b"})
		synctest.Wait()
		r.Want([]string{"b"})
		if _, ok := r.Addresses("a"); ok {
			t.Error("still known")
		}
		pass(time.Hour)
		if n := w.count("a."); n != 1 {
			t.Errorf("%d lookups", n)
		}
	})
}

func TestManyNames(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Resolver, w *world, _ *int) {
		var names []string
		for _, a := range "abcdefghijklmnopqrstuvwxyz" {
			for _, b := range "abcdefghijklmnopqrstuvwxyz" {
				names = append(names, string(a)+string(b)+".example.")
				w.set(names[len(names)-1], answer{addresses: addresses("192.0.2.1"), ttl: time.Minute})
			}
		}
		r.Want(names)
		synctest.Wait()
		for _, n := range names {
			if _, ok := r.Addresses(n); !ok || w.count(n) != 1 {
				t.Fatalf("%s: %v, %d lookups", n, ok, w.count(n))
			}
		}
	})
}

// TestPanicOfALookup: what somebody answers for a name must not end the process.
func TestPanicOfALookup(t *testing.T) {
	r := New("", func() {}, clock.RealClock{})
	r.lookup = func(context.Context, string) ([]netip.Addr, time.Duration, error) { panic("nonsense") }
	r.Want([]string{"lb.example"})
	counted := ""
	r.refresh(guard.WithCounter(t.Context(), func(component string) { counted += component }), "lb.example.")
	if counted != "dns-lookup" {
		t.Errorf("counted: %q", counted)
	}
	if _, known := r.Addresses("lb.example"); known || r.names["lb.example."].failures != 1 {
		t.Error("a panic counts as an answer")
	}
}
