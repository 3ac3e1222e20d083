package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Connections are used again, since connecting is most of a probe's cost, but
// not for long: somebody who no longer accepts connections has to be noticed.
const (
	maxAge  = 2 * time.Minute
	maxUses = 16
)

// route is whom a connection leads to. HTTP has no name in its connection.
type route struct {
	address netip.AddrPort
	tls     bool
	name    string
	any     bool // certificate
	within  netip.Prefix
}

// connection is one that takes a request after another.
type connection struct {
	net.Conn
	route route
	born  time.Time
	uses  int
}

// pool keeps connections that wait for another request, and closes all of them
// in the end.
type pool struct {
	dialer   net.Dialer
	networks *Networks
	sessions tls.ClientSessionCache
	roots    *x509.CertPool // nil: the system's

	mu     sync.Mutex
	idle   map[route][]*connection
	open   map[*connection]struct{}
	closed bool
	most   int // idle connections; 0: any number
	kept   int // idle connections
}

func newPool(networks *Networks, idle int) *pool {
	return &pool{
		// A connection does not live long: keep-alive probes are of no use.
		dialer:   net.Dialer{KeepAlive: -1},
		networks: networks,
		most:     idle,
		sessions: tls.NewLRUClientSessionCache(1024),
		idle:     map[route][]*connection{},
		open:     map[*connection]struct{}{},
	}
}

// take returns a connection that waits, or nil.
func (p *pool) take(r route, now time.Time) *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		waiting := p.idle[r]
		if len(waiting) == 0 {
			return nil
		}
		c := waiting[len(waiting)-1]
		p.idle[r] = waiting[:len(waiting)-1]
		p.kept--
		if now.Sub(c.born) < maxAge {
			return c
		}
		delete(p.open, c)
		c.Close()
	}
}

// dial connects, and blocks until it has or ctx ends or the deadline is over.
func (p *pool) dial(ctx context.Context, r route, now, deadline time.Time) (*connection, error) {
	dialer := p.dialer
	dialer.Deadline = deadline
	dialer.Control = func(_, address string, _ syscall.RawConn) error { return p.control(address, r) }
	raw, err := dialer.DialTCP(ctx, "tcp", netip.AddrPort{}, r.address)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: raw, route: r, born: now}
	if r.tls {
		c.Conn = tls.Client(raw, p.config(r))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	p.open[c] = struct{}{}
	return c, nil
}

// control looks at the address that is really connected to, at the last moment: which are
// the hub's own may have changed since the check was made.
func (p *pool) control(address string, r route) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if why := p.networks.Refuse(a.Addr(), []netip.Prefix{r.within}); why != "" {
		return refusedError{why}
	}
	return nil
}

// refusedError is that an address may not be probed.
type refusedError struct{ why string }

func (e refusedError) Error() string { return "not probed: the address " + e.why }

// config is how to speak TLS. A session that goes on shows no certificate: where that
// matters, none does. Without verification, which only the route's own author can ask for,
// whoever answers at the address can pass for healthy, for that route alone: a probe
// carries no credential.
func (p *pool) config(r route) *tls.Config {
	c := &tls.Config{ServerName: r.name, NextProtos: []string{"http/1.1"}, RootCAs: p.roots}
	if r.any {
		c.InsecureSkipVerify, c.ClientSessionCache = true, p.sessions
	}
	return c
}

// put keeps a connection for another request, if it is not too old for one.
func (p *pool) put(c *connection, now time.Time) {
	c.uses++
	if c.uses >= maxUses || now.Sub(c.born) >= maxAge || c.SetReadDeadline(time.Time{}) != nil {
		p.drop(c)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
	case p.most > 0 && p.kept >= p.most:
		delete(p.open, c)
		c.Close()
	default:
		p.idle[c.route] = append(p.idle[c.route], c)
		p.kept++
	}
}

// drop closes a connection that is in use.
func (p *pool) drop(c *connection) {
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
	c.Close()
}

// sweep closes waiting connections that nobody would take any more.
func (p *pool) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r, waiting := range p.idle {
		kept := waiting[:0]
		for _, c := range waiting {
			if now.Sub(c.born) < maxAge {
				kept = append(kept, c)
				continue
			}
			delete(p.open, c)
			p.kept--
			c.Close()
		}
		p.idle[r] = kept
		if len(kept) == 0 {
			delete(p.idle, r)
		}
	}
}

// close closes all connections, those in use as well, so that nobody waits for
// an answer any more.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.open {
		c.Close()
	}
	clear(p.open)
	clear(p.idle)
}
