package placement

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/metrics"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

const plural = "placements"

// watchTimeout bounds a watch that asks for no limit of its own; the handlers add up to as much again at random.
const watchTimeout = 30 * time.Minute

// Filter answers requests for Placements and passes all others on. It belongs inside authentication and authorization.
// While source returns nil, reads are answered with 503. The first Source that it returns is followed for the rest of
// the process's life, from the first time that somebody reads a Placement.
//
// The controllers of kube-controller-manager see no Placements, and may delete all these: they collect, count and delete
// what is stored, and none of these is. A Namespace whose objects still have Placements would not go otherwise.
func Filter(source func() Source, clock clock.PassiveClock) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		scope, err := newScope()
		if err != nil {
			return failing(err, next)
		}
		nothing := newJournal(context.Background(), emptySource{}, clock.Now())
		return &filter{next: next, source: source, clock: clock, scope: scope, nothing: nothing}
	}
}

type filter struct {
	next    http.Handler
	source  func() Source
	clock   clock.PassiveClock
	scope   *handlers.RequestScope
	nothing *journal

	mu      sync.Mutex
	journal *journal // of the first Source, nil until somebody has read
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	info, ok := request.RequestInfoFrom(r.Context())
	if !ok || !ours(info) {
		f.next.ServeHTTP(w, r)
		return
	}
	metrics.InstrumentHandlerFunc(strings.ToUpper(info.Verb), info.APIGroup, info.APIVersion, info.Resource, "",
		metrics.CleanScope(info), metrics.APIServerComponent, false, "", f.handler(info, r)).ServeHTTP(w, r)
}

// ours tells whether a request is for Placements. What no kind of a namespaced resource answers is left to the API
// server: subresources, and a name without a namespace.
func ours(info *request.RequestInfo) bool {
	gv := v1alpha1.GroupVersion()
	return info.IsResourceRequest && info.APIGroup == gv.Group && info.APIVersion == gv.Version &&
		info.Resource == plural && info.Subresource == "" && (info.Verb != "get" || info.Namespace != "")
}

func (f *filter) handler(info *request.RequestInfo, r *http.Request) http.HandlerFunc {
	collector := isCollector(r)
	switch info.Verb {
	case "get", "list", "watch":
	case "deletecollection":
		if collector {
			s := storage{journal: f.nothing, TableConvertor: f.scope.TableConvertor}
			return handlers.ListResource(s, s, f.scope, false, watchTimeout)
		}
		return f.refuse(readOnly())
	default:
		return f.refuse(readOnly())
	}
	s := storage{journal: f.nothing, TableConvertor: f.scope.TableConvertor}
	if !collector {
		if s.journal = f.current(); s.journal == nil {
			return f.refuse(starting())
		}
	}
	if info.Verb == "get" {
		return handlers.GetResource(s, f.scope)
	}
	return handlers.ListResource(s, s, f.scope, info.Verb == "watch", watchTimeout)
}

// current is the journal of the Source, nil while there is none.
func (f *filter) current() *journal {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.journal == nil {
		if source := f.source(); source != nil {
			f.journal = newJournal(context.Background(), source, f.clock.Now())
		}
	}
	return f.journal
}

func (f *filter) refuse(err error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		responsewriters.ErrorNegotiated(err, f.scope.Serializer, v1alpha1.GroupVersion(), w, r)
	}
}

// isCollector tells whether kube-controller-manager asks, under its own name or one of its controllers'.
func isCollector(r *http.Request) bool {
	who, ok := request.UserFrom(r.Context())
	if !ok {
		return false
	}
	switch who.GetName() {
	case user.KubeControllerManager,
		"system:serviceaccount:kube-system:namespace-controller",
		"system:serviceaccount:kube-system:generic-garbage-collector",
		"system:serviceaccount:kube-system:resourcequota-controller":
		return true
	}
	return false
}

func readOnly() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure,
		Code:   http.StatusMethodNotAllowed,
		Reason: metav1.StatusReasonMethodNotAllowed,
		Message: "Placements are computed when they are read and cannot be written. " +
			"Try: change or delete the object itself; its Placement follows",
	}}
}

func starting() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusServiceUnavailable,
		Reason:  metav1.StatusReasonServiceUnavailable,
		Message: "the hub is starting and does not know yet what is where. Try: again in a second",
		Details: &metav1.StatusDetails{RetryAfterSeconds: 1},
	}}
}

// failing answers requests for Placements with an internal error.
func failing(err error, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if info, ok := request.RequestInfoFrom(r.Context()); !ok || !ours(info) {
			next.ServeHTTP(w, r)
			return
		}
		http.Error(w, err.Error(), http.StatusInternalServerError)
	})
}

// emptySource has no Placements and never will.
type emptySource struct{}

func (emptySource) List(string) []v1alpha1.Placement              { return nil }
func (emptySource) Get(string, string) (v1alpha1.Placement, bool) { return v1alpha1.Placement{}, false }
func (emptySource) Subscribe(context.Context) <-chan types.NamespacedName {
	none := make(chan types.NamespacedName)
	close(none)
	return none
}
