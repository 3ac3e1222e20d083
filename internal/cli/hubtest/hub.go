// Package hubtest is a hub for unit tests of the command line: a server that answers
// as a hub does, with the objects that it is given, and links no API server.
package hubtest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

// Hub is a hub. Its methods may be called from any goroutine.
type Hub struct {
	// Kubeconfig is a file with the context federation.
	Kubeconfig string
	// URL is its address.
	URL string

	server  *httptest.Server
	mux     *http.ServeMux
	mu      sync.Mutex
	objects map[string]*unstructured.Unstructured // by path
	version int                                   // the last resourceVersion
	asked   []Request
	after   map[string]func()
	changed chan struct{} // closed when an object changes
}

// Request is one that the hub was sent and that is no GET.
type Request struct {
	Method, Path, Query, Body string
}

// New starts a hub that ends with the test.
func New(t testing.TB) *Hub {
	t.Helper()
	h := &Hub{mux: http.NewServeMux(), objects: map[string]*unstructured.Unstructured{}, after: map[string]func(){}, changed: make(chan struct{}), version: 100}
	h.server = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.server.Close)
	h.URL = h.server.URL
	h.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	config := clientcmdapi.Config{
		Clusters:  map[string]*clientcmdapi.Cluster{"hub": {Server: h.URL}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"admin": {Token: "t"}},
		Contexts:  map[string]*clientcmdapi.Context{"federation": {Cluster: "hub", AuthInfo: "admin"}},
	}
	if err := clientcmd.WriteToFile(config, h.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	h.discovery()
	return h
}

// Close ends the hub before the test does.
func (h *Hub) Close() { h.server.Close() }

// Handle lets another handler answer what matches a pattern of http.ServeMux, as a hub
// does at paths that are no resources, or one that refuses.
func (h *Hub) Handle(pattern string, handler http.HandlerFunc) { h.mux.HandleFunc(pattern, handler) }

// Answer answers a pattern with a value as JSON.
func (h *Hub) Answer(pattern string, value any) {
	h.Handle(pattern, func(w http.ResponseWriter, _ *http.Request) { Respond(w, http.StatusOK, value) })
}

// Refuse answers a pattern with a sentence, as a hub's own paths do.
func (h *Hub) Refuse(pattern string, status int, sentence string) {
	h.Handle(pattern, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, sentence+"\n")
	})
}

// After lets something happen once, when a request as in METHOD PATH has been carried out
// on the hub's objects.
func (h *Hub) After(request string, then func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.after[request] = then
}

// Writes are the requests that were no GETs, in their order.
func (h *Hub) Writes() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

// Put stores an object, given as YAML, at the path where the API has it.
func (h *Hub) Put(t testing.TB, manifest string) {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatalf("%v in %s", err, manifest)
	}
	h.store(t, u)
}

// PutObject is Put for a typed object that has its kind.
func (h *Hub) PutObject(t testing.TB, object runtime.Object) {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		t.Fatal(err)
	}
	h.store(t, &unstructured.Unstructured{Object: content})
}

func (h *Hub) store(t testing.TB, u *unstructured.Unstructured) {
	t.Helper()
	path, ok := pathOf(u)
	if !ok {
		t.Fatalf("the hub serves no %s", u.GroupVersionKind())
	}
	if u.GetUID() == "" {
		u.SetUID(types.UID(uidOf(u)))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set(path, u)
}

// Object is the object at a path, nil if there is none.
func (h *Hub) Object(path string) *unstructured.Unstructured {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.objects[path]; u != nil {
		return u.DeepCopy()
	}
	return nil
}

// Remove takes the object at a path away.
func (h *Hub) Remove(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.objects, path)
	h.news()
}

// Paths are those of all objects.
func (h *Hub) Paths() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.objects))
}

// Run runs a command against the hub, with what it reads on its standard input.
func (h *Hub) Run(t testing.TB, make func(genericiooptions.IOStreams) *cobra.Command, stdin string, line ...string) (out, errOut string, err error) {
	t.Helper()
	return Run(t, make, stdin, append(line, "--kubeconfig", h.Kubeconfig)...)
}

// Run runs a command without a hub.
func Run(t testing.TB, make func(genericiooptions.IOStreams) *cobra.Command, stdin string, line ...string) (out, errOut string, err error) {
	t.Helper()
	s, in, stdout, stderr := genericiooptions.NewTestIOStreams()
	in.WriteString(stdin)
	root := &cobra.Command{Use: "hanse", SilenceErrors: true, SilenceUsage: true}
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd := make(s)
	root.AddCommand(cmd)
	root.SetArgs(append([]string{cmd.Name()}, line...))
	err = root.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		Respond(w, http.StatusBadRequest, status(http.StatusBadRequest, "BadRequest", err.Error()))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if r.Method != http.MethodGet {
		h.mu.Lock()
		h.asked = append(h.asked, Request{r.Method, r.URL.Path, r.URL.RawQuery, string(body)})
		h.mu.Unlock()
	}
	if handler, pattern := h.mux.Handler(r); pattern != "" {
		handler.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	if r.URL.Query().Get("watch") == "true" {
		h.watch(w, r)
		return
	}
	h.serveObject(answer, r, body)
	h.mu.Lock()
	then := h.after[r.Method+" "+r.URL.Path]
	delete(h.after, r.Method+" "+r.URL.Path)
	h.mu.Unlock()
	if then != nil {
		then() // before the client hears of it
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// Respond answers with a value as JSON.
func Respond(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value)
}

func uidOf(u *unstructured.Unstructured) string {
	return strings.ToLower(u.GetKind() + "-" + u.GetNamespace() + "-" + u.GetName())
}
