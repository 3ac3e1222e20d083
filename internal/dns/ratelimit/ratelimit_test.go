package ratelimit

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var client = netip.MustParseAddr("192.0.2.1")

// In no window are more answers sent than the rate allows for it and a second's
// worth besides; and in a flood, no less than the rate.
func TestRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 200).Draw(t, "rate")
		l := New(Config{PerSecond: rate, Size: 64})
		gaps := rapid.SliceOfN(rapid.Int64Range(0, int64(3*time.Second)/int64(rate)), 1, 500).Draw(t, "gaps")
		now := time.Now()
		var sent []time.Time
		for _, gap := range gaps {
			now = now.Add(time.Duration(gap))
			if l.Check(client, 1, now) == Send {
				sent = append(sent, now)
			}
		}
		for i := range sent {
			for j := i; j < len(sent); j++ {
				window := sent[j].Sub(sent[i])
				if most := float64(rate)*(1+window.Seconds()) + 1e-3; float64(j-i+1) > most {
					t.Fatalf("%d answers in %v at %d/s", j-i+1, window, rate)
				}
			}
		}
		if at := time.Duration(len(gaps)); len(sent) < min(rate, int(at)) {
			t.Fatalf("%d of %d sent after idleness, at %d/s", len(sent), at, rate)
		}
	})
}

func TestFloodGetsTheRate(t *testing.T) {
	l := New(Config{PerSecond: 10})
	now, sent := time.Now(), 0
	for range 10_000 { // 10 s at 1,000/s
		if l.Check(client, 1, now) == Send {
			sent++
		}
		now = now.Add(time.Millisecond)
	}
	if sent < 100 || sent > 110 {
		t.Errorf("%d sent, want 10 at once and 10 a second for 10 s", sent)
	}
}

// Whoever asks no faster than the rate, or comes after a pause, is answered,
// also where the clock goes back in between.
func TestIdleClientIsNeverLimited(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 100).Draw(t, "rate")
		l := New(Config{PerSecond: rate, Size: 1})
		now := time.Now().Add(time.Duration(rapid.Int64Range(-1e18, 1e18).Draw(t, "start")))
		for range rapid.IntRange(1, 50).Draw(t, "rounds") {
			for range rapid.IntRange(1, 3*rate).Draw(t, "questions") {
				l.Check(client, 1, now)
			}
			pause := rapid.OneOf(
				rapid.Int64Range(int64(time.Second), int64(time.Hour)),
				rapid.Int64Range(-1e15, -int64(2*time.Second)), // the clock goes back
			).Draw(t, "pause")
			now = now.Add(time.Duration(pause))
			if v := l.Check(client, 1, now); v != Send {
				t.Fatalf("verdict %d after a pause of %v", v, time.Duration(pause))
			}
		}
	})
}

// Readings of the clock that overtake each other by a little must not be taken
// for a clock that went back: the bucket would be full again each time.
func TestClockReadingsOutOfOrder(t *testing.T) {
	l := New(Config{PerSecond: 10})
	now, sent := time.Now(), 0
	for i := range 1000 {
		if l.Check(client, 1, now.Add(-time.Duration(i%2)*time.Millisecond)) == Send {
			sent++
		}
	}
	if sent > 10 {
		t.Errorf("%d sent at one time, want 10", sent)
	}
}

func TestSlip(t *testing.T) {
	for slip, want := range map[int][3]int{0: {5, 0, 12}, 1: {5, 12, 0}, 2: {5, 6, 6}, 3: {5, 4, 8}} {
		l := New(Config{PerSecond: 5, Slip: slip})
		now := time.Now()
		var got [3]int
		for range 17 {
			got[l.Check(client, 1, now)]++
		}
		if got != want {
			t.Errorf("slip %d: sent, truncated, dropped %v, want %v", slip, got, want)
		}
	}
}

func TestWhoSharesABucket(t *testing.T) {
	for _, c := range []struct {
		config Config
		a, b   string
		share  bool
	}{
		{Config{}, "192.0.2.1", "192.0.2.200", true},
		{Config{}, "192.0.2.1", "192.0.3.1", false},
		{Config{}, "192.0.2.1", "::ffff:192.0.2.9", true},
		{Config{}, "2001:db8:0:1::1", "2001:db8:0:ff::1", true},
		{Config{}, "2001:db8:0:1::1", "2001:db8:0:100::1", false},
		{Config{V4Prefix: 32}, "192.0.2.1", "192.0.2.2", false},
		{Config{V4Prefix: 16}, "192.0.2.1", "192.0.3.2", true},
		{Config{V6Prefix: 64}, "2001:db8::1", "2001:db8::2", true},
		{Config{V6Prefix: 128}, "2001:db8::1", "2001:db8::2", false},
	} {
		c.config.PerSecond = 1
		l, now := New(c.config), time.Now()
		l.Check(netip.MustParseAddr(c.a), 1, now)
		if got := l.Check(netip.MustParseAddr(c.b), 1, now) != Send; got != c.share {
			t.Errorf("%+v: %s and %s share: %v", c.config, c.a, c.b, got)
		}
	}
	l, now := New(Config{PerSecond: 1}), time.Now()
	l.Check(client, 1, now)
	if l.Check(client, 2, now) != Send {
		t.Error("two classes share a bucket")
	}
}

func TestOffAndExempt(t *testing.T) {
	now := time.Now()
	off := New(Config{Slip: 1})
	exempt := New(Config{PerSecond: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for i := range 100 {
		if off.Check(client, 1, now) != Send {
			t.Fatal("limited with PerSecond 0")
		}
		if exempt.Check(client, 1, now) != Send || exempt.Check(netip.AddrFrom16(client.As16()), 1, now) != Send {
			t.Fatal("an exempt client is limited")
		}
		if got := exempt.Check(netip.MustParseAddr("198.51.100.1"), 1, now); (got == Send) != (i == 0) {
			t.Fatalf("one that is not exempt, question %d: %d", i, got)
		}
	}
}

// Networks that ask little are spread over the table well enough not to limit
// each other.
func TestSpread(t *testing.T) {
	l, now, limited := New(Config{PerSecond: 20, Size: 1 << 12}), time.Now(), 0
	for i := range uint32(1 << 14) { // four a bucket
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], i<<8)
		if l.Check(netip.AddrFrom4(ip), 7, now) != Send {
			limited++
		}
	}
	if limited > 0 {
		t.Errorf("%d of %d networks were limited by others", limited, 1<<14)
	}
}

func TestConcurrentUse(t *testing.T) {
	l, now := New(Config{PerSecond: 50, Slip: 2}), time.Now()
	var sent atomic.Int32
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 1000 {
				if l.Check(client, 1, now) == Send {
					sent.Add(1)
				}
			}
		})
	}
	done.Wait()
	if sent.Load() != 50 {
		t.Errorf("%d sent at one time, want 50", sent.Load())
	}
}

func TestNoAllocation(t *testing.T) {
	l, now := New(Config{PerSecond: 5, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}), time.Now()
	if n := testing.AllocsPerRun(100, func() { l.Check(client, 1, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCheck(b *testing.B) {
	l, now := New(Config{PerSecond: 5, Slip: 2}), time.Now()
	b.ReportAllocs()
	var i uint32
	for b.Loop() {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], i*2654435761)
		l.Check(netip.AddrFrom4(ip), 1, now)
		i++
	}
}

func BenchmarkCheckLimited(b *testing.B) {
	l, now := New(Config{PerSecond: 5, Slip: 2}), time.Now()
	for b.Loop() {
		l.Check(client, 1, now)
	}
}
