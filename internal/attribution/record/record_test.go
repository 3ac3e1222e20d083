package record

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-dev/hanse/internal/attribution"
)

const component = "system:hanse"

// write is a request as the API server makes attributes of it.
type write struct {
	user, resource, namespace, name, subresource string
	operation                                    admission.Operation
	dryRun                                       bool
	object                                       runtime.Object
	refused                                      bool // by admission
	status                                       int  // of the response
}

func (w write) attributes() admission.Attributes {
	resource := schema.GroupVersionResource{Version: "v1", Resource: w.resource}
	var object, old runtime.Object
	if w.operation == admission.Delete {
		old = w.object
	} else {
		object = w.object
	}
	return admission.NewAttributesRecord(object, old, schema.GroupVersionKind{}, w.namespace, w.name, resource, w.subresource,
		w.operation, nil, w.dryRun, &user.DefaultInfo{Name: w.user})
}

// inner is an admission that refuses, or not.
type inner struct {
	refuses   bool
	validated int
	admitted  int
}

func (*inner) Handles(o admission.Operation) bool { return o == admission.Create }

func (i *inner) Admit(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	i.admitted++
	return nil
}

func (i *inner) Validate(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	if i.validated++; i.refuses {
		return errors.New("no")
	}
	return nil
}

// serve does a write by way of the recorder.
func serve(t *testing.T, rec *Recorder, w write) {
	t.Helper()
	chain := rec.Admission(&inner{refuses: w.refused})
	handler := rec.Filter(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		err := chain.(admission.ValidationInterface).Validate(r.Context(), w.attributes(), nil)
		if err != nil {
			w.status = http.StatusForbidden
		}
		if w.status != 0 {
			rw.WriteHeader(w.status)
		}
		_, _ = rw.Write([]byte("x"))
	}))
	method := map[admission.Operation]string{admission.Create: http.MethodPost, admission.Update: http.MethodPatch, admission.Delete: http.MethodDelete}[w.operation]
	ctx := audit.WithAuditContext(t.Context())
	audit.WithAuditID(ctx, "id-of-"+"audit")
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, method, "/", nil))
}

func pod(name string) *corev1.Pod { return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}} }

func TestRecorder(t *testing.T) {
	const before = "before"
	key := attribution.Key{GroupResource: schema.GroupResource{Resource: "pods"}, Namespace: "ns", Name: "x"}
	for name, c := range map[string]struct {
		write write
		want  string
	}{
		"create":                 {write{operation: admission.Create, object: pod("x"), status: 201, user: "alice"}, "alice"},
		"update":                 {write{operation: admission.Update, name: "x", status: 200, user: "alice"}, "alice"},
		"without a status":       {write{operation: admission.Update, name: "x", user: "alice"}, "alice"},
		"delete":                 {write{operation: admission.Delete, name: "x", status: 200, user: "alice"}, "alice"},
		"deletecollection":       {write{operation: admission.Delete, object: pod("x"), status: 200, user: "alice"}, "alice"},
		"scale":                  {write{operation: admission.Update, name: "x", subresource: "scale", status: 200, user: "alice"}, "alice"},
		"status":                 {write{operation: admission.Update, name: "x", subresource: "status", status: 200, user: "alice"}, before},
		"dry run":                {write{operation: admission.Update, name: "x", dryRun: true, status: 200, user: "alice"}, before},
		"refused":                {write{operation: admission.Create, name: "x", refused: true, user: "alice"}, before},
		"exists already":         {write{operation: admission.Create, object: pod("x"), status: 409, user: "mallory"}, before},
		"fails":                  {write{operation: admission.Update, name: "x", status: 500, user: "mallory"}, before},
		"the hub annotates":      {write{operation: admission.Update, name: "x", status: 200, user: component}, before},
		"a component deletes":    {write{operation: admission.Delete, name: "x", status: 200, user: component}, component},
		"another object changes": {write{operation: admission.Update, name: "y", status: 200, user: "alice"}, before},
	} {
		t.Run(name, func(t *testing.T) {
			authors := attribution.NewAuthors(attribution.TellUser)
			authors.Wrote(key, attribution.Author{User: before})
			c.write.resource, c.write.namespace = "pods", "ns"
			serve(t, New(authors, component), c.write)
			got := authors.Of(key)
			if got.User != c.want || c.want != before && got.AuditID != "id-of-audit" {
				t.Errorf("%+v, want %s", got, c.want)
			}
		})
	}
}

// A Namespace is in no namespace, though the path to it says so.
func TestNamespace(t *testing.T) {
	authors := attribution.NewAuthors(attribution.TellUser)
	serve(t, New(authors), write{operation: admission.Delete, resource: "namespaces", namespace: "shop", name: "shop", status: 200, user: "alice"})
	if got := authors.Of(attribution.Key{GroupResource: schema.GroupResource{Resource: "namespaces"}, Name: "shop"}); got.User != "alice" {
		t.Error(got)
	}
}

// A request that panics has not written.
func TestPanic(t *testing.T) {
	authors := attribution.NewAuthors(attribution.TellUser)
	rec := New(authors)
	w := write{operation: admission.Update, resource: "pods", namespace: "ns", name: "x", user: "alice"}
	handler := rec.Filter(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = rec.Admission(nil).(admission.ValidationInterface).Validate(r.Context(), w.attributes(), nil)
		panic(http.ErrAbortHandler)
	}))
	func() {
		defer func() { _ = recover() }()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPatch, "/", nil))
	}()
	if got := authors.Of(keyOf(w.attributes())); got != (attribution.Author{}) {
		t.Error(got)
	}
}

// Admission goes on as it was, for the operations that it handled.
func TestAdmissionGoesOn(t *testing.T) {
	in := &inner{}
	a := New(attribution.NewAuthors(attribution.TellUser)).Admission(in)
	for _, operation := range []admission.Operation{admission.Create, admission.Update} {
		attributes := write{operation: operation, user: "alice"}.attributes()
		if !a.Handles(operation) || a.(admission.MutationInterface).Admit(t.Context(), attributes, nil) != nil ||
			a.(admission.ValidationInterface).Validate(t.Context(), attributes, nil) != nil {
			t.Error(operation)
		}
	}
	if in.admitted != 1 || in.validated != 1 || a.Handles(admission.Connect) {
		t.Errorf("%+v", in)
	}
}

// What flushes goes on flushing: a watch in the answer to a write does not stall.
func TestFlush(t *testing.T) {
	rec := New(attribution.NewAuthors(attribution.TellUser))
	s := httptest.NewServer(rec.Filter(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Flusher); !ok {
			w.WriteHeader(http.StatusTeapot)
		}
	})))
	defer s.Close()
	resp, err := http.Post(s.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}
