package loadbalancer

import (
	"bufio"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

const (
	// handshakeByte is the first that a TLS client sends, and no HTTP request begins with it.
	handshakeByte = 0x16
	// firstByteTimeout is how long a connection may stay silent.
	firstByteTimeout = 10 * time.Second
)

// sniffer is a listener whose connections speak HTTP or HTTPS, as the client begins: a real load balancer's port is
// either, and which one is not in the Service.
type sniffer struct {
	net.Listener
	config   *tls.Config
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
	err      error // why Accept ends; read after closed
}

func newSniffer(l net.Listener, config *tls.Config) *sniffer {
	s := &sniffer{Listener: l, config: config, accepted: make(chan net.Conn), closed: make(chan struct{})}
	go s.run()
	return s
}

func (s *sniffer) run() {
	for {
		conn, err := s.Listener.Accept()
		if err != nil {
			s.end(err)
			return
		}
		go s.sniff(conn)
	}
}

func (s *sniffer) end(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.closed)
	})
}

func (s *sniffer) sniff(raw net.Conn) {
	conn := &peeked{Conn: raw, reader: bufio.NewReader(raw)}
	silent := time.AfterFunc(firstByteTimeout, func() { raw.Close() })
	first, err := conn.reader.Peek(1)
	if err != nil || !silent.Stop() {
		raw.Close()
		return
	}
	var ready net.Conn = conn
	if first[0] == handshakeByte {
		ready = tls.Server(conn, s.config)
	}
	select {
	case s.accepted <- ready:
	case <-s.closed:
		raw.Close()
	}
}

// Accept returns connections that have said their first byte.
func (s *sniffer) Accept() (net.Conn, error) {
	select {
	case conn := <-s.accepted:
		return conn, nil
	case <-s.closed:
		return nil, s.err
	}
}

// Close ends Accept and refuses new connections.
func (s *sniffer) Close() error {
	s.end(net.ErrClosed)
	return s.Listener.Close()
}

// peeked is a connection of which something was read ahead.
type peeked struct {
	net.Conn
	reader *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.reader.Read(b) }
