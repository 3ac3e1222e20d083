package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// errDisengaged answers whoever still uses a member's rest.Config after it is
// over.
var errDisengaged = errors.New("the cluster is no longer engaged")

// memberConfig is the way to a member for as long as ctx lasts. It shares the
// connection of a link. first is called, and may block, before each request that may
// change something.
func memberConfig(ctx context.Context, spec v1alpha1.ClusterSpec, l *link, first func()) *rest.Config {
	return clientConfig(spec.Endpoint, &engaged{ctx: ctx, next: l.transport, first: first})
}

// engaged passes requests on until ctx ends. Then those that are under way end, too,
// so that a member that has gone silent leaves none hanging, and no other begins.
type engaged struct {
	ctx   context.Context
	next  http.RoundTripper
	first func()
}

func (e *engaged) RoundTrip(r *http.Request) (*http.Response, error) {
	if e.ctx.Err() != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, errDisengaged
	}
	if r.Method != http.MethodGet {
		e.first()
	}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(e.ctx, cancel)
	over := func() {
		stop()
		cancel()
	}
	response, err := e.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		over()
		if e.ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", errDisengaged, err)
		}
		return nil, err
	}
	response.Body = &lastingBody{ReadCloser: response.Body, over: over}
	return response, nil
}

// WrappedRoundTripper lets client-go find the transport below.
func (e *engaged) WrappedRoundTripper() http.RoundTripper { return e.next }

// lastingBody is the body of an answer; over is called when it is closed.
type lastingBody struct {
	io.ReadCloser
	over func()
}

func (b *lastingBody) Close() error {
	defer b.over()
	return b.ReadCloser.Close()
}
