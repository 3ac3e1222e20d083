package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

func addressOf(t testing.TB, a net.Addr) netip.AddrPort {
	t.Helper()
	address, err := netip.ParseAddrPort(a.String())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// serve starts an HTTP server.
func serve(t testing.TB, tls bool, handler http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return addressOf(t, s.Listener.Addr())
}

// accept starts a server that gives each connection to handle, and closes it
// afterwards.
func accept(t testing.TB, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return addressOf(t, l.Addr())
}

// raw answers each request with the same bytes.
func raw(t testing.TB, answer string) netip.AddrPort {
	return accept(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	})
}

// nobody returns an address that refuses connections.
func nobody(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return addressOf(t, l.Addr())
}

func ask(p *Prober, c Check) verdict { return p.probe(context.Background(), newRequest(c)) }

func TestProbe(t *testing.T) {
	ok := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing":
			http.NotFound(w, r)
		case "/moved":
			http.Redirect(w, r, "/missing", http.StatusFound)
		case "/host":
			fmt.Fprintf(w, "I am %s", r.Host)
		case "/chunks":
			for range 10 {
				fmt.Fprint(w, "0123456789")
				w.(http.Flusher).Flush()
			}
		case "/large":
			io.WriteString(w, strings.Repeat("x", 1<<20))
		case "/headers":
			for i := range 100 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 10000))
			}
		case "/hang":
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		}
	})
	secure := serve(t, true, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "I am %s", r.TLS.ServerName) })
	hang := accept(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	reset := accept(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, 1))
		c.(*net.TCPConn).SetLinger(0)
	})
	closing := accept(t, func(c net.Conn) { io.ReadFull(c, make([]byte, 30)) })
	drip := accept(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
		}
	})
	short := 200 * time.Millisecond

	for name, c := range map[string]struct {
		check Check
		want  verdict
	}{
		"200":              {Check{Protocol: HTTP, Address: ok}, verdict{true, "200"}},
		"404":              {Check{Protocol: HTTP, Address: ok, Path: "/missing"}, verdict{false, "404, expected 200-399"}},
		"404 expected":     {Check{Protocol: HTTP, Address: ok, Path: "/missing", Status: "200-299,404"}, verdict{true, "404"}},
		"no redirects":     {Check{Protocol: HTTP, Address: ok, Path: "/moved"}, verdict{true, "302"}},
		"host":             {Check{Protocol: HTTP, Address: ok, Path: "/host", Host: "www.devfest.example", Text: "I am www.devfest.example"}, verdict{true, "200"}},
		"chunks":           {Check{Protocol: HTTP, Address: ok, Path: "/chunks", Text: "9012"}, verdict{true, "200"}},
		"large":            {Check{Protocol: HTTP, Address: ok, Path: "/large"}, verdict{true, "200"}},
		"text missing":     {Check{Protocol: HTTP, Address: ok, Path: "/large", Text: "y"}, verdict{false, `200, without "y" in the first 5120 bytes`}},
		"huge headers":     {Check{Protocol: HTTP, Address: ok, Path: "/headers"}, verdict{false, "the answer's header is larger than 64 KiB"}},
		"hanging handler":  {Check{Protocol: HTTP, Address: ok, Path: "/hang", Timeout: short}, verdict{false, "no answer within 200ms"}},
		"HTTPS":            {Check{Protocol: HTTPS, AnyCertificate: true, Address: secure, Host: "www.devfest.example", Text: "I am www.devfest.example"}, verdict{true, "200"}},
		"HTTP to HTTPS":    {Check{Protocol: HTTP, Address: secure}, verdict{false, "400, expected 200-399"}},
		"HTTPS to HTTP":    {Check{Protocol: HTTPS, Address: ok}, verdict{false, "the answer is not TLS"}},
		"hanging TLS":      {Check{Protocol: HTTPS, Address: hang, Timeout: short}, verdict{false, "no answer within 200ms"}},
		"hanging server":   {Check{Protocol: HTTP, Address: hang, Timeout: short}, verdict{false, "no answer within 200ms"}},
		"refused":          {Check{Protocol: HTTP, Address: nobody(t)}, verdict{false, "connection refused"}},
		"reset":            {Check{Protocol: HTTP, Address: reset}, verdict{false, "connection reset by peer"}},
		"closed":           {Check{Protocol: HTTP, Address: closing}, verdict{}},
		"byte by byte":     {Check{Protocol: HTTP, Address: drip, Text: "ok"}, verdict{true, "200"}},
		"HTTP/1.0":         {Check{Protocol: HTTP, Address: raw(t, "HTTP/1.0 200 OK\r\n\r\nok"), Timeout: short}, verdict{true, "200"}},
		"garbage":          {Check{Protocol: HTTP, Address: raw(t, "SSH-2.0-OpenSSH_9.9\r\n\r\n")}, verdict{false, "the answer is not HTTP"}},
		"TCP":              {Check{Protocol: TCP, Address: hang}, verdict{true, "connected"}},
		"TCP refused":      {Check{Protocol: TCP, Address: nobody(t)}, verdict{false, "connection refused"}},
		"unknown protocol": {Check{Protocol: "UDP", Address: ok}, verdict{false, `there is no protocol "UDP"; there are HTTP, HTTPS and TCP`}},
		"no address":       {Check{Protocol: TCP}, verdict{false, "invalid AddrPort is not an address and a port"}},
		"bad status":       {Check{Protocol: HTTP, Address: ok, Status: "ok"}, verdict{false, `"ok" is not a list of status codes, such as 200-399,401`}},
		"smuggled request": {Check{Protocol: HTTP, Address: ok, Path: "/ HTTP/1.1\r\nX: y"}, verdict{false, `host "127.0.0.1" and path "/ HTTP/1.1\r\nX: y" cannot be requested`}},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(nil, anywhere())
			defer p.pool.close()
			// Twice: the second time often on the same connection.
			for range 2 {
				got := ask(p, c.check)
				if c.want.message == "" {
					c.want.message = got.message // a reset or an end, as it comes
				}
				if got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
			}
		})
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	for _, protocol := range []string{HTTP, HTTPS} {
		var connections atomic.Int32
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		if protocol == HTTPS {
			s.StartTLS()
		} else {
			s.Start()
		}
		defer s.Close()
		p := New(nil, anywhere())
		defer p.pool.close()
		check := Check{Protocol: protocol, AnyCertificate: true, Address: addressOf(t, s.Listener.Addr()), Host: "a.example"}
		for i := range 2 * maxUses {
			if protocol == HTTP {
				check.Host = fmt.Sprintf("%d.example", i) // all share a connection
			}
			if v := ask(p, check); !v.passed {
				t.Fatal(v)
			}
		}
		if n := connections.Load(); n != 2 {
			t.Errorf("%s: %d connections for %d probes, want 2", protocol, n, 2*maxUses)
		}
	}
}

// TestClosedConnectionIsNoFailure closes the connection after each answer
// without saying so.
func TestClosedConnectionIsNoFailure(t *testing.T) {
	var accepted atomic.Int32
	address := accept(t, func(c net.Conn) {
		accepted.Add(1)
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	p := New(nil, anywhere())
	defer p.pool.close()
	for range 5 {
		if v := ask(p, Check{Protocol: HTTP, Address: address}); !v.passed {
			t.Fatal(v)
		}
	}
	if accepted.Load() != 5 {
		t.Errorf("%d connections for 5 probes", accepted.Load())
	}
}

func TestOldConnectionsAreClosed(t *testing.T) {
	address := serve(t, false, func(http.ResponseWriter, *http.Request) {})
	p := New(nil, anywhere())
	if v := ask(p, Check{Protocol: HTTP, Address: address}); !v.passed {
		t.Fatal(v)
	}
	p.pool.sweep(time.Now())
	if len(p.pool.idle) != 1 || len(p.pool.open) != 1 {
		t.Fatalf("swept too early: %d, %d", len(p.pool.idle), len(p.pool.open))
	}
	if c := p.pool.take(route{address: address}, time.Now().Add(maxAge)); c != nil {
		t.Error("took an old connection")
	}
	if v := ask(p, Check{Protocol: HTTP, Address: address}); !v.passed {
		t.Fatal(v)
	}
	p.pool.sweep(time.Now().Add(maxAge))
	if len(p.pool.idle) != 0 || len(p.pool.open) != 0 {
		t.Errorf("%d connections wait, %d are open", len(p.pool.idle), len(p.pool.open))
	}
}

// anywhere is a Prober's Config that lets it probe loopback, as often as it is told to.
func anywhere() Config {
	return Config{Clock: clock.RealClock{}, Networks: Networks{Allowed: prefixes("127.0.0.0/8", "::1/128")}}
}

// of are checks of one owner.
func of(checks ...Check) map[string][]Check { return map[string][]Check{"ns": checks} }

// watch runs a prober, and returns it and what it reports of checks with an
// interval of less than an hour.
func watch(t testing.TB) (*Prober, chan Result) {
	t.Helper()
	results := make(chan Result, 1000)
	p := New(func(c Check, r Result) {
		if c.Interval < time.Hour {
			results <- r
		}
	}, anywhere())
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { p.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return p, results
}

func expect(t testing.TB, results <-chan Result, state, message string) Result {
	t.Helper()
	select {
	case r := <-results:
		if r.State != state || r.Message != message {
			t.Fatalf("%+v, want %s, %s", r, state, message)
		}
		return r
	case <-time.After(15 * time.Second):
		t.Fatalf("no change to %s", state)
		return Result{}
	}
}

func TestProberFollowsAServer(t *testing.T) {
	var broken atomic.Bool
	address := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			w.WriteHeader(503)
		}
	})
	p, results := watch(t)
	check := Check{Protocol: HTTP, Address: address, Interval: 100 * time.Millisecond, Timeout: 4 * time.Second, Down: 2, Up: 2}
	if r := p.Result(check); r.State != Unknown {
		t.Errorf("before Set: %+v", r)
	}
	p.Set(of(check, check))
	if r := p.Result(check); r.State != Unknown || r.Since.IsZero() {
		t.Errorf("before the first probe: %+v", r)
	}
	up := expect(t, results, Up, "200")
	p.Set(of(check, Check{Protocol: TCP, Address: address, Interval: time.Hour}))
	if r := p.Result(check); r != up {
		t.Errorf("Set again: %+v, was %+v", r, up)
	}
	broken.Store(true)
	down := expect(t, results, Down, "503, expected 200-399")
	if r := p.Result(check); r != down || !down.Since.After(up.Since) {
		t.Errorf("%+v, reported %+v", r, down)
	}
	broken.Store(false)
	expect(t, results, Up, "200")

	p.Set(nil)
	if r := p.Result(check); r.State != Unknown {
		t.Errorf("after it is gone: %+v", r)
	}
}

func TestDeadServerIsDownWithinFiveSeconds(t *testing.T) {
	for name, protocol := range map[string]string{"HTTP": HTTP, "TCP": TCP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.NotFoundHandler())
			defer s.Close()
			p, results := watch(t)
			p.Set(of(Check{Protocol: protocol, Address: addressOf(t, s.Listener.Addr()), Status: "404", Interval: 2 * time.Second, Down: 2}))
			select {
			case <-results:
			case <-time.After(5 * time.Second):
				t.Fatal("not up")
			}
			s.CloseClientConnections()
			s.Close()
			start := time.Now()
			expect(t, results, Down, "connection refused")
			if d := time.Since(start); d > 4500*time.Millisecond {
				t.Errorf("took %v", d)
			}
		})
	}
}

// TestRunEndsAtOnce has a probe under way that would wait for a minute.
func TestRunEndsAtOnce(t *testing.T) {
	asked := make(chan struct{}, 1)
	address := accept(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		asked <- struct{}{}
		io.Copy(io.Discard, c)
	})
	p := New(func(Check, Result) { t.Error("reported what it saw because it ended") }, anywhere())
	p.Set(of(Check{Protocol: HTTP, Address: address, Interval: 100 * time.Millisecond, Timeout: time.Minute, Down: 1}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		p.Run(ctx)
		close(done)
	}()
	<-asked
	cancel()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Run goes on")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, target := range p.targets {
		if !target.gone {
			t.Error("a target goes on")
		}
	}
}

func TestWhatIsGoneIsNotReported(t *testing.T) {
	p := New(nil, anywhere())
	p.ctx = t.Context()
	check := Check{Protocol: TCP, Address: nobody(t), Interval: time.Hour}
	p.Set(of(check))
	target := p.targets[check]
	if _, changed := p.record(target, verdict{passed: true}); !changed {
		t.Error("the first pass is no change")
	}
	p.Set(nil)
	for range 10 {
		if _, changed := p.record(target, verdict{}); changed {
			t.Error("reported")
		}
	}
}

func TestProbesAreSpread(t *testing.T) {
	p := New(nil, anywhere())
	var checks []Check
	for i := range 10_000 {
		checks = append(checks, Check{Protocol: TCP, Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 80)})
	}
	start := time.Now()
	p.Set(of(checks...))
	p.Set(of(checks...))
	if d := time.Since(start); d > time.Second {
		t.Errorf("setting 10,000 checks took %v", d)
	}
	var tenths [10]int
	for _, target := range p.targets {
		tenths[target.phase/time.Second]++
	}
	for i, n := range tenths {
		if n < 800 || n > 1200 {
			t.Errorf("%d probes in second %d of 10", n, i)
		}
	}
}

func TestUntilAndNext(t *testing.T) {
	second := time.Second
	now := time.Unix(1000, 0)
	for _, c := range []struct{ phase, want time.Duration }{{0, 10 * second}, {second, second}, {9 * second, 9 * second}} {
		if got := until(now, c.phase, 10*second); got != c.want {
			t.Errorf("until phase %v: %v, want %v", c.phase, got, c.want)
		}
	}
	for late, want := range map[time.Duration]time.Duration{0: 10 * second, 9 * second: 10 * second, 10 * second: 10 * second, 19 * second: 10 * second, 25 * second: 20 * second} {
		if got := next(now, now.Add(late), 10*second).Sub(now); got != want {
			t.Errorf("%v late: next after %v, want %v", late, got, want)
		}
	}
}
