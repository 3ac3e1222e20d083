package endpoint

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

// Events writes events about objects to the member. Events are aggregated and rate-limited, and lost rather than waited
// for. It takes two goroutines and some memory from the first event on. Without a client it tells nobody.
type Events struct {
	cfg    *rest.Config
	client *http.Client

	mu          sync.Mutex
	over        bool
	broadcaster kuberecord.EventBroadcaster
	recorder    kuberecord.EventRecorder
}

// Connect gives it its way to the member.
func (s *Events) Connect(cfg *rest.Config, client *http.Client) { s.cfg, s.client = cfg, client }

// Begun says whether there was an event.
func (s *Events) Begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broadcaster != nil
}

// Tell makes an event.
func (s *Events) Tell(about *corev1.ObjectReference, eventType, reason, message string) {
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
	if s.client == nil || s.over {
		return
	}
	client, err := typedcorev1.NewForConfigAndClient(s.cfg, s.client)
	if err != nil {
		return // the member's other clients are made of the same
	}
	s.broadcaster = kuberecord.NewBroadcaster()
	s.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.Events("")})
	s.recorder = s.broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: v1alpha1.FieldManager})
}

// Stop ends it. What is told later is lost.
func (s *Events) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.broadcaster != nil {
		s.broadcaster.Shutdown()
	}
}
