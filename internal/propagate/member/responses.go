package member

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"k8s.io/client-go/rest"
)

// largestResponse bounds what a member may answer to one request, and to one page of a list, in bytes after
// decompression; largestEvent bounds one event of a watch. An object has 1.5 MiB in etcd unless
// somebody has raised that, and twice as much as JSON at the very most.
//
// Who lists without pages has to get all pods of a large member into one answer: largestList is for those.
const (
	largestResponse = 16 << 20
	largestEvent    = 8 << 20
	largestList     = 256 << 20
)

// tooLarge is an answer of a member that is not read to its end.
type tooLarge struct {
	what  string
	limit int64
}

func (e *tooLarge) Error() string {
	return fmt.Sprintf("the member answers with more than %d MiB to %s", e.limit>>20, e.what)
}

// LimitResponses is cfg with a bound on what is read of an answer, so that no member can fill the
// hub's memory with one.
func LimitResponses(cfg *rest.Config) *rest.Config {
	return limitResponses(cfg, largestList, func(error) {})
}

// limitResponses is LimitResponses with that limit. onEvent is told of a watch with an event that is too
// large, which ends; for all other requests that is an error of the request.
func limitResponses(cfg *rest.Config, limit int64, onEvent func(error)) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &limiter{next: next, limit: limit, onEvent: onEvent}
	})
	return cfg
}

type limiter struct {
	next    http.RoundTripper
	limit   int64
	onEvent func(error)
}

func (l *limiter) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.next.RoundTrip(r)
	if err != nil || response.Body == nil || response.StatusCode == http.StatusSwitchingProtocols {
		return response, err
	}
	what := r.Method + " " + r.URL.Path
	if watch := r.URL.Query().Get("watch"); watch == "true" || watch == "1" {
		// Other encodings have the length of each event before it, which client-go bounds.
		if strings.Contains(response.Header.Get("Content-Type"), "json") {
			response.Body = &events{ReadCloser: response.Body, tooLarge: &tooLarge{"a watch of " + r.URL.Path, largestEvent}, tell: l.onEvent}
		}
		return response, nil
	}
	response.Body = &bounded{ReadCloser: response.Body, left: l.limit, tooLarge: &tooLarge{what, l.limit}}
	return response, nil
}

// WrappedRoundTripper lets client-go find the transport below.
func (l *limiter) WrappedRoundTripper() http.RoundTripper { return l.next }

// bounded is a body that fails instead of going on beyond a limit.
type bounded struct {
	io.ReadCloser
	left     int64
	tooLarge *tooLarge
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.tooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return max(0, n-1), b.tooLarge
	}
	return n, err
}

// events is the body of a watch: JSON values, one after the other. It fails within one that is too
// large, which a decoder would collect in memory first.
type events struct {
	io.ReadCloser
	tooLarge *tooLarge
	tell     func(error)

	size             int64 // of the value so far
	depth            int
	quoted, escaping bool
	failed           bool
}

func (e *events) Read(p []byte) (int, error) {
	if e.failed {
		return 0, e.tooLarge
	}
	n, err := e.ReadCloser.Read(p)
	for _, c := range p[:n] {
		e.scan(c)
		if e.size > e.tooLarge.limit {
			e.failed = true
			e.tell(e.tooLarge)
			return 0, e.tooLarge
		}
	}
	return n, err
}

func (e *events) scan(c byte) {
	e.size++
	switch {
	case e.escaping:
		e.escaping = false
	case e.quoted:
		e.escaping, e.quoted = c == '\\', c != '"'
	case c == '"':
		e.quoted = true
	case c == '{', c == '[':
		e.depth++
	case c == '}', c == ']':
		if e.depth--; e.depth <= 0 {
			e.depth, e.size = 0, 0
		}
	}
}
