package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/propagate/apitest"
	"github.com/hanse-dev/hanse/internal/watch"
)

// hubAPI is as much of the hub's API server as this package asks of it, with faults that tests choose. Its versions and its
// preconditions are a real one's.
type hubAPI struct {
	server *httptest.Server

	mu       sync.Mutex
	kinds    apitest.Kinds // by the path of the collection without namespaces
	version  int
	objects  map[string]map[string]any // by path
	log      []hubEvent
	changed  chan struct{}  // closed with each event
	requests map[string]int // by method and path
	fault    func(*http.Request) fault
}

// fault is what becomes of a request; the zero fault is none.
type fault struct {
	code int  // the answer, before anything is done
	lost bool // it is carried out, and not answered
}

type hubEvent struct {
	version    int
	path, kind string
	object     map[string]any
}

func newHubAPI(t *testing.T) *hubAPI {
	t.Helper()
	h := &hubAPI{version: 100, objects: map[string]map[string]any{}, changed: make(chan struct{}), requests: map[string]int{},
		kinds: apitest.Kinds{
			"/api/v1/namespaces":                                      {Version: "v1", Kind: "Namespace"},
			"/api/v1/configmaps":                                      {Version: "v1", Kind: "ConfigMap"},
			"/apis/apps/v1/deployments":                               {Group: "apps", Version: "v1", Kind: "Deployment"},
			"/apis/apps/v1/controllerrevisions":                       {Group: "apps", Version: "v1", Kind: "ControllerRevision"},
			"/apis/apiextensions.k8s.io/v1/customresourcedefinitions": {Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
			"/apis/authorization.k8s.io/v1/subjectaccessreviews":      {Group: "authorization.k8s.io", Version: "v1", Kind: "SubjectAccessReview"},
			"/apis/hanse.dev/v1alpha1/clusters":                       {Group: "hanse.dev", Version: "v1alpha1", Kind: "Cluster"},
			"/apis/hanse.dev/v1alpha1/placementpolicies":              {Group: "hanse.dev", Version: "v1alpha1", Kind: "PlacementPolicy"},
			"/apis/hanse.dev/v1alpha1/residencies":                    {Group: "hanse.dev", Version: "v1alpha1", Kind: "Residency"},
			"/apis/hanse.dev/v1alpha1/clusterplacementpolicies":       {Group: "hanse.dev", Version: "v1alpha1", Kind: "ClusterPlacementPolicy"},
		}}
	h.server = httptest.NewServer(h)
	t.Cleanup(func() { h.server.CloseClientConnections(); h.server.Close() })
	return h
}

func (h *hubAPI) config() *rest.Config { return &rest.Config{Host: h.server.URL, QPS: -1} }

func (h *hubAPI) client(t *testing.T) dynamic.Interface {
	t.Helper()
	c, err := dynamic.NewForConfig(h.config())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *hubAPI) watches(t *testing.T) rest.Interface {
	t.Helper()
	c, err := watch.NewClient(h.config())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *hubAPI) discovery(t *testing.T) discovery.DiscoveryInterface {
	t.Helper()
	d, err := discovery.NewDiscoveryClientForConfig(h.config())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (h *hubAPI) setFault(f func(*http.Request) fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault = f
}

// get is an object as it is, nil if there is none.
func (h *hubAPI) get(path string) *unstructured.Unstructured {
	h.mu.Lock()
	defer h.mu.Unlock()
	if obj := h.objects[path]; obj != nil {
		return &unstructured.Unstructured{Object: runtime.DeepCopyJSON(obj)}
	}
	return nil
}

func (h *hubAPI) paths(in string) (paths []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for path := range h.objects {
		if strings.HasPrefix(path, in) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

func (h *hubAPI) asked(methodAndPath string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.requests[methodAndPath]
}

// put is what a user writes; it returns the object as it is then.
func (h *hubAPI) put(path string, obj map[string]any) *unstructured.Unstructured {
	h.mu.Lock()
	h.store(path, runtime.DeepCopyJSON(obj))
	h.mu.Unlock()
	return h.get(path)
}

func (h *hubAPI) remove(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version++
	if obj := h.objects[path]; obj != nil {
		delete(h.objects, path)
		h.tell(path, "DELETED", obj)
	}
}

// store is called with mu held.
func (h *hubAPI) store(path string, obj map[string]any) {
	kind := "MODIFIED"
	u := &unstructured.Unstructured{Object: obj}
	h.version++
	if h.objects[path] == nil {
		kind = "ADDED"
		if u.GetUID() == "" {
			_ = unstructured.SetNestedField(obj, fmt.Sprintf("uid-%d-of-the-hub", h.version), "metadata", "uid")
		}
	}
	u.SetResourceVersion(strconv.Itoa(h.version))
	h.objects[path] = obj
	h.tell(path, kind, obj)
}

func (h *hubAPI) tell(path, kind string, obj map[string]any) {
	h.log = append(h.log, hubEvent{h.version, path, kind, runtime.DeepCopyJSON(obj)})
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hubAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	hurt := h.fault
	h.requests[r.Method+" "+r.URL.Path]++
	h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if hurt != nil {
		switch f := hurt(r); {
		case f.code != 0:
			apitest.Refuse(w, f.code, "InternalError")
			return
		case f.lost:
			h.answer(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
	}
	h.answer(w, r)
}

func (h *hubAPI) answer(w http.ResponseWriter, r *http.Request) {
	if h.discover(w, r.URL.Path) {
		return
	}
	collection, object := apitest.Split(strings.TrimSuffix(r.URL.Path, "/status"))
	h.mu.Lock()
	kind, known := h.kinds[collection]
	h.mu.Unlock()
	switch {
	case !known:
		apitest.Refuse(w, 404, "NotFound")
	case r.Method == http.MethodGet && r.URL.Query().Get("watch") != "":
		h.watch(w, r, collection)
	case r.Method == http.MethodGet && object == "":
		h.list(w, r, collection, kind)
	case kind.Kind == "SubjectAccessReview":
		h.review(w, r)
	default:
		h.one(w, r, object)
	}
}

// review allows what an administrator asks for.
func (h *hubAPI) review(w http.ResponseWriter, r *http.Request) {
	body := read(r)
	name, _, _ := unstructured.NestedString(body, "spec", "user")
	body["status"] = map[string]any{"allowed": name == "admin"}
	_ = json.NewEncoder(w).Encode(body)
}

func (h *hubAPI) discover(w http.ResponseWriter, path string) bool {
	h.mu.Lock()
	answer := h.kinds.Discover(path)
	h.mu.Unlock()
	if answer == nil {
		return false
	}
	_ = json.NewEncoder(w).Encode(answer)
	return true
}

func (h *hubAPI) list(w http.ResponseWriter, r *http.Request, collection string, kind schema.GroupVersionKind) {
	key, value, selected := strings.Cut(r.URL.Query().Get("labelSelector"), "=")
	h.mu.Lock()
	items := []any{}
	for _, path := range slices.Sorted(maps.Keys(h.objects)) {
		obj := &unstructured.Unstructured{Object: h.objects[path]}
		if in, _ := apitest.Split(path); in == collection && (!selected || obj.GetLabels()[key] == value) {
			items = append(items, runtime.DeepCopyJSON(h.objects[path]))
		}
	}
	version := h.version
	h.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": kind.GroupVersion().String(), "kind": kind.Kind + "List",
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(version)}, "items": items})
}

func (h *hubAPI) watch(w http.ResponseWriter, r *http.Request, collection string) {
	if r.URL.Query().Get("sendInitialEvents") != "" {
		apitest.Refuse(w, 422, "Invalid") // as a server does that does not know it
		return
	}
	since, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	for {
		h.mu.Lock()
		var news []hubEvent
		for _, e := range h.log {
			if in, _ := apitest.Split(e.path); e.version > since && in == collection {
				news = append(news, e)
			}
		}
		since = h.version
		changed := h.changed
		h.mu.Unlock()
		for _, e := range news {
			_ = json.NewEncoder(w).Encode(map[string]any{"type": e.kind, "object": e.object})
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}

func (h *hubAPI) one(w http.ResponseWriter, r *http.Request, path string) {
	body := read(r)
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Method == http.MethodPost {
		path = r.URL.Path + "/" + (&unstructured.Unstructured{Object: body}).GetName()
	}
	live := h.objects[path]
	applied := r.Header.Get("Content-Type") == "application/apply-patch+yaml"
	wanted := &unstructured.Unstructured{Object: body}
	switch {
	case live == nil && r.Method != http.MethodPost && !applied:
		apitest.Refuse(w, 404, "NotFound")
		return
	case live != nil && r.Method == http.MethodPost:
		apitest.Refuse(w, 409, "AlreadyExists")
		return
	case live != nil && r.Method != http.MethodGet && !holds(wanted, live):
		apitest.Refuse(w, 409, "Conflict")
		return
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		h.store(path, body)
	case http.MethodPatch:
		next := map[string]any{}
		if live != nil {
			next = runtime.DeepCopyJSON(live)
		}
		apitest.Merge(next, body)
		h.store(path, next)
	case http.MethodDelete:
		h.version++
		delete(h.objects, path)
		h.tell(path, "DELETED", live)
	}
	answer := h.objects[path]
	if answer == nil {
		answer = live
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// holds says whether what a request names is what there is.
func holds(wanted *unstructured.Unstructured, live map[string]any) bool {
	there := &unstructured.Unstructured{Object: live}
	return (wanted.GetUID() == "" || wanted.GetUID() == there.GetUID()) &&
		(wanted.GetResourceVersion() == "" || wanted.GetResourceVersion() == there.GetResourceVersion())
}

func read(r *http.Request) map[string]any {
	body, _ := io.ReadAll(r.Body)
	out := map[string]any{}
	_ = json.Unmarshal(body, &out)
	return apitest.WholeNumbers(out).(map[string]any)
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("there is no end of the wait for %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// running runs something until the test, or stop, ends it.
func running(t *testing.T, run func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}
