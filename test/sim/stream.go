package sim

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is a resource that a server has.
type kind struct {
	gvr        schema.GroupVersionResource
	kind       string
	namespaced bool
	status     bool // a subresource
}

// stream is the body of a watch. What is sent waits in it until it is read.
type stream struct {
	server    *server
	kind      kind
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
	if e.ref.gr != w.kind.gvr.GroupResource() || w.namespace != "" && w.namespace != e.ref.namespace {
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
	w.send("BOOKMARK", []byte(`{"kind":"`+w.kind.kind+`","apiVersion":"`+w.kind.gvr.GroupVersion().String()+
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

// discovery is aggregated discovery of some kinds.
func discovery(kinds []kind, has func(kind) bool) *answer {
	groups := map[string][]kind{}
	var order []string
	for _, k := range kinds {
		if has(k) {
			if groups[k.gvr.Group] == nil {
				order = append(order, k.gvr.Group)
			}
			groups[k.gvr.Group] = append(groups[k.gvr.Group], k)
		}
	}
	var b strings.Builder
	b.WriteString(`{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[`)
	for i, group := range order {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"metadata":{"name":%q},"versions":[{"version":%q,"freshness":"Current","resources":[`, group, groups[group][0].gvr.Version)
		for j, k := range groups[group] {
			if j > 0 {
				b.WriteByte(',')
			}
			scope := "Cluster"
			if k.namespaced {
				scope = "Namespaced"
			}
			fmt.Fprintf(&b, `{"resource":%q,"responseKind":{"group":%q,"version":%q,"kind":%q},"scope":%q,"singularResource":%q,"verbs":["create","delete","get","list","patch","update","watch"]}`,
				k.gvr.Resource, group, k.gvr.Version, k.kind, scope, strings.ToLower(k.kind))
		}
		b.WriteString(`]}]}`)
	}
	b.WriteString("]}")
	return &answer{code: 200, body: []byte(b.String()), media: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
}

// openapi says of each group which schema it has.
func openapi(s *server) *answer {
	var parts []string
	for _, k := range s.kinds {
		path := "apis/" + k.gvr.GroupVersion().String()
		if k.gvr.Group == "" {
			path = "api/v1"
		}
		one := fmt.Sprintf(`%q:{"serverRelativeURL":"/openapi/v3/%s?hash=1"}`, path, path)
		if len(parts) == 0 || parts[len(parts)-1] != one {
			parts = append(parts, one)
		}
	}
	return &answer{code: 200, body: []byte(`{"paths":{` + strings.Join(parts, ",") + `}}`)}
}
