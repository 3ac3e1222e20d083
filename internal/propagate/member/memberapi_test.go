package member

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/apitest"
)

// memberAPI is as much of a member's API server as propagation asks of one, with faults
// that tests choose.
type memberAPI struct {
	server *httptest.Server

	mu       sync.Mutex
	version  int
	objects  map[string]map[string]any // by path
	log      []memberEvent
	changed  chan struct{}  // closed with each event
	writes   map[string]int // of a path, by method and path
	schema   string         // what openapi says of each group
	fault    func(*http.Request) (code int, body string)
	admit    func(path string, obj map[string]any)
	watching map[int]context.CancelFunc
	watches  int
	more     map[string]schema.GroupVersionKind // served beside memberKinds
	strict   bool                               // objects need their namespace, and finalizers hold deletions up
	mishap   func(*http.Request) mishap
	old      map[string]map[string]any // objects as they were at some time, which a stale list shows
}

type memberEvent struct {
	version    int
	path, kind string
	object     map[string]any
}

// memberKinds is what it serves, by the path of the collection without namespaces.
func memberKinds() apitest.Kinds {
	return apitest.Kinds{
		"/api/v1/namespaces":                            {Version: "v1", Kind: "Namespace"},
		"/api/v1/configmaps":                            {Version: "v1", Kind: "ConfigMap"},
		"/apis/apps/v1/deployments":                     {Group: "apps", Version: "v1", Kind: "Deployment"},
		"/apis/autoscaling/v2/horizontalpodautoscalers": {Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
	}
}

func newMemberAPI(t *testing.T) *memberAPI {
	t.Helper()
	m := &memberAPI{objects: map[string]map[string]any{}, changed: make(chan struct{}), writes: map[string]int{}, version: 100,
		watching: map[int]context.CancelFunc{}}
	m.server = httptest.NewServer(m)
	t.Cleanup(func() { m.cut(); m.server.CloseClientConnections(); m.server.Close() })
	return m
}

// join engages a new member until the test ends.
func (m *memberAPI) join(t *testing.T, h *hub, name string) *Member {
	t.Helper()
	joined, leave := m.joined(t, h, name)
	t.Cleanup(leave)
	return joined
}

// joined engages a new member until leave is called, as when the hub is killed.
func (m *memberAPI) joined(t *testing.T, h *hub, name string) (joined *Member, leave func()) {
	t.Helper()
	joined = New(name, h.options(), h, h)
	joined.schemasEvery = 50 * time.Millisecond
	h.mu.Lock()
	h.members = append(h.members, joined)
	h.mu.Unlock()
	return joined, m.engage(t, joined)
}

// engage begins a session, until leave is called.
func (m *memberAPI) engage(t *testing.T, joined *Member) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := newSession(joined, &rest.Config{Host: m.server.URL, QPS: -1}, cancel)
	if err != nil {
		t.Fatal(err)
	}
	joined.begin(s)
	done := make(chan struct{})
	go func() { defer close(done); s.run(ctx) }()
	return func() { cancel(); m.server.CloseClientConnections(); <-done }
}

func (m *memberAPI) setFault(f func(*http.Request) (int, string)) {
	m.mu.Lock()
	m.fault = f
	m.mu.Unlock()
}

// cut ends all watches, as a load balancer does now and then.
func (m *memberAPI) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, end := range m.watching {
		end()
	}
}

// get is an object as it is there, nil if there is none.
func (m *memberAPI) get(path string) map[string]any {
	m.mu.Lock()
	defer m.mu.Unlock()
	if obj := m.objects[path]; obj != nil {
		return runtime.DeepCopyJSON(obj)
	}
	return nil
}

func (m *memberAPI) wrote(methodAndPath string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes[methodAndPath]
}

// change is what somebody in the member does.
func (m *memberAPI) change(path string, change func(obj map[string]any)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	obj := map[string]any{}
	if before := m.objects[path]; before != nil {
		obj = runtime.DeepCopyJSON(before)
	}
	change(obj)
	m.own(m.objects[path], obj, "kubectl")
	m.store(path, obj)
}

func (m *memberAPI) remove(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.version++
	if obj := m.objects[path]; obj != nil {
		delete(m.objects, path)
		m.tell(path, "DELETED", obj)
	}
}

// store is called with mu held.
func (m *memberAPI) store(path string, obj map[string]any) {
	kind := "MODIFIED"
	meta, _ := obj["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		obj["metadata"] = meta
	}
	before := m.objects[path]
	if before == nil {
		kind = "ADDED"
	}
	m.version++
	if before == nil && meta["uid"] == nil {
		meta["uid"] = fmt.Sprintf("member-%d", m.version)
	}
	meta["resourceVersion"] = strconv.Itoa(m.version)
	m.objects[path] = obj
	if collection, _ := apitest.Split(path); before != nil && managed(before, collection) && !managed(obj, collection) {
		m.tell(path, "DELETED", before) // as far as who watches by the label is concerned
		return
	}
	m.tell(path, kind, obj)
}

func (m *memberAPI) tell(path, kind string, obj map[string]any) {
	m.log = append(m.log, memberEvent{m.version, path, kind, runtime.DeepCopyJSON(obj)})
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memberAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	fault := m.fault
	m.mu.Unlock()
	if fault != nil {
		if code, body := fault(r); code != 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprint(w, body)
			return
		}
	}
	m.mu.Lock()
	happens := m.mishap
	m.mu.Unlock()
	if happens != nil {
		if what := happens(r); what != fine {
			m.suffer(w, r, what)
			return
		}
	}
	m.serve(w, r)
}

// serve answers as an API server does.
func (m *memberAPI) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if m.discovery(w, r.URL.Path) {
		return
	}
	collection, object := apitest.Split(r.URL.Path)
	kind, known := m.kinds()[collection]
	switch {
	case !known:
		apitest.Refuse(w, 404, "NotFound")
	case r.Method == http.MethodGet && r.URL.Query().Get("watch") != "":
		m.watch(w, r, collection)
	case r.Method == http.MethodGet && object == "":
		m.list(w, collection, r.URL.Path, kind)
	default:
		m.one(w, r, collection, object)
	}
}

func (m *memberAPI) discovery(w http.ResponseWriter, path string) bool {
	answer := m.kinds().Discover(path)
	if path == "/openapi/v3" {
		paths := map[string]any{}
		m.mu.Lock()
		m.writes["GET "+path]++
		for at := range memberKinds().Resources() {
			paths[at[1:]] = map[string]any{"serverRelativeURL": "/openapi/v3" + at + "?hash=" + m.schema}
		}
		m.mu.Unlock()
		answer = map[string]any{"paths": paths}
	}
	if answer == nil {
		return false
	}
	_ = json.NewEncoder(w).Encode(answer)
	return true
}

// kinds are those that it serves.
func (m *memberAPI) kinds() apitest.Kinds {
	all := memberKinds()
	maps.Copy(all, m.more)
	return all
}

// among says whether the object at a path is in a collection as it is asked for: of all namespaces, or of one.
func among(asked, collection, path string) bool {
	return asked == collection || strings.HasPrefix(path, asked+"/")
}

func (m *memberAPI) list(w http.ResponseWriter, collection, asked string, kind schema.GroupVersionKind) {
	m.mu.Lock()
	items := []any{}
	for _, path := range slices.Sorted(maps.Keys(m.objects)) {
		if in, _ := apitest.Split(path); in == collection && among(asked, collection, path) && managed(m.objects[path], collection) {
			items = append(items, runtime.DeepCopyJSON(m.objects[path]))
		}
	}
	version := m.version
	m.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": kind.GroupVersion().String(), "kind": kind.Kind + "List",
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(version)}, "items": items})
}

// managed is what a selector does; autoscalers are listed without one.
func managed(obj map[string]any, collection string) bool {
	return strings.HasSuffix(collection, "/horizontalpodautoscalers") || unstructuredOf(obj).GetLabels()[v1alpha1.LabelManaged] == "true"
}

func (m *memberAPI) watch(w http.ResponseWriter, r *http.Request, collection string) {
	if r.URL.Query().Get("sendInitialEvents") != "" {
		apitest.Refuse(w, 422, "Invalid") // as a server does that does not know it
		return
	}
	since, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	ctx, end := context.WithCancel(r.Context())
	m.mu.Lock()
	id := m.watches
	m.watches++
	m.watching[id] = end
	m.mu.Unlock()
	defer func() {
		end()
		m.mu.Lock()
		delete(m.watching, id)
		m.mu.Unlock()
	}()
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	for {
		m.mu.Lock()
		var news []memberEvent
		for _, e := range m.log {
			if in, _ := apitest.Split(e.path); e.version > since && in == collection && among(r.URL.Path, collection, e.path) && managed(e.object, collection) {
				news = append(news, e)
			}
		}
		since = m.version
		changed := m.changed
		m.mu.Unlock()
		for _, e := range news {
			_ = json.NewEncoder(w).Encode(map[string]any{"type": e.kind, "object": e.object})
		}
		w.(http.Flusher).Flush()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func (m *memberAPI) one(w http.ResponseWriter, r *http.Request, collection, path string) {
	var body map[string]any
	if r.Method != http.MethodGet {
		_ = json.NewDecoder(r.Body).Decode(&body)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Method == http.MethodPost {
		path = r.URL.Path + "/" + unstructuredOf(body).GetName()
	}
	if r.Method != http.MethodGet {
		m.writes[r.Method+" "+path]++
	}
	live := m.objects[path]
	switch {
	case live == nil && r.Method != http.MethodPost:
		apitest.Refuse(w, 404, "NotFound")
		return
	case live != nil && r.Method == http.MethodPost:
		apitest.Refuse(w, 409, "AlreadyExists")
		return
	}
	if r.Method == http.MethodPost && m.strict && strings.Contains(path, "/namespaces/") && collection != "/api/v1/namespaces" {
		parts := strings.Split(path, "/")
		ns := m.objects["/api/v1/namespaces/"+parts[slices.Index(parts, "namespaces")+1]]
		switch {
		case ns == nil:
			apitest.Refuse(w, 404, "NotFound")
			return
		case unstructuredOf(ns).GetDeletionTimestamp() != nil:
			w.WriteHeader(403)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"it is being terminated","code":403,
				"details":{"causes":[{"reason":"NamespaceTerminating"}]}}`)
			return
		}
	}
	answer := live
	switch r.Method {
	case http.MethodPost, http.MethodPatch:
		next := map[string]any{}
		if live != nil {
			next = runtime.DeepCopyJSON(live)
		}
		apitest.Merge(next, toJSON(body))
		if live != nil && unstructuredOf(next).GetUID() != unstructuredOf(live).GetUID() {
			apitest.Refuse(w, 409, "Conflict")
			return
		}
		if m.admit != nil {
			m.admit(path, next)
		}
		if live == nil || !sameBut(live, next) {
			m.own(live, next, r.URL.Query().Get("fieldManager"))
			m.store(path, next)
		}
		answer = m.objects[path]
	case http.MethodDelete:
		if held := unstructuredOf(runtime.DeepCopyJSON(live)); m.strict && len(held.GetFinalizers()) > 0 {
			now := metav1.Now()
			held.SetDeletionTimestamp(&now)
			m.store(path, held.Object)
			break
		}
		m.version++
		delete(m.objects, path)
		m.tell(path, "DELETED", live)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// toJSON has whole numbers as int64, as DeepCopyJSON wants them.
func toJSON(v map[string]any) map[string]any {
	body, _ := json.Marshal(v)
	u := unstructuredOf(nil)
	if err := u.UnmarshalJSON(body); err == nil {
		return u.Object
	}
	out := map[string]any{}
	_ = json.Unmarshal(body, &out)
	return apitest.WholeNumbers(out).(map[string]any)
}

func sameBut(a, b any) bool {
	one, _ := json.Marshal(a)
	two, _ := json.Marshal(b)
	return string(one) == string(two)
}
