package propagate

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	kuberecord "k8s.io/client-go/tools/record"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Reasons of events.
const (
	reasonDrift       = "DriftCorrected"
	reasonRestored    = "Restored"
	reasonConflict    = "Conflict"
	reasonAdopted     = "Adopted"
	reasonOverwritten = "Overwritten"
	reasonFollowed    = "ReplicasFollowed"
	reasonKept        = "Kept"
	reasonDropped     = "FieldsDropped"
)

// eventSink writes events about objects to one API server. Events are
// aggregated and rate-limited, and lost rather than waited for. The zero eventSink
// has no server and tells nobody.
type eventSink struct {
	broadcaster kuberecord.EventBroadcaster
	recorder    kuberecord.EventRecorder
}

func newEventSink(client typedcorev1.EventsGetter) eventSink {
	b := kuberecord.NewBroadcaster()
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.Events("")})
	return eventSink{broadcaster: b, recorder: b.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: v1alpha1.FieldManager})}
}

func (s eventSink) event(about *corev1.ObjectReference, kind, reason, message string) {
	if s.recorder == nil {
		return
	}
	s.recorder.Event(about, kind, reason, message)
}

func (s eventSink) stop() { s.broadcaster.Shutdown() }
