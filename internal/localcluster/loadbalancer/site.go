package loadbalancer

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// site is one address with everything that listens on it.
type site struct {
	address   netip.Addr
	server    *http.Server
	listeners map[int32]net.Listener // by port
}

func newSite(address netip.Addr, handler http.Handler, config *tls.Config) *site {
	return &site{
		address: address,
		server: &http.Server{
			Handler:           handler,
			TLSConfig:         config,
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       time.Minute,
			ErrorLog:          log.New(io.Discard, "", 0), // handshakes that clients break off
		},
		listeners: map[int32]net.Listener{},
	}
}

// listen makes the ports exactly those that are listened on. After an error it may be called again.
func (s *site) listen(ports []int32) error {
	wanted := map[int32]bool{}
	for _, port := range ports {
		wanted[port] = true
	}
	for port, listener := range s.listeners {
		if !wanted[port] {
			listener.Close()
			delete(s.listeners, port)
		}
	}
	for port := range wanted {
		if s.listeners[port] != nil {
			continue
		}
		raw, err := net.Listen("tcp4", net.JoinHostPort(s.address.String(), strconv.Itoa(int(port))))
		if err != nil {
			return fmt.Errorf("listen for a load balancer: %w", err)
		}
		listener := newSniffer(raw, s.server.TLSConfig)
		s.listeners[port] = listener
		go s.server.Serve(listener) // ends with Close of either
	}
	return nil
}

// close ends the listeners and all connections: clients are refused from then on.
func (s *site) close() { s.server.Close() }
