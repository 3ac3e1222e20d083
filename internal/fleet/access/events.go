package access

import (
	"net/http"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	kuberecord "k8s.io/client-go/tools/record"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Events writes events about objects to a member. Events are aggregated and rate-limited, and lost rather than waited
// for. It takes two goroutines and some memory from the first event on. Without a client it tells nobody.
type Events struct {
	Config *rest.Config
	Client *http.Client

	mu          sync.Mutex
	over        bool
	broadcaster kuberecord.EventBroadcaster
	recorder    kuberecord.EventRecorder
}

// Event tells of something about an object. It does not block.
func (s *Events) Event(about *corev1.ObjectReference, eventType, reason, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recorder == nil {
		s.begin()
	}
	if s.recorder != nil && !s.over {
		s.recorder.Event(about, eventType, reason, message)
	}
}

func (s *Events) begin() {
	if s.Client == nil || s.over {
		return
	}
	client, err := typedcorev1.NewForConfigAndClient(s.Config, s.Client)
	if err != nil {
		return // the member's other clients are made of the same
	}
	s.broadcaster = kuberecord.NewBroadcaster()
	s.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.Events("")})
	s.recorder = s.broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: v1alpha1.FieldManager})
}

// Began says whether anything has been told.
func (s *Events) Began() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broadcaster != nil
}

// Stop ends it: nothing is told any more.
func (s *Events) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.broadcaster != nil {
		s.broadcaster.Shutdown()
	}
}
