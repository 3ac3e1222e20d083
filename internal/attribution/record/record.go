// Package record notes which user's request changes which object of an API server.
package record

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"

	"github.com/hanse-dev/hanse/internal/attribution"
)

// Recorder notes writes with Authors: Admission sees them before they are stored, Filter whether they were.
type Recorder struct {
	authors *attribution.Authors
	// components are the users as which the control plane's own parts are known. Their updates follow from others'
	// writes, and leave the author as it is; what they delete, they did.
	components []string
}

// New makes a recorder.
func New(authors *attribution.Authors, components ...string) *Recorder {
	return &Recorder{authors: authors, components: components}
}

// pending are the writes of one request, to be taken back if it fails.
type pending struct {
	mu   sync.Mutex
	undo []func()
}

type pendingKey struct{}

// Filter wraps the API server's handler, inside authentication and authorization.
func (rec *Recorder) Filter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		default:
			next.ServeHTTP(w, r)
			return
		}
		p, status := &pending{}, &statusWriter{ResponseWriter: w}
		defer func() {
			if status.code == 0 || status.code >= 300 { // a panic has no status
				p.takeBack()
			}
		}()
		next.ServeHTTP(responsewriter.WrapForHTTP1Or2(status), r.WithContext(context.WithValue(r.Context(), pendingKey{}, p)))
	})
}

func (p *pending) takeBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, undo := range slices.Backward(p.undo) {
		undo()
	}
}

// statusWriter remembers the status of a response.
type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Admission wraps an API server's admission, which may be nil.
func (rec *Recorder) Admission(inner admission.Interface) admission.Interface {
	return &admitted{inner: inner, rec: rec}
}

// admitted does what inner does, and notes what it lets through.
type admitted struct {
	inner admission.Interface
	rec   *Recorder
}

func (a *admitted) Handles(operation admission.Operation) bool {
	return operation != admission.Connect || a.inner != nil && a.inner.Handles(operation)
}

func (a *admitted) Admit(ctx context.Context, attributes admission.Attributes, o admission.ObjectInterfaces) error {
	inner, ok := a.inner.(admission.MutationInterface)
	if !ok || !inner.Handles(attributes.GetOperation()) {
		return nil
	}
	return inner.Admit(ctx, attributes, o)
}

func (a *admitted) Validate(ctx context.Context, attributes admission.Attributes, o admission.ObjectInterfaces) error {
	if inner, ok := a.inner.(admission.ValidationInterface); ok && inner.Handles(attributes.GetOperation()) {
		if err := inner.Validate(ctx, attributes, o); err != nil {
			return err
		}
	}
	a.rec.note(ctx, attributes)
	return nil
}

// note remembers the author of a write. Outside of Filter, as for the API server's requests to itself, it does not:
// nobody would take it back.
func (rec *Recorder) note(ctx context.Context, a admission.Attributes) {
	p, ok := ctx.Value(pendingKey{}).(*pending)
	if !ok || a.IsDryRun() || a.GetUserInfo() == nil || a.GetSubresource() != "" && a.GetSubresource() != "scale" {
		return
	}
	user := a.GetUserInfo().GetName()
	if a.GetOperation() != admission.Delete && slices.Contains(rec.components, user) {
		return
	}
	id, _ := audit.AuditIDFrom(ctx)
	undo := rec.authors.Wrote(keyOf(a), attribution.Author{User: user, AuditID: string(id)})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.undo = append(p.undo, undo)
}

// keyOf is the object that a request is about. The name of one that is made, or deleted with others, is not in the
// request's path.
func keyOf(a admission.Attributes) attribution.Key {
	key := attribution.Key{GroupResource: a.GetResource().GroupResource(), Namespace: a.GetNamespace(), Name: a.GetName()}
	for _, o := range []runtime.Object{a.GetObject(), a.GetOldObject()} {
		if key.Name == "" && o != nil {
			if accessor, err := meta.Accessor(o); err == nil {
				key.Name = accessor.GetName()
			}
		}
	}
	if key.Group == "" && key.Resource == "namespaces" {
		key.Namespace = metav1.NamespaceNone // the path of one has it as both
	}
	return key
}
