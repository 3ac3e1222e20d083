package sim

import (
	"io"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-dev/hanse/test/sim/served"
)

// stream is the body of a watch. What is sent waits in it until it is read.
type stream struct {
	server    *server
	kind      served.Kind
	namespace string
	selector  labels.Selector
	news      chan struct{}
	done      chan struct{}
	once      sync.Once

	mu     sync.Mutex
	buffer []byte
	muted  bool
}

func (w *stream) selects(obj object, has labels.Set) bool {
	return (w.namespace == "" || w.namespace == text(obj, "metadata", "namespace")) && w.selector.Matches(has)
}

// pass sends an event as this watch sees it. The server's mu is held.
func (w *stream) pass(e event) {
	if e.ref.gr != w.kind.GVR.GroupResource() || w.namespace != "" && w.namespace != e.ref.namespace {
		return
	}
	before := e.existed && w.selector.Matches(e.before)
	now := e.exists && w.selector.Matches(e.now.labels)
	switch {
	case now && before:
		w.send("MODIFIED", e.now.json)
	case now:
		w.send("ADDED", e.now.json)
	case before:
		w.send("DELETED", e.now.json)
	}
}

func (w *stream) send(kind string, object []byte) {
	w.mu.Lock()
	w.buffer = append(w.buffer, `{"type":"`...)
	w.buffer = append(w.buffer, kind...)
	w.buffer = append(w.buffer, `","object":`...)
	w.buffer = append(w.buffer, object...)
	w.buffer = append(w.buffer, "}\n"...)
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *stream) bookmark(version uint64, end bool) {
	annotations := ""
	if end {
		annotations = `,"annotations":{"` + metav1.InitialEventsAnnotationKey + `":"true"}`
	}
	w.send("BOOKMARK", []byte(`{"kind":"`+w.kind.Kind+`","apiVersion":"`+w.kind.GVR.GroupVersion().String()+
		`","metadata":{"resourceVersion":"`+strconv.FormatUint(version, 10)+`"`+annotations+`}}`))
}

// end ends the stream: what was sent is read, and then nothing more.
func (w *stream) end() { w.once.Do(func() { close(w.done) }) }

// Read blocks until there is something, or the stream ends.
func (w *stream) Read(p []byte) (int, error) {
	for {
		w.mu.Lock()
		n := 0
		if !w.muted {
			n = copy(p, w.buffer)
			w.buffer = w.buffer[n:]
		}
		w.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		select {
		case <-w.news:
		case <-w.done:
			return 0, io.EOF
		}
	}
}

// Close ends it from the client's side.
func (w *stream) Close() error {
	w.end()
	w.server.mu.Lock()
	delete(w.server.streams, w)
	w.server.mu.Unlock()
	return nil
}
