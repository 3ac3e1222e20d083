package server

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// clients are the TCP connections.
type clients struct {
	*Server
	counters *counters
	slots    chan struct{}
	mu       sync.Mutex
	open     map[net.Conn]struct{}
	all      sync.WaitGroup
}

func newClients(s *Server) *clients {
	return &clients{
		Server: s, counters: s.newCounters(),
		slots: make(chan struct{}, s.config.Connections+len(s.tcp)), // each listener has one while it waits
		open:  map[net.Conn]struct{}{},
	}
}

// accept takes connections until the listener is closed. When there are too many,
// new ones wait until an old one ends, which takes the idle timeout at most.
func (c *clients) accept(ctx context.Context, l net.Listener) error {
	for {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := l.Accept()
		if err != nil {
			<-c.slots
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			klog.FromContext(ctx).V(2).Info("A DNS client could not be accepted", "err", err)
			if !pause(ctx, c.config.Clock, 10*time.Millisecond) {
				return nil
			}
			continue
		}
		if !c.add(ctx, conn) {
			_ = conn.Close()
			<-c.slots
			return nil
		}
		go func() {
			defer c.remove(conn)
			c.serve(ctx, conn)
		}()
	}
}

// pause waits, after there were too many open files.
func pause(ctx context.Context, c clock.Clock, d time.Duration) bool {
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *clients) add(ctx context.Context, conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	c.open[conn] = struct{}{}
	c.all.Add(1)
	return true
}

func (c *clients) remove(conn net.Conn) {
	_ = conn.Close()
	c.mu.Lock()
	delete(c.open, conn)
	c.mu.Unlock()
	<-c.slots
	c.all.Done()
}

// closeAll ends all connections, and waits until they have ended.
func (c *clients) closeAll() {
	c.mu.Lock()
	for conn := range c.open {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.all.Wait()
}

// connection is one client.
type connection struct {
	net.Conn
	*responder
	from   netip.AddrPort
	in     []byte // what has come and is not answered yet
	out    []byte // responses that are to be sent together
	space  []byte
	filled int
}

const firstBuffer = 2048

// serve answers a client's messages one after the other, which may come before the
// earlier ones are answered (RFC 7766, section 6.2.1.1).
func (c *clients) serve(ctx context.Context, conn net.Conn) {
	address, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return
	}
	from := address.AddrPort()
	k := &connection{
		Conn: conn, responder: newResponder(c.Server, c.counters),
		from:  netip.AddrPortFrom(from.Addr().Unmap(), from.Port()),
		in:    make([]byte, firstBuffer),
		space: make([]byte, 0, firstBuffer),
	}
	for ctx.Err() == nil {
		if err := k.answerAll(); err != nil {
			return
		}
		if err := k.read(c.config.Idle); err != nil {
			if !errors.Is(err, io.EOF) {
				klog.FromContext(ctx).V(4).Info("A DNS connection ended", "client", k.from, "err", err)
			}
			return
		}
	}
}

// read reads what there is. The whole message has to come in time.
func (k *connection) read(idle time.Duration) error {
	if k.filled == 0 || k.filled == len(k.in) {
		if err := k.SetDeadline(k.config.Clock.Now().Add(idle)); err != nil {
			return err
		}
	}
	if k.filled == len(k.in) {
		// The buffer is full with a part of one message.
		k.in = append(k.in, make([]byte, min(2*len(k.in), 2+maximumMessage)-len(k.in))...)
	}
	n, err := k.Read(k.in[k.filled:])
	k.filled += n
	return err
}

// answerAll answers the whole messages that have come.
func (k *connection) answerAll() error {
	at := 0
	for k.filled-at >= 2 {
		length := int(binary.BigEndian.Uint16(k.in[at:]))
		if k.filled-at < 2+length {
			break
		}
		if err := k.answer(k.in[at+2 : at+2+length]); err != nil {
			return err
		}
		at += 2 + length
		if len(k.out) > maximumMessage {
			if err := k.flush(); err != nil {
				return err
			}
		}
	}
	k.filled = copy(k.in, k.in[at:k.filled])
	return k.flush()
}

func (k *connection) answer(m []byte) error {
	response, what := k.respond(m, k.space, k.from.Addr(), k.config.Clock.Now(), true)
	switch what {
	case transfer:
		if err := k.flush(); err != nil {
			return err
		}
		return k.transferTCP(m)
	case send:
		k.space = response[:0]
		k.out = binary.BigEndian.AppendUint16(k.out, uint16(len(response)))
		k.out = append(k.out, response...)
	}
	return nil
}

// flush sends the responses. A client that does not read them has the idle timeout.
func (k *connection) flush() error {
	if len(k.out) == 0 {
		return nil
	}
	if err := k.SetDeadline(k.config.Clock.Now().Add(k.config.Idle)); err != nil {
		return err
	}
	_, err := k.Write(k.out)
	k.out = k.out[:0]
	return err
}
