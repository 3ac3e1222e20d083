package health

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// many are checks of different addresses.
func many(from, n int, every time.Duration) (all []Check) {
	for i := range n {
		all = append(all, Check{Protocol: TCP, Interval: every, Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, byte((from + i) >> 8), byte(from + i)}), 1)})
	}
	return all
}

// TestDivide: whoever asks for too much has less of it, and others do not notice.
func TestDivide(t *testing.T) {
	l := Limits{Checks: 100, Rate: 10, AllChecks: 250, AllRate: 15}
	none := func(Check) bool { return false }
	modest := l.divide(map[string][]Check{"a": many(0, 50, 10*time.Second), "b": many(100, 10, 10*time.Second)}, none)
	if s := modest["a"]; len(s.checks) != 50 || s.stretch != 1 || s.left != 0 || s.every(s.checks[0]) != 10*time.Second {
		t.Errorf("within all limits: %+v", s)
	}
	greedy := l.divide(map[string][]Check{"a": many(0, 4096, time.Second), "b": many(10000, 10, 10*time.Second)}, none)
	if a, b := greedy["a"], greedy["b"]; len(a.checks) != 100 || a.left != 3996 || a.every(a.checks[0]) != 10*time.Second || len(b.checks) != 10 || b.stretch != 1 {
		t.Errorf("4,096 a second: %+v, and the other %+v", a.stretch, b)
	}
	// What is probed already is probed on, whatever comes.
	old := many(4000, 60, time.Second)
	is := map[Check]bool{}
	for _, c := range old {
		is[c] = true
	}
	kept := l.divide(map[string][]Check{"a": append(many(0, 500, time.Second), old...)}, func(c Check) bool { return is[c] })
	for i, c := range old {
		if kept["a"].checks[i] != c {
			t.Fatalf("%v is not probed any more", c.Address)
		}
	}
	// A check of two owners is made once.
	shared := l.divide(map[string][]Check{"a": many(0, 10, time.Second), "b": many(5, 10, time.Second)}, none)
	if len(shared["a"].checks) != 10 || len(shared["b"].checks) != 5 {
		t.Errorf("%d and %d", len(shared["a"].checks), len(shared["b"].checks))
	}
}

// TestNeverMoreThanTheLimits is the law of divide.
func TestNeverMoreThanTheLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Checks: rapid.IntRange(1, 50).Draw(t, "checks"), Rate: float64(rapid.IntRange(1, 20).Draw(t, "rate")),
			AllChecks: rapid.IntRange(10, 100).Draw(t, "all checks"), AllRate: float64(rapid.IntRange(1, 40).Draw(t, "all rate"))}
		wanted := map[string][]Check{}
		for i := range rapid.IntRange(1, 8).Draw(t, "owners") {
			n := rapid.IntRange(0, 200).Draw(t, "n")
			wanted[fmt.Sprint(i)] = many(i*150, n, time.Duration(rapid.IntRange(1, 30).Draw(t, "every"))*time.Second)
		}
		all, checks := 0.0, 0
		for owner, s := range l.divide(wanted, func(Check) bool { return rapid.Bool().Draw(t, "made") }) {
			rate := 0.0
			for _, c := range s.checks {
				rate += 1 / s.every(c).Seconds()
			}
			if len(s.checks) > l.Checks || rate > l.Rate*1.001 {
				t.Fatalf("%s has %d checks, %.2f a second: %+v", owner, len(s.checks), rate, l)
			}
			all += rate
			checks += len(s.checks)
		}
		if all > l.AllRate*1.001 || checks > max(l.AllChecks, len(wanted)) {
			t.Fatalf("together %d checks, %.2f a second: %+v", checks, all, l)
		}
	})
}

// TestSocketsAreBounded: addresses that do not answer hold no more sockets than they may,
// and another owner's probes find theirs.
func TestSocketsAreBounded(t *testing.T) {
	var prober atomic.Pointer[Prober]
	var most atomic.Int32
	// The prober's own count: this end hears of a close a while after it.
	silent := accept(t, func(c net.Conn) {
		n := prober.Load().openTo(c.LocalAddr())
		for {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		_, _ = c.Read(make([]byte, 1<<16))
		_, _ = c.Read(make([]byte, 1)) // until it is closed
	})
	cfg := anywhere()
	cfg.Limits = Limits{Sockets: 5, AllSockets: 8}
	results := make(chan Result, 100)
	p := New(func(c Check, r Result) {
		if c.Protocol == TCP {
			results <- r
		}
	}, cfg)
	prober.Store(p)
	var greedy []Check
	for i := range 100 {
		greedy = append(greedy, Check{Protocol: HTTP, Address: silent, Path: fmt.Sprint("/", i), Interval: 200 * time.Millisecond, Timeout: 200 * time.Millisecond})
	}
	good := accept(t, func(net.Conn) {})
	p.Set(map[string][]Check{"greedy": greedy, "modest": {{Protocol: TCP, Address: good, Interval: 100 * time.Millisecond}}})
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { p.Run(ctx) })
	expect(t, results, Up, "connected")
	for p.Stats().Failed < 50 {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("nothing is probed")
		}
	}
	cancel()
	done.Wait()
	if n := most.Load(); n < 2 || n > 5 {
		t.Errorf("%d sockets at a time, 5 are allowed", n)
	}
}

// openTo is how many connections to an address are open.
func (p *Prober) openTo(address net.Addr) (n int32) {
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	for c := range p.pool.open {
		if c.route.address.String() == address.String() {
			n++
		}
	}
	return n
}

// TestNewChecksAreNoWayAround: whoever has other checks made every second is held to the
// same rate.
func TestNewChecksAreNoWayAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := anywhere()
		cfg.Limits = Limits{Checks: 100, Rate: 10, AllChecks: 1000, AllRate: 1000}
		p := New(func(Check, Result) {}, cfg)
		made := 0
		for second := range 60 {
			for range 100 {
				if p.begin("evil") {
					made++
					p.end("evil")
				}
				<-time.After(10 * time.Millisecond)
			}
			p.Set(map[string][]Check{"evil": many(100*second, 100, time.Second)})
		}
		if made < 600 || made > 60*10*12/10+20 {
			t.Errorf("%d probes in a minute, 600 are allowed", made)
		}
		p.Set(nil)
		<-time.After(time.Minute)
		p.Set(nil)
		if len(p.buckets) != 0 {
			t.Errorf("%v is kept for ever", p.buckets)
		}
	})
}

// TestWhatIsLeftOutIsSaid: a check that is not made says so.
func TestWhatIsLeftOutIsSaid(t *testing.T) {
	cfg := anywhere()
	cfg.Limits = Limits{Checks: 3}
	p := New(nil, cfg)
	checks := many(0, 5, time.Second)
	p.Set(map[string][]Check{"shop": checks})
	left := 0
	for _, c := range checks {
		if r := p.Result(c); strings.Contains(r.Message, "namespace shop has 2 probes more than it may have") && r.State == Unknown {
			left++
		}
	}
	if left != 2 {
		t.Errorf("%d say that they are not made", left)
	}
	if l := DefaultLimits().Within(1024); l.AllSockets > 64 || l.Idle > 256 {
		t.Errorf("of 1,024 files %+v", l)
	}
}

// TestIdleConnectionsAreBounded: no more connections are kept than may be.
func TestIdleConnectionsAreBounded(t *testing.T) {
	cfg := anywhere()
	cfg.Limits.Idle = 2
	p := New(nil, cfg)
	for range 2 {
		var addresses []netip.AddrPort
		for range 4 {
			addresses = append(addresses, serve(t, false, func(http.ResponseWriter, *http.Request) {}))
		}
		for _, a := range addresses {
			if v := ask(p, Check{Protocol: HTTP, Address: a}); !v.passed {
				t.Fatal(v)
			}
		}
		if len(p.pool.open) != 2 || p.pool.kept != 2 {
			t.Errorf("%d connections are kept, %d are counted", len(p.pool.open), p.pool.kept)
		}
	}
	p.pool.sweep(p.clock.Now().Add(time.Hour))
	if len(p.pool.open) != 0 || p.pool.kept != 0 {
		t.Errorf("%d connections are kept, %d are counted", len(p.pool.open), p.pool.kept)
	}
}
