package lightmember

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
)

// largestBody bounds what a client may send, as an API server does.
const largestBody = 3 << 20

// ServeHTTP is a Cluster's API server.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.fleet.pauseWhileHanging(r.Context(), c)
	if r.Context().Err() != nil {
		return
	}
	switch r.URL.Path {
	case "/readyz", "/livez", "/healthz":
		_, _ = io.WriteString(w, "ok")
	case "/version":
		raw(w, c.fleet.about.Version)
	case "/api":
		aggregated(w, c.fleet.about.API)
	case "/apis":
		aggregated(w, c.fleet.about.APIs)
	default:
		if err := c.serveObjects(w, r); err != nil {
			fail(w, err)
		}
	}
}

func raw(w http.ResponseWriter, data []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data)
}

func aggregated(w http.ResponseWriter, data []byte) {
	w.Header().Set("Content-Type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
	_, _ = w.Write(data)
}

func fail(w http.ResponseWriter, err error) {
	var status *statusError
	if !errors.As(err, &status) {
		err := failure(http.StatusInternalServerError, metav1.StatusReasonInternalError, err.Error())
		errors.As(err, &status)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(status.Status)
}

// target is what a path names.
type target struct {
	gv          schema.GroupVersion
	resource    string
	name        types.NamespacedName
	subresource string
}

// parse reads /api/v1/… and /apis/GROUP/VERSION/….
func parse(path string) (t target, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		t.gv, parts = schema.GroupVersion{Version: parts[1]}, parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		t.gv, parts = schema.GroupVersion{Group: parts[1], Version: parts[2]}, parts[3:]
	default:
		return t, false
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		t.name.Namespace, parts = parts[1], parts[2:]
	}
	t.resource = parts[0]
	if len(parts) > 1 {
		t.name.Name = parts[1]
	}
	if len(parts) > 2 {
		t.subresource = parts[2]
	}
	return t, len(parts) <= 3
}

func (c *Cluster) serveObjects(w http.ResponseWriter, r *http.Request) error {
	t, ok := parse(r.URL.Path)
	kind, served := c.fleet.kinds[t.gv.WithResource(t.resource)]
	if !ok || !served {
		return failure(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	}
	if r.Method == http.MethodGet {
		return c.read(w, r, t, kind)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestBody))
	if err != nil {
		return failure(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, err.Error())
	}
	if body, err = asJSON(r, body); err != nil {
		return failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
	}
	if done, err := c.review(w, r, t, body); done || err != nil {
		return err
	}
	c.fleet.writes.Add(1)
	req := write{
		gr: t.gv.WithResource(t.resource).GroupResource(), name: t.name, subresource: t.subresource,
		manager: manager(r), body: body, options: &metav1.DeleteOptions{},
	}
	var obj *unstructured.Unstructured
	code := http.StatusOK
	switch r.Method {
	case http.MethodPost:
		code = http.StatusCreated
		obj, err = c.create(req)
	case http.MethodPut:
		obj, err = c.update(req)
	case http.MethodPatch:
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		req.patch = types.PatchType(media)
		obj, err = c.apply(req)
	case http.MethodDelete:
		if len(body) > 0 {
			if err := json.Unmarshal(body, req.options); err != nil {
				return failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
			}
		}
		obj, err = c.delete(req)
	default:
		return failure(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, r.Method)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	return json.NewEncoder(w).Encode(obj.Object)
}

// asJSON is the body of a request, which typed clients send in protobuf.
func asJSON(r *http.Request, body []byte) ([]byte, error) {
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != runtime.ContentTypeProtobuf || len(body) == 0 {
		return body, nil
	}
	obj, kind, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return nil, err
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, err
	}
	object["apiVersion"], object["kind"] = kind.GroupVersion().String(), kind.Kind
	return json.Marshal(object)
}

// manager is who writes, as an API server finds out.
func manager(r *http.Request) string {
	if m := r.URL.Query().Get("fieldManager"); m != "" {
		return m
	}
	agent, _, _ := strings.Cut(r.UserAgent(), "/")
	return agent
}

// review answers requests that are questions: everything is allowed, and every token is as good as another.
func (c *Cluster) review(w http.ResponseWriter, r *http.Request, t target, body []byte) (done bool, err error) {
	var answer any
	switch {
	case r.Method != http.MethodPost:
		return false, nil
	case t.resource == "serviceaccounts" && t.subresource == "token":
		review := authenticationv1.TokenRequest{}
		err = json.Unmarshal(body, &review)
		review.Status = authenticationv1.TokenRequestStatus{
			Token: "light-" + c.Name, ExpirationTimestamp: metav1.NewTime(time.Now().Add(30 * 24 * time.Hour)),
		}
		answer = review
	case t.resource == "selfsubjectaccessreviews":
		review := authorizationv1.SelfSubjectAccessReview{}
		err = json.Unmarshal(body, &review)
		review.Status.Allowed = true
		answer = review
	default:
		return false, nil
	}
	if err != nil {
		return true, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	return true, json.NewEncoder(w).Encode(answer)
}

func (c *Cluster) read(w http.ResponseWriter, r *http.Request, t target, kind string) error {
	gr := t.gv.WithResource(t.resource).GroupResource()
	if t.name.Name != "" {
		c.mu.Lock()
		o := c.of(gr).objects[t.name]
		c.mu.Unlock()
		if o == nil {
			return notFound(write{gr: gr, name: t.name})
		}
		raw(w, o.json)
		return nil
	}
	s, options, err := selectionOf(r.URL.Query(), gr, t.name.Namespace)
	if err != nil {
		return failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
	}
	if options.Watch {
		watch := &stream{cluster: c, selection: s, kind: metav1.TypeMeta{APIVersion: t.gv.String(), Kind: kind}, out: w}
		return watch.watch(r.Context(), options)
	}
	return c.list(w, s, options, t.gv, kind)
}

// selectionOf reads the parameters of a list or watch.
func selectionOf(q url.Values, gr schema.GroupResource, namespace string) (s selection, o metav1.ListOptions, err error) {
	s = selection{gr: gr, namespace: namespace}
	if s.labels, err = labels.Parse(q.Get("labelSelector")); err != nil {
		return s, o, err
	}
	field, err := fields.ParseSelector(q.Get("fieldSelector"))
	if err != nil {
		return s, o, err
	}
	s.name, _ = field.RequiresExactMatch("metadata.name")
	o.Watch = q.Get("watch") == "true" || q.Get("watch") == "1"
	o.ResourceVersion, o.Continue = q.Get("resourceVersion"), q.Get("continue")
	o.AllowWatchBookmarks = q.Get("allowWatchBookmarks") == "true"
	if v := q.Get("sendInitialEvents"); v != "" {
		initial := v == "true"
		o.SendInitialEvents = &initial
	}
	if v := q.Get("timeoutSeconds"); v != "" {
		seconds, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return s, o, err
		}
		o.TimeoutSeconds = &seconds
	}
	if v := q.Get("limit"); v != "" {
		if o.Limit, err = strconv.ParseInt(v, 10, 64); err != nil {
			return s, o, err
		}
	}
	return s, o, nil
}

// list sends a page. The token of the next one is the name that it begins after.
func (c *Cluster) list(w http.ResponseWriter, s selection, o metav1.ListOptions, gv schema.GroupVersion, kind string) error {
	c.mu.Lock()
	all, version := c.current(s)
	c.mu.Unlock()
	items := make([]json.RawMessage, 0, len(all))
	last, next := "", ""
	for _, e := range all {
		if o.Continue != "" && e.name.String() <= o.Continue {
			continue
		}
		if o.Limit > 0 && int64(len(items)) == o.Limit {
			next = last
			break
		}
		items, last = append(items, e.object), e.name.String()
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": gv.String(), "kind": kind + "List",
		"metadata": map[string]any{"resourceVersion": strconv.FormatUint(version, 10), "continue": next},
		"items":    items,
	})
}
