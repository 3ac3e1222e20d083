package limits

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"k8s.io/client-go/rest"
)

// Sizes that no honest API server exceeds, in bytes after decompression. An object has 1.5 MiB in etcd unless somebody has
// raised that, and twice as much as JSON at the very most.
const (
	// Response bounds an answer to one request, or a page of a list.
	Response = 16 << 20
	// Event bounds one event of a watch.
	Event = 8 << 20
)

// TooLarge is an answer that is not read to its end.
type TooLarge struct {
	// What was asked for.
	What string
	// Limit is how many bytes the answer may have.
	Limit int64
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("the API server answers with more than %d MiB to %s", e.Limit>>20, e.What)
}

// Responses is cfg with bounds on what is read of an answer: reading fails with a *TooLarge beyond limit bytes, and in the
// watch of whoever does not bound events by itself within one that is larger than Event. onEvent, if not nil, is told of
// that last one, which a client takes for the end of a connection.
func Responses(cfg *rest.Config, limit int64, onEvent func(error)) *rest.Config {
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
	if watch := r.URL.Query().Get("watch"); watch == "true" || watch == "1" {
		// Other encodings have the length of each event before it, which client-go bounds.
		if r.Context().Value(boundedKey{}) == nil && strings.Contains(response.Header.Get("Content-Type"), "json") {
			response.Body = &events{ReadCloser: response.Body, tooLarge: &TooLarge{"a watch of " + r.URL.Path, Event}, tell: l.onEvent}
		}
		return response, nil
	}
	response.Body = Reader(response.Body, l.limit, r.Method+" "+r.URL.Path)
	return response, nil
}

// WrappedRoundTripper lets client-go find the transport below.
func (l *limiter) WrappedRoundTripper() http.RoundTripper { return l.next }

// Reader is r, which fails with a *TooLarge instead of going on beyond limit bytes. what was asked for is for that error.
func Reader(r io.ReadCloser, limit int64, what string) io.ReadCloser {
	return &bounded{ReadCloser: r, left: limit, tooLarge: &TooLarge{what, limit}}
}

type bounded struct {
	io.ReadCloser
	left     int64
	tooLarge *TooLarge
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

// events is the body of a watch: JSON values, one after the other. It fails within one that is too large, which a decoder
// would collect in memory first.
type events struct {
	io.ReadCloser
	tooLarge *TooLarge
	tell     func(error)

	size     int64 // of the value that has not ended
	splitter Splitter
	failed   bool
}

func (e *events) Read(p []byte) (int, error) {
	if e.failed {
		return 0, e.tooLarge
	}
	n, err := e.ReadCloser.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		taken, ends := e.splitter.Next(rest)
		if e.size += int64(taken); e.size > e.tooLarge.Limit {
			e.failed = true
			if e.tell != nil {
				e.tell(e.tooLarge)
			}
			return 0, e.tooLarge
		}
		if ends {
			e.size = 0
		}
		rest = rest[taken:]
	}
	return n, err
}

// boundedKey is the key of a context whose request's answer is bounded by who asks.
type boundedKey struct{}

// Bounded is a context for a watch whose events are bounded by whoever reads them, so that Responses need not look for
// their ends, too.
func Bounded(ctx context.Context) context.Context { return context.WithValue(ctx, boundedKey{}, true) }

// Splitter finds where JSON objects and arrays that follow one another end. It does not check them: what is no JSON may
// have ends, or none.
type Splitter struct {
	depth            int
	quoted, escaping bool
}

// Next takes in data up to the end of a value, or all of it if none ends there.
func (s *Splitter) Next(data []byte) (taken int, ends bool) {
	for i := 0; i < len(data); i++ {
		if s.quoted && !s.escaping { // most of an object is text
			for i < len(data) && data[i] != '"' && data[i] != '\\' {
				i++
			}
			if i == len(data) {
				break
			}
		}
		if s.Ends(data[i]) {
			return i + 1, true
		}
	}
	return len(data), false
}

// Ends takes in the next byte, and says whether a value ends with it.
func (s *Splitter) Ends(c byte) bool {
	switch {
	case s.escaping:
		s.escaping = false
	case s.quoted:
		s.escaping, s.quoted = c == '\\', c != '"'
	case c == '"':
		s.quoted = true
	case c == '{', c == '[':
		s.depth++
	case c == '}', c == ']':
		if s.depth--; s.depth <= 0 {
			s.depth = 0
			return true
		}
	}
	return false
}
