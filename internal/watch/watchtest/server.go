// Package watchtest is an API server for tests of what watches: it lists in pages and watches, as JSON or protobuf, and
// fails as told.
package watchtest

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// Server serves objects of kinds that client-go has types for. Its methods may be called from any goroutine.
type Server struct {
	http *httptest.Server

	mu      sync.Mutex
	version int
	objects map[string][]object // by path of the collection
	events  map[string][]event
	fail    map[string]apierrors.APIStatus
	kinds   map[string]metav1.TypeMeta
	lists   map[string]int
	streams map[string]int
	cut     chan struct{} // closed when all watches end
	news    chan struct{} // closed when there is an event
}

type object interface {
	metav1.Object
	runtime.Object
}

type event struct {
	version int
	kind    apiwatch.EventType
	object  object
}

// New serves until the test ends, over HTTP/2 as API servers do.
func New(t testing.TB) *Server {
	s := &Server{version: 100, objects: map[string][]object{}, events: map[string][]event{}, fail: map[string]apierrors.APIStatus{},
		kinds: map[string]metav1.TypeMeta{}, lists: map[string]int{}, streams: map[string]int{}, cut: make(chan struct{}), news: make(chan struct{})}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.EnableHTTP2 = true
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that go away are no news
	s.http.StartTLS()
	t.Cleanup(func() {
		s.Cut()
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// Config is how it is reached.
func (s *Server) Config() *rest.Config {
	return &rest.Config{Host: s.http.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
}

// Serve has a collection that is empty; others are not found.
func (s *Server) Serve(path, version, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds[path] = metav1.TypeMeta{APIVersion: version, Kind: kind}
}

// Put adds an object, or puts it in the place of its namesake.
func (s *Server) Put(path string, all ...object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range all {
		kind := apiwatch.Modified
		if i := s.index(path, o); i >= 0 {
			s.objects[path] = slices.Delete(s.objects[path], i, i+1)
		} else {
			kind = apiwatch.Added
		}
		s.objects[path] = append(s.objects[path], s.happens(path, kind, o))
	}
}

// Delete removes an object.
func (s *Server) Delete(path string, o object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(path, o); i >= 0 {
		s.objects[path] = slices.Delete(s.objects[path], i, i+1)
		s.happens(path, apiwatch.Deleted, o)
	}
}

// Bookmark sends one to who watches.
func (s *Server) Bookmark(path string, o object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.happens(path, apiwatch.Bookmark, o)
}

// Fail answers all requests for a collection with an error; nil: no more.
func (s *Server) Fail(path string, with apierrors.APIStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail[path] = with
}

// Cut ends all watches.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// Compact forgets what has happened, so that who watches from before has to list again.
func (s *Server) Compact() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	for path := range s.events {
		s.events[path] = []event{{version: s.version}}
	}
}

// Asked is how often a collection was listed, pages counted, and how many watches of it have begun.
func (s *Server) Asked(path string) (lists, watches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists[path], s.streams[path]
}

func (s *Server) index(path string, o object) int {
	return slices.IndexFunc(s.objects[path], func(other object) bool {
		return other.GetName() == o.GetName() && other.GetNamespace() == o.GetNamespace()
	})
}

func (s *Server) happens(path string, kind apiwatch.EventType, o object) object {
	s.version++
	copied := o.DeepCopyObject().(object)
	copied.SetResourceVersion(strconv.Itoa(s.version))
	s.events[path] = append(s.events[path], event{s.version, kind, copied})
	close(s.news)
	s.news = make(chan struct{})
	return copied
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	path, q := r.URL.Path, r.URL.Query()
	s.mu.Lock()
	kind, served := s.kinds[path]
	status := s.fail[path]
	s.mu.Unlock()
	switch {
	case status != nil:
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		w.WriteHeader(int(status.Status().Code))
		answer := status.Status()
		answer.Kind, answer.APIVersion = "Status", "v1"
		_ = json.NewEncoder(w).Encode(answer)
	case !served:
		http.NotFound(w, r)
	case q.Get("watch") != "":
		s.watch(w, r, kind)
	default:
		s.list(w, r, kind)
	}
}

// format is how the client is answered.
func format(r *http.Request) runtime.SerializerInfo {
	for _, info := range scheme.Codecs.SupportedMediaTypes() {
		if strings.HasPrefix(r.Header.Get("Accept"), info.MediaType) {
			return info
		}
	}
	info, _ := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	return info
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, kind metav1.TypeMeta) {
	q := r.URL.Query()
	selector, _ := labels.Parse(q.Get("labelSelector"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	from, _ := strconv.Atoi(q.Get("continue"))
	s.mu.Lock()
	s.lists[r.URL.Path]++
	var items []runtime.Object
	for _, o := range s.objects[r.URL.Path] {
		if selector.Matches(labels.Set(o.GetLabels())) {
			items = append(items, o)
		}
	}
	head := metav1.ListMeta{ResourceVersion: strconv.Itoa(s.version)}
	s.mu.Unlock()
	items = items[min(from, len(items)):]
	if limit > 0 && len(items) > limit {
		items, head.Continue = items[:limit], strconv.Itoa(from+limit)
	}
	gvk := kind.GroupVersionKind()
	list, err := scheme.Scheme.New(gvk.GroupVersion().WithKind(kind.Kind + "List"))
	if err == nil {
		err = meta.SetList(list, items)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	accessor, _ := meta.ListAccessor(list)
	accessor.SetResourceVersion(head.ResourceVersion)
	accessor.SetContinue(head.Continue)
	info := format(r)
	w.Header().Set("Content-Type", info.MediaType)
	_ = scheme.Codecs.EncoderForVersion(info.Serializer, gvk.GroupVersion()).Encode(list, w)
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request, kind metav1.TypeMeta) {
	path, info := r.URL.Path, format(r)
	after, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	selector, _ := labels.Parse(r.URL.Query().Get("labelSelector"))
	w.Header().Set("Content-Type", info.MediaType+";stream=watch")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	s.mu.Lock()
	s.streams[path]++
	cut := s.cut
	s.mu.Unlock()
	for {
		s.mu.Lock()
		news, all := s.news, s.events[path]
		s.mu.Unlock()
		for _, e := range all {
			switch {
			case e.version <= after:
				continue
			case e.object == nil:
				gone := apierrors.NewResourceExpired("too old").Status()
				gone.Kind, gone.APIVersion = "Status", "v1"
				_ = send(w, info, "v1", apiwatch.Error, &gone)
				return
			case selector.Matches(labels.Set(e.object.GetLabels())) || e.kind == apiwatch.Bookmark:
				if send(w, info, kind.APIVersion, e.kind, e.object) != nil {
					return
				}
			}
			after = e.version
		}
		w.(http.Flusher).Flush()
		select {
		case <-news:
		case <-cut:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func send(w http.ResponseWriter, info runtime.SerializerInfo, version string, kind apiwatch.EventType, o runtime.Object) error {
	gv, err := schema.ParseGroupVersion(version)
	if err != nil {
		return err
	}
	raw, err := runtime.Encode(scheme.Codecs.EncoderForVersion(info.Serializer, gv), o)
	if err != nil {
		return err
	}
	e := metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: raw}}
	if info.EncodesAsText {
		return json.NewEncoder(w).Encode(e)
	}
	data, err := e.Marshal()
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}
