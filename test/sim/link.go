package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// faults is what a way to a server does to requests. The zero value: nothing. Numbers are chances in percent.
type faults struct {
	refused bool // nobody listens
	hung    bool // requests and streams are taken, and nothing comes
	failing int  // answered with an error of the server, and not done
	losing  int  // done, and the answer is lost
	slow    int  // answered after some seconds
	lying   int  // a list without one of its objects
	// forbidden is the resource that may not be read, "": none.
	forbidden string
	// deaf: discovery fails.
	deaf bool
}

// link is the way from one run of the hub to a server: an http.RoundTripper within the process. It takes a few
// milliseconds of virtual time for each request, by the seed and by what is asked for how often, so that what happens
// at the same moment in one run of a history does so in the next.
type link struct {
	server *server
	seed   uint64
	over   <-chan struct{} // the hub was killed
	// about is called with each request that writes before it is carried out and after, with the server's mu not held.
	heard func(*call)

	mu      sync.Mutex
	faults  *faults // of the way, whichever run of the hub uses it; guarded by the server's mu
	counts  map[string]int
	streams map[*stream]struct{}
}

// call is one request that writes.
type call struct {
	server *server
	sent   time.Time
	request
	ref    ref
	status bool
	before object
	answer *answer
	fault  string
}

func newLink(s *server, f *faults, seed uint64, over <-chan struct{}, heard func(*call)) *link {
	return &link{server: s, seed: seed, faults: f, over: over, heard: heard, counts: map[string]int{}, streams: map[*stream]struct{}{}}
}

var errKilled = errors.New("the hub was killed")

// RoundTrip asks the server.
func (l *link) RoundTrip(r *http.Request) (*http.Response, error) {
	q := request{method: r.Method, path: r.URL.Path, query: map[string]string{}, contentType: r.Header.Get("Content-Type")}
	for key, v := range r.URL.Query() {
		q.query[key] = v[0]
	}
	if q.manager = q.query["fieldManager"]; q.manager == "" {
		q.manager = "hanse"
	}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
		q.body = body
	}
	dice := l.dice(q)
	sent := time.Now()
	if err := l.wait(r.Context(), time.Millisecond+time.Duration(dice.next()%4_000_000)); err != nil {
		return nil, err
	}
	watches := q.query["watch"] != ""
	f := l.state()
	switch {
	case f.refused:
		return nil, fmt.Errorf("dial tcp %s:6443: connect: connection refused", l.server.name)
	case f.hung:
		return nil, l.hang(r.Context())
	case dice.percent() < f.failing && !watches:
		return l.response(r, l.broken(dice)), nil
	case f.deaf && (q.path == "/api" || q.path == "/apis"):
		return l.response(r, failure(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "starting")), nil
	case f.forbidden != "" && q.method == http.MethodGet && strings.HasSuffix(q.path, "/"+f.forbidden):
		return l.response(r, failure(http.StatusForbidden, metav1.StatusReasonForbidden, "%s may not be read", f.forbidden)), nil
	}
	a, lost := l.carry(q, sent, dice.percent() < f.losing)
	if lost {
		return nil, fmt.Errorf("read tcp %s:6443: connection reset by peer", l.server.name)
	}
	if dice.percent() < f.slow {
		if err := l.wait(r.Context(), time.Duration(1+dice.next()%9)*time.Second); err != nil {
			if a.stream != nil {
				_ = a.stream.Close()
			}
			return nil, err
		}
	}
	if dice.percent() < f.lying && q.method == http.MethodGet && a.stream == nil {
		a = lie(a, dice)
	}
	return l.response(r, a), nil
}

// carry has a request carried out.
func (l *link) carry(q request, sent time.Time, lose bool) (a *answer, lost bool) {
	writes := q.method != http.MethodGet
	var c *call
	if writes {
		c = &call{server: l.server, sent: sent, request: q}
		l.server.mu.Lock()
		_, c.ref, _, _ = l.server.parse(q.path)
		c.status = strings.HasSuffix(q.path, "/status")
		if c.ref.name == "" {
			if obj, err := decode(q.body); err == nil {
				c.ref.name = text(obj, "metadata", "name")
			}
		}
		c.before = l.server.get(c.ref)
		l.server.mu.Unlock()
	}
	a = l.server.serve(q)
	if writes {
		if c.answer = a; lose {
			c.fault = "answer lost"
		}
		l.heard(c)
	}
	if lose && a.stream == nil {
		return nil, true
	}
	return a, false
}

func (l *link) broken(d *dice) *answer {
	switch d.next() % 3 {
	case 0:
		return failure(http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcdserver: request timed out")
	case 1:
		return failure(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "apiserver is shutting down")
	}
	return failure(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests")
}

// lie is a list without one of its objects.
func lie(a *answer, d *dice) *answer {
	list, err := decode(a.body)
	if err != nil {
		return a
	}
	items, _ := list["items"].([]any)
	if len(items) == 0 {
		return a
	}
	i := int(d.next() % uint64(len(items)))
	list["items"] = append(append([]any{}, items[:i]...), items[i+1:]...)
	out := (*server)(nil).sent(a.code, list)
	return out
}

// state is the faults as they are now.
func (l *link) state() faults {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	return *l.faults
}

func (l *link) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.over:
		return errKilled
	}
}

// hang waits until the way is well again, or nobody asks any more.
func (l *link) hang(ctx context.Context) error {
	for l.state().hung {
		if err := l.wait(ctx, time.Second); err != nil {
			return err
		}
	}
	return fmt.Errorf("read tcp %s:6443: connection reset by peer", l.server.name)
}

func (l *link) response(r *http.Request, a *answer) *http.Response {
	media := a.media
	if media == "" {
		media = "application/json"
	}
	out := &http.Response{
		StatusCode: a.code, Status: http.StatusText(a.code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {media}}, ContentLength: int64(len(a.body)), Body: io.NopCloser(bytes.NewReader(a.body)),
	}
	if a.code == http.StatusTooManyRequests {
		out.Header.Set("Retry-After", "1")
	}
	if a.stream != nil {
		out.ContentLength, out.Body = -1, a.stream
		l.mu.Lock()
		l.streams[a.stream] = struct{}{}
		l.mu.Unlock()
		context.AfterFunc(r.Context(), a.stream.end)
	}
	return out
}

// cut ends the streams of the link.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.streams {
		w.end()
	}
	clear(l.streams)
}

// mute has the streams of the link say nothing until they are cut.
func (l *link) mute() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.streams {
		w.mu.Lock()
		w.muted = true
		w.mu.Unlock()
	}
}

// dice are the numbers that the seed has for one request.
type dice struct{ state uint64 }

// dice is the same for the nth request of its kind in every run of a history.
func (l *link) dice(q request) *dice {
	what := q.method + q.path
	if q.query["watch"] != "" {
		what = "WATCH" + q.path
	}
	l.mu.Lock()
	l.counts[what]++
	n := l.counts[what]
	l.mu.Unlock()
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %s %d", l.seed, l.server.name, what, n)
	return &dice{h.Sum64()}
}

// next is splitmix64.
func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (d *dice) percent() int { return int(d.next() % 100) }
