package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/attribution"
)

// dialTimeout bounds one TCP connection attempt to a member.
const dialTimeout = 5 * time.Second

// idleConns is how many connections are kept to a member that does not speak HTTP/2:
// one for each request that is under way.
const idleConns = 25

// token is the credential that is current; it changes under running clients.
type token struct{ value atomic.Pointer[string] }

func (t *token) set(s string) { t.value.Store(&s) }

func (t *token) get() string {
	if s := t.value.Load(); s != nil {
		return *s
	}
	return ""
}

// bearer adds the current token to each request, and whose write at the hub led to it.
type bearer struct {
	token *token
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	r.Header.Set("Authorization", "Bearer "+b.token.get())
	attribution.Mark(r)
	return b.next.RoundTrip(r)
}

// line is what is known of all connections to a member.
type line struct {
	clock clock.PassiveClock
	// broken is called, and must not block, when a connection that had lasted
	// breaks.
	broken func()
	// fence says why nothing may be sent any more; nil: there is none.
	fence func() error
	heard atomic.Int64 // when something came by a connection that had lasted, in ns since 1970
}

// heardSince says whether something came after a time by a connection that had
// lasted. Who only accepts new connections, as the kernel of a process that
// hangs does, or a load balancer before it, is not heard.
func (l *line) heardSince(t time.Time) bool { return l.heard.Load() > t.UnixNano() }

// transport is how requests reach a member, by the hub's own credential. All who talk
// to a member share it: one connection, one TLS configuration. Its connections are
// all closed when ctx ends; after that it dials no more.
func transport(ctx context.Context, spec v1alpha1.ClusterSpec, tok *token, l *line, conns *connrotation.ConnectionTracker) (http.RoundTripper, error) {
	tlsConfig, err := rest.TLSConfigFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: spec.CABundle, ServerName: spec.TLSServerName}})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, conns.CloseAll)
	return bearer{tok, utilnet.SetTransportDefaults(&http.Transport{
		TLSClientConfig:     tlsConfig,
		MaxIdleConnsPerHost: idleConns,
		DialContext:         dial(ctx, l, conns),
	})}, nil
}

// dial opens connections that are closed, and said to be, when ctx ends.
func dial(ctx context.Context, l *line, conns *connrotation.ConnectionTracker) func(context.Context, string, string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	return func(dialCtx context.Context, network, address string) (net.Conn, error) {
		if ctx.Err() != nil {
			return nil, errDisengaged
		}
		conn, err := dialer.DialContext(dialCtx, network, address)
		if err != nil {
			return nil, err
		}
		conn = conns.Track(conn)
		if ctx.Err() != nil { // it ended meanwhile, perhaps after CloseAll
			conn.Close()
			return nil, errDisengaged
		}
		return &tellingConn{Conn: conn, ctx: ctx, opened: l.clock.Now(), line: l}, nil
	}
}

// tellingConn tells when it breaks. The process of a member that is killed, or
// its machine's kernel, ends its connections at once: there is no need to wait
// for the next look to know. It also tells when something comes.
type tellingConn struct {
	net.Conn
	ctx    context.Context
	opened time.Time
	once   sync.Once
	line   *line
}

// lasting is how old a connection has to be for its end to be news: a load
// balancer with nothing behind it ends each new one.
const lasting = 2 * retryInterval

func (c *tellingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if now := c.line.clock.Now(); n > 0 && now.Sub(c.opened) > lasting {
		c.line.heard.Store(now.UnixNano())
	}
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) &&
		c.ctx.Err() == nil && c.line.clock.Since(c.opened) > lasting {
		c.once.Do(c.line.broken)
	}
	return n, err
}

// Write sends nothing that the fence holds back, and ends the connection then: what is written to it is part of a request, and
// the rest has to stay away, too. It is asked here, and not where a request begins, because a request may be under way for long.
func (c *tellingConn) Write(b []byte) (int, error) {
	if c.line.fence != nil {
		if err := c.line.fence(); err != nil {
			return 0, errors.Join(err, c.Close())
		}
	}
	return c.Conn.Write(b)
}

// maxAnswer bounds an answer to fleet itself: the longest is a page of nodes.
const maxAnswer = 64 << 20

// bounded ends answers that are longer than maxAnswer.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil && resp.Body != nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

// link is the connection to a member: fleet's own requests go by it, and those of an
// engagement.
type link struct {
	config    *rest.Config // of fleet's own requests
	transport http.RoundTripper
	glances   map[glanced]*http.Request // without a context
	close     context.CancelFunc
	renew     func() // ends its connections: the next request opens one
}

func newLink(ctx context.Context, spec v1alpha1.ClusterSpec, tok *token, l *line) (*link, error) {
	ctx, cancel := context.WithCancel(ctx)
	conns := connrotation.NewConnectionTracker()
	by, err := transport(ctx, spec, tok, l, conns)
	k := &link{transport: by, close: cancel, renew: conns.CloseAll}
	if err == nil {
		k.config = clientConfig(spec.Endpoint, bounded{by})
		k.config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
		k.config.ContentType = "application/json"
		_, err = kubernetes.NewForConfig(k.config)
	}
	if err == nil {
		k.glances, err = glances(k.config)
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("the endpoint or the CA of the Cluster cannot be used: %w", err)
	}
	return k, nil
}

func clientConfig(endpoint string, by http.RoundTripper) *rest.Config {
	return &rest.Config{
		Host: endpoint, Transport: by, UserAgent: v1alpha1.FieldManager,
		QPS: -1, // the member's own priority and fairness decides
	}
}

// client is made when it is needed: a Clientset is larger than all else that the
// fleet keeps of a member.
func (l *link) client() kubernetes.Interface {
	return kubernetes.NewForConfigOrDie(l.config) // newLink has tried it
}
