package hub

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	kuberecord "k8s.io/client-go/tools/record"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

// Events writes events about the hub's objects. They are aggregated and rate-limited, and lost rather than waited for.
type Events struct {
	broadcaster kuberecord.EventBroadcaster
	recorder    kuberecord.EventRecorder
}

// NewEvents begins to write events. Stop ends it.
func NewEvents(client typedcorev1.EventsGetter) *Events {
	b := kuberecord.NewBroadcaster()
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.Events("")})
	return &Events{broadcaster: b, recorder: b.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: v1alpha1.FieldManager})}
}

// Tell makes an event. It does not block.
func (e *Events) Tell(t decide.Event) {
	about := &corev1.ObjectReference{
		APIVersion: t.Template.GVK.GroupVersion().String(), Kind: t.Template.GVK.Kind,
		Namespace: t.Template.Key.Namespace, Name: t.Template.Key.Name, UID: t.Template.UID,
	}
	e.recorder.Event(about, t.Type, t.Reason, t.Message)
}

// Stop ends it; what has not been written is lost.
func (e *Events) Stop() { e.broadcaster.Shutdown() }
