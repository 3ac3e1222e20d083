// Package server is an authoritative DNS server for snapshots of zones: by UDP,
// without allocating, and by TCP.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/cookie"
	"github.com/hanse-dev/hanse/internal/dns/ratelimit"
	"github.com/hanse-dev/hanse/internal/dns/zone"
)

// Config is what a Server is made of. The zero Config listens nowhere.
type Config struct {
	// Listen is where, as HOST:PORT. HOST is an IP address, or empty: all addresses,
	// of IPv6 too if the machine has any. Port 0 is a free one, the same for UDP and TCP.
	Listen []string
	// Transfers answers AXFR and IXFR, and says which signatures are good; nil: they
	// are refused.
	Transfers Transfers
	// Cookies makes and checks DNS cookies (RFC 7873); nil: none.
	Cookies *cookie.Jar
	// Limiter limits the rate of answers by UDP; nil: no limit. Clients with a cookie
	// of ours are not limited.
	Limiter *ratelimit.Limiter
	// Sockets is how many UDP sockets, each with a thread, share the queries to an
	// address; 0: as many as there are processors for the program, at most 4.
	Sockets int
	// Connections is how many clients may be connected by TCP at once; 0: 512.
	Connections int
	Clock       clock.Clock
	// Idle is how long a connection may be silent (RFC 7766, section 6.2.3); 0: 10 s.
	Idle time.Duration
}

// Transfers is what answers for zone transfers, and for messages signed by TSIG
// that are not answered like others: ServeDNS gets those, too, whose signature is
// not good, as w.TsigStatus says. It is called by many goroutines at the same time.
type Transfers interface {
	ServeDNS(w dns.ResponseWriter, m *dns.Msg)
	TSIG() dns.TsigProvider
}

const (
	defaultConnections = 512
	defaultIdle        = 10 * time.Second
	mostSockets        = 4
	maximumMessage     = 65535

	// What there is room for by UDP: a little more than a power of two, lest all
	// messages of a batch compete for the same lines of the processor's cache.
	inSize  = 2048 + 64
	outSize = 4096 + 64
)

// Server answers from the Snapshot that it was last given.
type Server struct {
	config   Config
	snapshot atomic.Pointer[zone.Snapshot]
	sockets  []*socket
	tcp      []net.Listener
	mu       sync.Mutex
	counters []*counters // of every worker
	workers  atomic.Uint32
	outside  zone.Tally // of responses about no zone of the snapshot
}

// New makes a server. Until it has a Snapshot, it answers SERVFAIL.
func New(c Config) *Server {
	if c.Sockets <= 0 {
		c.Sockets = min(runtime.GOMAXPROCS(0), mostSockets)
	}
	if c.Connections <= 0 {
		c.Connections = defaultConnections
	}
	if c.Idle <= 0 {
		c.Idle = defaultIdle
	}
	return &Server{config: c}
}

// Swap makes all answers from now on come from a snapshot. It never blocks.
func (s *Server) Swap(z *zone.Snapshot) { s.snapshot.Store(z) }

// Snapshot is what was last given to Swap, nil at first.
func (s *Server) Snapshot() *zone.Snapshot { return s.snapshot.Load() }

// Stats sums up what has been done until now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sum Stats
	for _, c := range s.counters {
		c.addTo(&sum)
	}
	sum.Outside = s.outside.Sum()
	return sum
}

func (s *Server) newCounters() *counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &counters{}
	s.counters = append(s.counters, c)
	return c
}

// Listen binds UDP and TCP, and returns the addresses as HOST:PORT. After an error
// nothing is bound. What comes in waits for Serve.
func (s *Server) Listen() ([]string, error) {
	var bound []string
	for _, address := range s.config.Listen {
		hosts, port, err := resolve(address)
		if err != nil {
			s.close()
			return nil, err
		}
		b, err := s.bind(hosts, port)
		if err != nil {
			s.close()
			return nil, listenError(address, err)
		}
		bound = append(bound, b...)
	}
	return bound, nil
}

// resolve splits HOST:PORT. An empty host stands for all addresses of both families.
func resolve(address string) ([]netip.Addr, uint16, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, fmt.Errorf("the DNS server cannot listen at %q: %w. Try: HOST:PORT, such as 0.0.0.0:53", address, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, 0, fmt.Errorf("the DNS server cannot listen at %q: %q is not a port. Try: a number up to 65535", address, text)
	}
	switch host {
	case "":
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, uint16(port), nil
	case "localhost":
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil, 0, fmt.Errorf("the DNS server cannot listen at %q: %q is not an IP address. Try: an address of this machine, or none for all", address, host)
	}
	return []netip.Addr{ip.Unmap()}, uint16(port), nil
}

func listenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("the DNS server cannot listen at %s: the port is in use by another program. Try: another port, or `ss -lnptu` to see whose it is: %w", address, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("the DNS server cannot listen at %s: ports below 1024 need a privilege. Try: a port above, or `setcap cap_net_bind_service=+ep` for the program: %w", address, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("the DNS server cannot listen at %s: this machine does not have the address. Try: one of `ip address`: %w", address, err)
	}
	return fmt.Errorf("the DNS server cannot listen at %s: %w", address, err)
}

// bind binds all hosts to one port. A free port for TCP need not be one for UDP and
// the other hosts, so it takes another if it may.
func (s *Server) bind(hosts []netip.Addr, port uint16) ([]string, error) {
	var err error
	for range 20 {
		var bound []string
		if bound, err = s.bindOnce(hosts, port); err == nil {
			return bound, nil
		}
		if port != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, err
}

func (s *Server) bindOnce(hosts []netip.Addr, port uint16) ([]string, error) {
	sockets, listeners := len(s.sockets), len(s.tcp)
	var bound []string
	for i, host := range hosts {
		at, err := s.bindHost(netip.AddrPortFrom(host, port))
		if err != nil {
			if i > 0 && host.Is6() && !errors.Is(err, syscall.EADDRINUSE) {
				continue // the machine has no IPv6
			}
			s.closeFrom(sockets, listeners)
			return nil, err
		}
		port = at.Port()
		bound = append(bound, at.String())
	}
	return bound, nil
}

// bindHost binds TCP first: unlike UDP with several sockets, it shares its port with
// nobody, so that a second hub is noticed.
func (s *Server) bindHost(at netip.AddrPort) (netip.AddrPort, error) {
	network := "tcp4"
	if at.Addr().Is6() {
		network = "tcp6"
	}
	listener, err := net.Listen(network, at.String())
	if err != nil {
		return at, err
	}
	at = netip.AddrPortFrom(at.Addr(), uint16(listener.Addr().(*net.TCPAddr).Port))
	sockets, err := openSockets(at, s.config.Sockets)
	if err != nil {
		return at, errors.Join(err, listener.Close())
	}
	s.tcp = append(s.tcp, listener)
	s.sockets = append(s.sockets, sockets...)
	return at, nil
}

func (s *Server) close() { s.closeFrom(0, 0) }

// closeFrom ends what was opened after so many.
func (s *Server) closeFrom(sockets, listeners int) {
	for _, k := range s.sockets[sockets:] {
		k.close()
	}
	for _, l := range s.tcp[listeners:] {
		_ = l.Close() // there is nothing left to be done about it
	}
	s.sockets, s.tcp = s.sockets[:sockets], s.tcp[:listeners]
}

// Serve answers at where Listen has bound until ctx ends, which is no error. It is
// called once.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for _, k := range s.sockets {
		r := newResponder(s, s.newCounters())
		all.Go(func() {
			if err := k.serve(ctx, r); err != nil {
				cancel(fmt.Errorf("the DNS server lost its UDP socket: %w", err))
			}
		})
	}
	clients := newClients(s)
	for _, l := range s.tcp {
		all.Go(func() {
			if err := clients.accept(ctx, l); err != nil {
				cancel(fmt.Errorf("the DNS server lost its TCP socket: %w", err))
			}
		})
	}
	<-ctx.Done()
	cause := context.Cause(ctx)
	for _, k := range s.sockets {
		k.wake()
	}
	for _, l := range s.tcp {
		_ = l.Close() // ends accept
	}
	clients.closeAll()
	all.Wait()
	s.close()
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return nil
	}
	return cause
}
