package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// fakeAPI is an API server in memory behind real HTTPS: it stores whatever
// JSON objects it is given, lists and watches them, issues tokens, and fails
// where a test says so.
type fakeAPI struct {
	*httptest.Server
	mu       sync.Mutex
	objects  map[string]map[string]any // by path
	version  int
	changed  chan struct{} // closed at each change
	log      []string      // "VERB path" of each write
	valid    map[string]bool
	tokens   int
	lifetime string
	release  string // what /version says

	unguarded bool // admission policies are switched off

	// intercept may answer a request with a status code; 0 lets it through. It
	// runs without the lock.
	intercept func(r *http.Request) int
	// rubbish, if not nil, is the body of every answer.
	rubbish []byte
}

const adminToken = "admin"

func newFakeAPI(t *testing.T, uid string) *fakeAPI {
	f := &fakeAPI{objects: map[string]map[string]any{}, changed: make(chan struct{}), valid: map[string]bool{adminToken: true},
		lifetime: "2030-01-01T00:00:00Z", release: "v1.99.0", intercept: func(*http.Request) int { return 0 }}
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(func() { f.CloseClientConnections(); f.Close() })
	f.put("/api/v1/namespaces/kube-system", map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": "kube-system", "uid": uid}})
	return f
}

// config is an administrator's way to it.
func (f *fakeAPI) config() *rest.Config {
	return &rest.Config{Host: f.URL, BearerToken: adminToken, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(f.Certificate())}}
}

func (f *fakeAPI) setIntercept(fn func(*http.Request) int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.intercept = fn
}

func (f *fakeAPI) setRubbish(body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rubbish = body
}

func (f *fakeAPI) setVersion(release string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.release = release
}

// hasEvent says whether there is an event for a reason.
func (f *fakeAPI) hasEvent(reason string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for path, o := range f.objects {
		if strings.Contains(path, "/events/") && o["reason"] == reason {
			return true
		}
	}
	return false
}

// bodyOf is the body of a request that goes on to be served.
func bodyOf(t *testing.T, r *http.Request) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return string(data)
}

// labelsIn are the labels that a merge patch sets.
func labelsIn(t *testing.T, r *http.Request) map[string]string {
	t.Helper()
	var patch struct {
		Metadata struct{ Labels map[string]string }
	}
	if err := json.Unmarshal([]byte(bodyOf(t, r)), &patch); err != nil {
		t.Error(err)
	}
	return patch.Metadata.Labels
}

// put stores an object as it is.
func (f *fakeAPI) put(path string, o map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.store(path, o)
}

// get is the object at a path, nil if there is none.
func (f *fakeAPI) get(path string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.objects[path]
}

// paths are those of all objects but events.
func (f *fakeAPI) paths() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(f.objects)), func(p string) bool { return strings.Contains(p, "/events/") })
}

// writes are the requests since the last call that changed something.
func (f *fakeAPI) writes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.log
	f.log = nil
	return log
}

func (f *fakeAPI) revoke(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.valid, token)
}

func (f *fakeAPI) store(path string, o map[string]any) {
	f.version++
	meta := o["metadata"].(map[string]any)
	meta["resourceVersion"] = fmt.Sprint(f.version)
	f.objects[path] = o
	f.notify()
}

func (f *fakeAPI) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	intercept := f.intercept
	rubbish := f.rubbish
	ok := f.valid[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	f.mu.Unlock()
	if code := intercept(r); code == http.StatusConflict {
		failBecause(w, code, "Conflict") // of versions; fail means that something is there already
		return
	} else if code != 0 {
		fail(w, code)
		return
	}
	switch {
	case rubbish != nil:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(rubbish)
	case !ok:
		fail(w, http.StatusUnauthorized)
	case r.URL.Path == "/readyz":
		fmt.Fprint(w, "ok")
	case r.URL.Path == "/version":
		f.mu.Lock()
		answer(w, map[string]any{"gitVersion": f.release})
		f.mu.Unlock()
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		answer(w, map[string]any{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": map[string]any{"allowed": true}})
	case strings.HasSuffix(r.URL.Path, "/token"):
		f.issue(w)
	case r.URL.Query().Get("dryRun") != "":
		f.dryRun(w)
	case r.URL.Query().Get("sendInitialEvents") == "true":
		fail(w, http.StatusUnprocessableEntity)
	case r.URL.Query().Get("watch") != "":
		f.watch(w, r)
	default:
		f.crud(w, r)
	}
}

// dryRun is refused by the policy of a join, where there is one and policies are not switched off.
func (f *fakeAPI) dryRun(w http.ResponseWriter) {
	if f.get("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/hanse-hub-guard") == nil || f.unguarded {
		answer(w, map[string]any{"kind": "ConfigMap", "apiVersion": "v1", "metadata": map[string]any{}})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"ValidatingAdmissionPolicy 'hanse-hub-guard' denied request"}`)
}

func (f *fakeAPI) issue(w http.ResponseWriter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens++
	token := fmt.Sprintf("token-%d", f.tokens)
	f.valid[token] = true
	answer(w, map[string]any{"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
		"status": map[string]any{"token": token, "expirationTimestamp": f.lifetime}})
}

func (f *fakeAPI) crud(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.TrimSuffix(r.URL.Path, "/status")
	var body map[string]any
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		if body = decode(r); body == nil {
			fail(w, http.StatusBadRequest)
			return
		}
	}
	if r.Method != http.MethodGet && !strings.Contains(path, "/events") {
		f.log = append(f.log, r.Method+" "+r.URL.Path)
	}
	old := f.objects[path]
	switch {
	case r.Method == http.MethodPost:
		f.create(w, path, body)
	case r.Method == http.MethodGet && old == nil && strings.Contains(r.Header.Get("Accept"), "json") && isCollection(path):
		answer(w, f.list(path, nameSelector(r)))
	case old == nil:
		fail(w, http.StatusNotFound)
	case r.Method == http.MethodGet:
		answer(w, old)
	case r.Method == http.MethodPut:
		f.update(w, r, path, old, body)
	case r.Method == http.MethodPatch:
		f.patch(w, r, path, old)
	case r.Method == http.MethodDelete:
		f.remove(w, path, old)
	}
}

// decode reads a body in JSON or protobuf, nil if it is neither.
func decode(r *http.Request) map[string]any {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	var o map[string]any
	if json.Unmarshal(data, &o) == nil {
		return o
	}
	typed, kind, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return nil
	}
	typed.GetObjectKind().SetGroupVersionKind(*kind)
	if o, err = runtime.DefaultUnstructuredConverter.ToUnstructured(typed); err != nil {
		return nil
	}
	return o
}

func (f *fakeAPI) create(w http.ResponseWriter, path string, o map[string]any) {
	meta := o["metadata"].(map[string]any)
	path += "/" + meta["name"].(string)
	if f.objects[path] != nil {
		fail(w, http.StatusConflict)
		return
	}
	meta["uid"] = fmt.Sprintf("uid-%d", f.version)
	meta["generation"] = 1
	if parts := strings.Split(path, "/namespaces/"); len(parts) == 2 && strings.Contains(parts[1], "/") {
		meta["namespace"], _, _ = strings.Cut(parts[1], "/")
	}
	meta["creationTimestamp"] = "2026-01-01T00:00:00Z"
	f.store(path, o)
	answer(w, o)
}

// update replaces spec or, below /status, only the status; an object that is
// being deleted goes with its last finalizer.
func (f *fakeAPI) update(w http.ResponseWriter, r *http.Request, path string, old, o map[string]any) {
	if strings.HasSuffix(r.URL.Path, "/status") {
		status := o["status"]
		o = maps.Clone(old)
		o["status"] = status
		o["metadata"] = maps.Clone(old["metadata"].(map[string]any))
	} else if old["status"] != nil {
		o["status"] = old["status"]
	}
	for _, field := range []string{"uid", "namespace", "generation", "creationTimestamp", "deletionTimestamp"} {
		if value := old["metadata"].(map[string]any)[field]; value != nil {
			o["metadata"].(map[string]any)[field] = value
		}
	}
	f.settle(path, o)
	answer(w, o)
}

func (f *fakeAPI) patch(w http.ResponseWriter, r *http.Request, path string, old map[string]any) {
	before, _ := json.Marshal(old)
	var patch json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&patch)
	after, err := jsonpatch.MergePatch(before, patch)
	if err != nil {
		fail(w, http.StatusBadRequest)
		return
	}
	var o map[string]any
	_ = json.Unmarshal(after, &o)
	f.settle(path, o)
	answer(w, o)
}

func (f *fakeAPI) settle(path string, o map[string]any) {
	meta := o["metadata"].(map[string]any)
	finalizers, _ := meta["finalizers"].([]any)
	if meta["deletionTimestamp"] != nil && len(finalizers) == 0 {
		delete(f.objects, path)
		f.version++
		f.notify()
		return
	}
	f.store(path, o)
}

func (f *fakeAPI) remove(w http.ResponseWriter, path string, old map[string]any) {
	o := maps.Clone(old)
	o["metadata"] = maps.Clone(old["metadata"].(map[string]any))
	o["metadata"].(map[string]any)["deletionTimestamp"] = "2026-01-01T00:00:00Z"
	f.settle(path, o)
	answer(w, o)
}

func (f *fakeAPI) list(path, name string) map[string]any {
	items := []any{}
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		parent := key[:strings.LastIndex(key, "/")]
		if parent == path && (name == "" || strings.HasSuffix(key, "/"+name)) {
			items = append(items, f.objects[key])
		}
	}
	return map[string]any{"metadata": map[string]any{"resourceVersion": fmt.Sprint(f.version)}, "items": items}
}

// watch sends how a collection differs each time something changes.
func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	seen := map[string]map[string]any{} // every object is sent once more at first: allowed, and simple
	for {
		f.mu.Lock()
		now := map[string]map[string]any{}
		for _, o := range f.list(r.URL.Path, nameSelector(r))["items"].([]any) {
			o := o.(map[string]any)
			now[o["metadata"].(map[string]any)["name"].(string)] = o
		}
		changed := f.changed
		for name, o := range now {
			if seen[name] == nil {
				send(w, "ADDED", o)
			} else if seen[name]["metadata"].(map[string]any)["resourceVersion"] != o["metadata"].(map[string]any)["resourceVersion"] {
				send(w, "MODIFIED", o)
			}
		}
		for name, o := range seen {
			if now[name] == nil {
				send(w, "DELETED", o)
			}
		}
		f.mu.Unlock()
		seen = now
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func send(w http.ResponseWriter, kind string, o map[string]any) {
	_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": o})
}

func nameSelector(r *http.Request) string {
	return strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
}

// isCollection tells /…/secrets from /…/secrets/NAME by the names that the
// tests use.
func isCollection(path string) bool {
	return slices.Contains([]string{"clusters", "nodes", "secrets", "namespaces", "pods", "services", "configmaps", "serviceaccounts", "persistentvolumeclaims",
		"deployments", "statefulsets", "daemonsets", "jobs", "cronjobs", "roles", "rolebindings", "clusterroles", "clusterrolebindings"}, path[strings.LastIndex(path, "/")+1:])
}

func answer(w http.ResponseWriter, o map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(o)
}

func fail(w http.ResponseWriter, code int) {
	failBecause(w, code, map[int]string{401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "AlreadyExists", 422: "Invalid"}[code])
}

func failBecause(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": fmt.Sprintf("fake %d", code)})
}
