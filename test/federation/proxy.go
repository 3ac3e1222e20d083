package federation

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// Fault is how a Proxy misbehaves.
type Fault struct {
	// Status answers every request with this status, and Retry-After 1.
	Status int
	// Delay before each answer begins. Watches that are open go on.
	Delay time.Duration
	// Reset resets the connection of every request, and those that are open.
	Reset bool
	// Share is how many requests of a hundred it hits; 0 means all.
	Share uint32
	// Path is how the paths of the requests begin that it hits; empty means all.
	Path string
	// Reads hits only what reads.
	Reads bool
}

// Proxy stands before an API server and passes requests on, with the faults
// that are set at the time. It ends TLS and passes bearer tokens.
type Proxy struct {
	server *httptest.Server
	next   http.Handler
	fault  atomic.Pointer[Fault]
	served atomic.Uint32

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// NewProxy starts a proxy before the API server that cfg reaches.
func NewProxy(cfg *rest.Config) (*Proxy, error) {
	target, err := url.Parse(cfg.Host)
	if err != nil {
		return nil, fmt.Errorf("proxy to %s: %w", cfg.Host, err)
	}
	// No credentials of its own: those of the request count.
	transport, err := rest.TransportFor(&rest.Config{Host: cfg.Host, TLSClientConfig: rest.TLSClientConfig{CAData: cfg.CAData, CAFile: cfg.CAFile}})
	if err != nil {
		return nil, fmt.Errorf("proxy to %s: %w", cfg.Host, err)
	}
	p := &Proxy{conns: map[net.Conn]struct{}{}}
	p.next = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // watches
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // a member that is not there does not answer
		},
	}
	p.Heal()
	p.server = httptest.NewUnstartedServer(p)
	p.server.Config.ConnState = p.track
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)        // resets are what it is for
	p.server.TLS = &tls.Config{NextProtos: []string{"http/1.1"}} // a connection each, so that one can be reset
	p.server.StartTLS()
	return p, nil
}

// URL is where it listens.
func (p *Proxy) URL() string { return p.server.URL }

// CA is what signs its certificate, as PEM.
func (p *Proxy) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
}

// Break begins a fault.
func (p *Proxy) Break(f Fault) {
	p.fault.Store(&f)
	if f.Reset {
		p.resetAll()
	}
}

// Cut resets the connections that are open, once.
func (p *Proxy) Cut() { p.resetAll() }

// Heal ends the fault.
func (p *Proxy) Heal() { p.fault.Store(&Fault{}) }

// Close stops the proxy.
func (p *Proxy) Close() {
	p.resetAll()
	p.server.Close()
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := *p.fault.Load()
	if f.Share > 0 && p.served.Add(1)%100 >= f.Share {
		f = Fault{}
	}
	if !strings.HasPrefix(r.URL.Path, f.Path) || f.Reads && r.Method != http.MethodGet {
		f = Fault{}
	}
	switch {
	case f.Reset:
		reset(w)
		return
	case f.Status != 0:
		w.Header().Set("Retry-After", "1")
		http.Error(w, http.StatusText(f.Status), f.Status)
		return
	case f.Delay > 0:
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	p.next.ServeHTTP(w, r)
}

func (p *Proxy) track(c net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateNew:
		p.conns[c] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(p.conns, c)
	}
}

func (p *Proxy) resetAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		resetConn(c)
	}
}

// reset ends the connection of a request without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	resetConn(conn)
}

// resetConn sends RST instead of FIN.
func resetConn(c net.Conn) {
	raw := c
	if t, ok := c.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // the connection is given up either way
	}
	_ = raw.Close()
}
