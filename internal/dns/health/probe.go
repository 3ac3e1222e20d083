package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// request is a Check made ready to be sent.
type request struct {
	Check // with its defaults
	route route
	// bytes is what is sent; of no use for TCP.
	bytes    []byte
	statuses statuses
	// wrong says why the check cannot be made; empty: it can.
	wrong string
}

func newRequest(check Check) *request {
	r := &request{Check: check.withDefaults()}
	r.route = route{address: r.Address, tls: r.Protocol == HTTPS, within: r.Within}
	if r.route.tls {
		r.route.name, r.route.any = r.Host, r.AnyCertificate
	}
	var ok bool
	r.statuses, ok = parseStatuses(r.Status)
	switch {
	case r.Protocol != HTTP && r.Protocol != HTTPS && r.Protocol != TCP:
		r.wrong = fmt.Sprintf("there is no protocol %q; there are HTTP, HTTPS and TCP", r.Protocol)
	case !r.Address.IsValid() || r.Address.Port() == 0:
		r.wrong = fmt.Sprintf("%s is not an address and a port", r.Address)
	case !ok:
		r.wrong = fmt.Sprintf("%q is not a list of status codes, such as 200-399,401", r.Status)
	case !printable(r.Host) || !printable(r.Path) || r.Path[0] != '/':
		r.wrong = fmt.Sprintf("host %q and path %q cannot be requested", r.Host, r.Path)
	}
	r.bytes = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: hanse-health\r\nAccept: */*\r\n\r\n", r.Path, r.Host)
	return r
}

// printable says that text has no spaces and control characters, which would
// make another request of it.
func printable(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0
}

// verdict is the outcome of a probe.
type verdict struct {
	passed  bool
	message string
}

// probe asks once. It blocks until there is a verdict, at most for the timeout;
// ctx ends it early.
func (p *Prober) probe(ctx context.Context, r *request) verdict {
	if r.wrong != "" {
		return verdict{message: r.wrong}
	}
	start := p.clock.Now()
	deadline := start.Add(r.Timeout)
	if r.Protocol == TCP {
		return p.connect(ctx, r, start, deadline)
	}
	if c := p.pool.take(r.route, start); c != nil {
		v, stale := p.exchange(c, r, deadline)
		if !stale {
			return v
		}
		// The server has closed the connection since the last request, as it may.
	}
	c, err := p.pool.dial(ctx, r.route, start, deadline)
	if err != nil {
		return p.failed(err, r.Timeout)
	}
	v, _ := p.exchange(c, r, deadline)
	return v
}

// connect is the probe of TCP.
func (p *Prober) connect(ctx context.Context, r *request, start, deadline time.Time) verdict {
	c, err := p.pool.dial(ctx, r.route, start, deadline)
	if err != nil {
		return p.failed(err, r.Timeout)
	}
	// With a reset no side has to remember the connection for minutes.
	if raw, ok := c.Conn.(*net.TCPConn); ok {
		_ = raw.SetLinger(0)
	}
	p.pool.drop(c)
	return verdict{true, "connected"}
}

// exchange sends the request and judges the response. stale says that the
// connection had been used before and ended without a byte of an answer.
func (p *Prober) exchange(c *connection, r *request, deadline time.Time) (v verdict, stale bool) {
	reader := readers.Get().(*bufio.Reader)
	reader.Reset(c)
	defer func() {
		reader.Reset(nil)
		readers.Put(reader)
	}()
	resp, answered, err := p.roundTrip(c, r, reader, deadline)
	if resp.reusable {
		p.pool.put(c, p.clock.Now())
	} else {
		p.pool.drop(c)
	}
	if err != nil {
		stale = c.uses > 0 && !answered && !timedOut(err)
		return p.failed(err, r.Timeout), stale
	}
	return r.judge(resp), false
}

// readers are kept apart from connections: ten thousand of these wait at a time.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4096) }}

// roundTrip sends the request and reads the response. answered says that at
// least a byte came.
func (p *Prober) roundTrip(c *connection, r *request, reader *bufio.Reader, deadline time.Time) (resp response, answered bool, err error) {
	// Writing does not wait: a request fits what the system buffers.
	if err := c.SetReadDeadline(deadline); err != nil {
		return response{}, false, err
	}
	if _, err := c.Write(r.bytes); err != nil {
		return response{}, false, err
	}
	if _, err := reader.Peek(1); err != nil {
		return response{}, false, err
	}
	resp, err = readResponse(reader, r.Text)
	return resp, true, err
}

// judge compares a response with what is expected.
func (r *request) judge(resp response) verdict {
	switch {
	case !r.statuses.contain(resp.status):
		return verdict{message: fmt.Sprintf("%d, expected %s", resp.status, r.Status)}
	case !resp.found:
		return verdict{message: fmt.Sprintf("%d, without %q in the first %d bytes", resp.status, r.Text, textWithin)}
	case resp.status == 200:
		return verdict{true, "200"}
	}
	return verdict{true, strconv.Itoa(resp.status)}
}

// failed says what an error means to somebody who reads a status.
func (p *Prober) failed(err error, timeout time.Duration) verdict {
	var errno syscall.Errno
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var refusal refusedError
	switch {
	case errors.As(err, &refusal):
		return verdict{message: refusal.Error()}
	case errors.As(err, &certificate):
		return verdict{message: refused(certificate, p.clock.Now())}
	case timedOut(err):
		return verdict{message: fmt.Sprintf("no answer within %s", timeout)}
	case errors.As(err, &errno):
		return verdict{message: errno.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return verdict{message: "the connection ended without a whole answer"}
	case errors.As(err, &record):
		return verdict{message: "the answer is not TLS"}
	case errors.As(err, &alert):
		return verdict{message: "TLS: " + alert.Error()}
	}
	return verdict{message: err.Error()}
}

func timedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
