package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"

	"github.com/hanse-dev/hanse/api/v1alpha1"
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

// bearer adds the current token to each request.
type bearer struct {
	token *token
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token.get())
	return b.next.RoundTrip(r)
}

// memberConfig is the way to a member by the hub's own credential. Its
// connections are its own and are all closed when ctx ends; after that it dials
// no more. So a member that has gone silent leaves no request hanging.
func memberConfig(ctx context.Context, spec v1alpha1.ClusterSpec, tok *token) *rest.Config {
	conns := connrotation.NewConnectionTracker()
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
			return conn, nil
		},
		WrapTransport: func(next http.RoundTripper) http.RoundTripper { return bearer{tok, next} },
	}
}

// errDisengaged answers whoever still uses a member's rest.Config after it is
// over.
var errDisengaged = errors.New("the cluster is not engaged any more")

// link is fleet's own connection to a member, for probes and the like.
type link struct {
	client *kubernetes.Clientset
	close  context.CancelFunc
}

func newLink(ctx context.Context, spec v1alpha1.ClusterSpec, tok *token) (*link, error) {
	ctx, cancel := context.WithCancel(ctx)
	cfg := memberConfig(ctx, spec, tok)
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	cfg.ContentType = "application/json"
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("the endpoint or the CA of the Cluster cannot be used: %w", err)
	}
	return &link{client: client, close: cancel}, nil
}
