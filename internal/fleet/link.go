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

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/attribution"
)

// dialTimeout bounds one TCP connection attempt to a member.
const dialTimeout = 5 * time.Second

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
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token.get())
	attribution.Mark(r)
	return b.next.RoundTrip(r)
}

// line is what is known of all connections to a member.
type line struct {
	// broken is called, and must not block, when a connection that had lasted
	// breaks.
	broken func()
	heard  atomic.Int64 // when something came by a connection that had lasted, in ns since 1970
}

// heardSince says whether something came after a time by a connection that had
// lasted. Who only accepts new connections, as the kernel of a process that
// hangs does, or a load balancer before it, is not heard.
func (l *line) heardSince(t time.Time) bool { return l.heard.Load() > t.UnixNano() }

// memberConfig is the way to a member by the hub's own credential. Its
// connections are its own and are all closed when ctx ends; after that it dials
// no more. So a member that has gone silent leaves no request hanging.
func memberConfig(ctx context.Context, spec v1alpha1.ClusterSpec, tok *token, l *line) *rest.Config {
	return trackedConfig(ctx, spec, tok, l, connrotation.NewConnectionTracker())
}

func trackedConfig(ctx context.Context, spec v1alpha1.ClusterSpec, tok *token, l *line, conns *connrotation.ConnectionTracker) *rest.Config {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	context.AfterFunc(ctx, conns.CloseAll)
	return &rest.Config{
		Host:            spec.Endpoint,
		TLSClientConfig: rest.TLSClientConfig{CAData: spec.CABundle, ServerName: spec.TLSServerName},
		UserAgent:       "hanse",
		QPS:             -1, // the member's own priority and fairness decides
		Dial: func(dialCtx context.Context, network, address string) (net.Conn, error) {
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
			return &tellingConn{Conn: conn, ctx: ctx, opened: time.Now(), line: l}, nil
		},
		WrapTransport: func(next http.RoundTripper) http.RoundTripper { return bearer{tok, next} },
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
	if now := time.Now(); n > 0 && now.Sub(c.opened) > lasting {
		c.line.heard.Store(now.UnixNano())
	}
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) &&
		c.ctx.Err() == nil && time.Since(c.opened) > lasting {
		c.once.Do(c.line.broken)
	}
	return n, err
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

// errDisengaged answers whoever still uses a member's rest.Config after it is
// over.
var errDisengaged = errors.New("the cluster is not engaged any more")

// link is fleet's own connection to a member, for probes and the like.
type link struct {
	client *kubernetes.Clientset
	close  context.CancelFunc
	renew  func() // ends its connections: the next request opens one
}

func newLink(ctx context.Context, spec v1alpha1.ClusterSpec, tok *token, l *line) (*link, error) {
	ctx, cancel := context.WithCancel(ctx)
	conns := connrotation.NewConnectionTracker()
	cfg := trackedConfig(ctx, spec, tok, l, conns)
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	cfg.ContentType = "application/json"
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return bounded{next} })
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("the endpoint or the CA of the Cluster cannot be used: %w", err)
	}
	return &link{client: client, close: cancel, renew: conns.CloseAll}, nil
}
