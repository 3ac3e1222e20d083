package dns

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/cookie"
	"github.com/hanse-dev/hanse/internal/dns/ratelimit"
	"github.com/hanse-dev/hanse/internal/dns/server"
	"github.com/hanse-dev/hanse/internal/dns/zone"
	"github.com/hanse-dev/hanse/internal/trouble"
)

const (
	// listenRetry is how often a port that is in use is tried again.
	listenRetry = 2 * time.Second
	// cookieLife is how long a secret makes new cookies; it is good for as long
	// again.
	cookieLife = 24 * time.Hour
	// rateSlip: every second response over the limit is a truncated one, so that a
	// real client in a flooding network gets through by TCP.
	rateSlip = 2
)

// listener is the hub's name server, and whether it can be reached.
type listener struct {
	listen []string
	clock  clock.Clock
	server *server.Server
	jar    *cookie.Jar

	mu      sync.Mutex
	bound   []string // HOST:PORT, while it answers
	err     error    // why it does not
	geo     error    // why the geographic database is not the one asked for
	current *zone.Snapshot
	changed func()
	start   sync.Once
	trouble trouble.Log[string]
}

func newListener(cfg Config, t server.Transfers) *listener {
	jar := cookie.New(secret())
	limiter := ratelimit.New(ratelimit.Config{
		Start:     cfg.Clock.Now(),
		PerSecond: cfg.RateLimit, Slip: rateSlip, V4Prefix: 24, V6Prefix: 56,
		// Nobody outside can make the machine itself ask.
		Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	})
	return &listener{
		listen: cfg.Listen, clock: cfg.Clock, jar: jar,
		server: server.New(server.Config{Listen: cfg.Listen, Transfers: t, Cookies: jar, Limiter: limiter, Clock: cfg.Clock}),
	}
}

func secret() [16]byte {
	var s [16]byte
	_, _ = rand.Read(s[:]) // never fails: crypto/rand ends the process instead
	return s
}

// swap makes a snapshot the one that is answered from. With the first it begins to
// listen, so that nobody is told that there is nothing.
func (l *listener) swap(ctx context.Context, s *zone.Snapshot) {
	l.server.Swap(s)
	l.mu.Lock()
	l.current = s
	l.mu.Unlock()
	l.start.Do(func() {
		if len(l.listen) > 0 {
			go l.serve(ctx)
			go l.bake(ctx)
		}
	})
}

// serve listens until ctx ends; while a port is in use it tries again and again.
func (l *listener) serve(ctx context.Context) {
	for {
		bound, err := l.server.Listen()
		l.set(bound, err)
		if err == nil {
			l.trouble.Forget("listen")
			klog.FromContext(ctx).Info("DNS is served", "addresses", bound)
			err = l.server.Serve(ctx)
			if ctx.Err() != nil {
				return
			}
			l.set(nil, err)
		} else {
			l.trouble.Failed(klog.FromContext(ctx), "listen", err, "DNS cannot be served", "addresses", l.listen)
		}
		if !pause(ctx, l.clock, listenRetry) {
			return
		}
	}
}

// bake replaces the secret of the cookies now and then.
func (l *listener) bake(ctx context.Context) {
	for pause(ctx, l.clock, cookieLife) {
		l.jar.Rotate(secret())
	}
}

func (l *listener) set(bound []string, err error) {
	l.mu.Lock()
	same := len(bound) == len(l.bound) && fmt.Sprint(err) == fmt.Sprint(l.err)
	l.bound, l.err = bound, err
	l.mu.Unlock()
	if !same && l.changed != nil {
		l.changed()
	}
}

// complain notes that the geographic database cannot be used; nil: it can.
func (l *listener) complain(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.geo = err
}

// state is where it answers, and what is wrong.
func (l *listener) state() (bound []string, err, geo error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bound, l.err, l.geo
}

// addresses are those that the hub's name server is reached at.
func (l *listener) addresses() []netip.Addr {
	bound, _, _ := l.state()
	if len(bound) == 0 {
		bound = l.listen
	}
	return listenAddresses(bound, interfaceAddresses)
}

// interfaceAddresses are the machine's that others reach it at.
func interfaceAddresses() []netip.Addr {
	return slices.DeleteFunc(machineAddresses(), func(a netip.Addr) bool { return !a.IsGlobalUnicast() })
}

// machineAddresses are all of the machine's.
func machineAddresses() []netip.Addr {
	var all []netip.Addr
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p.Addr().Unmap())
		}
	}
	return all
}
