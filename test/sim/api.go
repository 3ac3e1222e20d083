package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/util/json"

	"github.com/hanse-dev/hanse/test/sim/served"
)

// object is one as JSON has it. One that is stored is never changed.
type object = map[string]any

// ref names an object of a server.
type ref struct {
	gr              schema.GroupResource
	namespace, name string
}

func (r ref) String() string {
	s := r.gr.Resource + "/"
	if r.namespace != "" {
		s += r.namespace + "/"
	}
	return s + r.name
}

// stored is an object as it is sent.
type stored struct {
	obj    object
	json   []byte
	labels labels.Set
}

// event is what happened to an object. before is what its labels were: a selector that matched them and does not any
// more sees the object go.
type event struct {
	kind    string
	version uint64
	ref     ref
	now     *stored // as it is sent, also where it is gone
	before  labels.Set
	existed bool
	exists  bool
}

// server is a model of an API server with its database. All servers of a history have one mutex, so that what they hold
// can be compared at one moment.
type server struct {
	name  string
	kinds []served.Kind
	mu    *sync.Mutex

	core, groups *answer // discovery

	version uint64
	dropped uint64 // watches that begin before it are answered with 410
	uids    int
	objects map[ref]*stored
	byKind  map[schema.GroupResource]map[ref]*stored
	events  []event
	streams map[*stream]struct{}
	// admit changes what is about to be stored, as an older server that does not know a field. It may be nil.
	admit func(ref, object)
	// changed is called after each change, with mu held. It may be nil.
	changed func(r ref, before, after object)
}

func newServer(name string, mu *sync.Mutex, kinds []served.Kind) *server {
	of := func(core bool) *answer {
		return &answer{code: 200, media: served.MediaType, body: served.Discovery(kinds, func(k served.Kind) bool { return (k.GVR.Group == "") == core })}
	}
	return &server{
		core: of(true), groups: of(false),
		name: name, kinds: kinds, mu: mu, version: 100, objects: map[ref]*stored{},
		byKind: map[schema.GroupResource]map[ref]*stored{}, streams: map[*stream]struct{}{},
	}
}

// copy is a database as it is now.
type copied struct {
	version uint64
	objects map[ref]*stored
}

// snapshot copies the database. mu is held.
func (s *server) snapshot() copied {
	c := copied{version: s.version, objects: make(map[ref]*stored, len(s.objects))}
	for r, o := range s.objects {
		c.objects[r] = o
	}
	return c
}

// restore puts a copy in the place of the database, at a version. All watches end; those that go on from before get a 410.
// mu is held.
func (s *server) restore(c copied, version uint64) {
	s.version, s.dropped = version, version
	s.events = nil
	before := s.objects
	s.objects, s.byKind = map[ref]*stored{}, map[schema.GroupResource]map[ref]*stored{}
	for r, o := range c.objects {
		s.keep(r, o)
	}
	s.cut()
	if s.changed == nil {
		return
	}
	for _, r := range sortedRefs(before, c.objects) {
		var was, is object
		if o := before[r]; o != nil {
			was = o.obj
		}
		if o := c.objects[r]; o != nil {
			is = o.obj
		}
		s.changed(r, was, is)
	}
}

func sortedRefs(maps ...map[ref]*stored) (all []ref) {
	for _, m := range maps {
		for r := range m {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b ref) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

func (s *server) keep(r ref, o *stored) {
	s.objects[r] = o
	if s.byKind[r.gr] == nil {
		s.byKind[r.gr] = map[ref]*stored{}
	}
	s.byKind[r.gr][r] = o
}

// cut ends all watches. mu is held.
func (s *server) cut() {
	for w := range s.streams {
		w.end()
	}
	clear(s.streams)
}

// get is an object, nil if there is none. mu is held; it must not be changed.
func (s *server) get(r ref) object {
	if o := s.objects[r]; o != nil {
		return o.obj
	}
	return nil
}

// all are the objects of a resource by name. mu is held.
func (s *server) all(gr schema.GroupResource) []*stored {
	of := s.byKind[gr]
	refs := make([]ref, 0, len(of))
	for r := range of {
		refs = append(refs, r)
	}
	sort.Slice(refs, func(i, j int) bool {
		return refs[i].namespace < refs[j].namespace || refs[i].namespace == refs[j].namespace && refs[i].name < refs[j].name
	})
	out := make([]*stored, len(refs))
	for i, r := range refs {
		out[i] = of[r]
	}
	return out
}

// put stores obj under the next version. mu is held, and obj belongs to the server from then on.
func (s *server) put(r ref, obj object) object {
	s.version++
	meta(obj)["resourceVersion"] = strconv.FormatUint(s.version, 10)
	data, err := json.Marshal(obj)
	if err != nil {
		panic(fmt.Sprintf("%s cannot be encoded: %v", r, err))
	}
	now := &stored{obj: obj, json: data, labels: labelsOf(obj)}
	e := event{kind: "ADDED", version: s.version, ref: r, now: now, exists: true}
	var was object
	if before := s.objects[r]; before != nil {
		e.kind, e.before, e.existed, was = "MODIFIED", before.labels, true, before.obj
	}
	s.keep(r, now)
	s.tell(e)
	if s.changed != nil {
		s.changed(r, was, obj)
	}
	return obj
}

// drop takes an object away. mu is held.
func (s *server) drop(r ref) {
	before := s.objects[r]
	if before == nil {
		return
	}
	s.version++
	obj := runtime.DeepCopyJSON(before.obj)
	meta(obj)["resourceVersion"] = strconv.FormatUint(s.version, 10)
	data, err := json.Marshal(obj)
	if err != nil {
		panic(fmt.Sprintf("%s cannot be encoded: %v", r, err))
	}
	delete(s.objects, r)
	delete(s.byKind[r.gr], r)
	s.tell(event{kind: "DELETED", version: s.version, ref: r, now: &stored{obj: obj, json: data, labels: before.labels}, before: before.labels, existed: true})
	if s.changed != nil {
		s.changed(r, before.obj, nil)
	}
}

func (s *server) tell(e event) {
	s.events = append(s.events, e)
	for w := range s.streams {
		w.pass(e)
	}
}

// newUID is the next; no two objects of a history have the same.
func (s *server) newUID() string {
	s.uids++
	return fmt.Sprintf("%s-%05d", s.name, s.uids)
}

// request is one to a server.
type request struct {
	method, path string
	query        map[string]string
	manager      string
	contentType  string
	body         []byte
}

// answer is what it says: a body, or a stream.
type answer struct {
	code   int
	body   []byte
	media  string
	stream *stream
}

func failure(code int, reason metav1.StatusReason, format string, args ...any) *answer {
	return failureBecause(code, reason, nil, format, args...)
}

func failureBecause(code int, reason metav1.StatusReason, causes []metav1.StatusCause, format string, args ...any) *answer {
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reason, Message: fmt.Sprintf(format, args...),
	}
	if len(causes) > 0 {
		status.Details = &metav1.StatusDetails{Causes: causes}
	}
	data, err := json.Marshal(status)
	if err != nil {
		panic(err)
	}
	return &answer{code: code, body: data}
}

// serve answers. It holds mu meanwhile; a stream goes on without it.
func (s *server) serve(q request) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case q.path == "/readyz":
		return &answer{code: http.StatusOK, body: []byte("ok")}
	case q.path == "/api":
		return s.core
	case q.path == "/apis":
		return s.groups
	case strings.HasPrefix(q.path, "/openapi/v3"):
		return &answer{code: 200, body: served.OpenAPI(s.kinds)}
	}
	k, r, subresource, ok := s.parse(q.path)
	if !ok {
		return failure(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	}
	if q.method == http.MethodGet && r.name == "" {
		return s.read(q, k, r)
	}
	if q.method == http.MethodGet {
		if o := s.objects[r]; o != nil {
			return &answer{code: http.StatusOK, body: o.json}
		}
		return notFound(r)
	}
	return s.write(q, k, r, subresource)
}

// parse reads a path.
func (s *server) parse(path string) (k served.Kind, r ref, subresource string, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var gv schema.GroupVersion
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		gv, parts = schema.GroupVersion{Version: parts[1]}, parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		gv, parts = schema.GroupVersion{Group: parts[1], Version: parts[2]}, parts[3:]
	default:
		return k, r, "", false
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" {
		r.namespace, parts = parts[1], parts[2:]
	}
	for _, k = range s.kinds {
		if k.GVR == gv.WithResource(parts[0]) {
			ok = true
			break
		}
	}
	r.gr = k.GVR.GroupResource()
	if len(parts) > 1 {
		r.name = parts[1]
	}
	if len(parts) > 2 {
		subresource = parts[2]
	}
	return k, r, subresource, ok
}

// read lists or watches. mu is held.
func (s *server) read(q request, k served.Kind, r ref) *answer {
	selector, err := labels.Parse(q.query["labelSelector"])
	if err != nil {
		return failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, "%v", err)
	}
	w := &stream{server: s, kind: k, namespace: r.namespace, selector: selector, news: make(chan struct{}, 1), done: make(chan struct{})}
	if q.query["watch"] == "true" || q.query["watch"] == "1" {
		return s.watch(q, w)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"kind":"%sList","apiVersion":"%s","metadata":{"resourceVersion":"%d"},"items":[`, k.Kind, k.GVR.GroupVersion(), s.version)
	n := 0
	for _, o := range s.all(r.gr) {
		if w.selects(o.obj, o.labels) {
			if n++; n > 1 {
				b.WriteByte(',')
			}
			b.Write(o.json)
		}
	}
	b.WriteString("]}")
	return &answer{code: http.StatusOK, body: []byte(b.String())}
}

// watch begins a stream. mu is held.
func (s *server) watch(q request, w *stream) *answer {
	version := q.query["resourceVersion"]
	initial := q.query["sendInitialEvents"] == "true"
	switch {
	case initial, version == "", version == "0":
		for _, o := range s.all(w.kind.GVR.GroupResource()) {
			if w.selects(o.obj, o.labels) {
				w.send("ADDED", o.json)
			}
		}
		if initial {
			w.bookmark(s.version, true)
		}
	default:
		from, err := strconv.ParseUint(version, 10, 64)
		if err != nil || from < s.dropped {
			return failure(http.StatusGone, metav1.StatusReasonExpired, "too old resource version: %s", version)
		}
		for i := sort.Search(len(s.events), func(i int) bool { return s.events[i].version > from }); i < len(s.events); i++ {
			w.pass(s.events[i])
		}
	}
	s.streams[w] = struct{}{}
	return &answer{code: http.StatusOK, stream: w}
}

func notFound(r ref) *answer {
	return failure(http.StatusNotFound, metav1.StatusReasonNotFound, "%s %q not found", r.gr, r.name)
}

// meta is an object's metadata, which it gets if it has none.
func meta(obj object) object {
	m, ok := obj["metadata"].(object)
	if !ok {
		m = object{}
		obj["metadata"] = m
	}
	return m
}

func labelsOf(obj object) labels.Set {
	m, _ := meta(obj)["labels"].(object)
	out := make(labels.Set, len(m))
	for k, v := range m {
		out[k], _ = v.(string)
	}
	return out
}

func text(obj object, path ...string) string {
	s, _ := at(obj, path...).(string)
	return s
}

func number(obj object, path ...string) int64 {
	n, _ := at(obj, path...).(int64)
	return n
}

func at(obj object, path ...string) any {
	var v any = obj
	for _, p := range path {
		m, ok := v.(object)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func decode(data []byte) (object, error) {
	var obj object
	err := kjson.Unmarshal(data, &obj)
	return obj, err
}

func stamp() string { return time.Now().UTC().Format(time.RFC3339) }
