package capacity

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/internal/guard"
)

// slimPod is a pod between the wire and the state: what is not kept is let go
// of page by page, so that a member's pods are never all in memory as they are.
type slimPod struct {
	metav1.TypeMeta
	metav1.ObjectMeta // name, namespace, resource version
	pod
	counts bool
}

// DeepCopyObject is asked for by runtime.Object. Nobody modifies one.
func (p *slimPod) DeepCopyObject() runtime.Object { out := *p; return &out }

func slim(p *corev1.Pod) *slimPod {
	out := &slimPod{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, UID: p.UID,
		ResourceVersion: p.ResourceVersion, Annotations: bookmarks(p.Annotations)}}
	out.pod, out.counts = readPod(p)
	return out
}

// bookmarks keeps the annotation by which an API server ends a streamed list.
func bookmarks(annotations map[string]string) map[string]string {
	if value, ok := annotations[metav1.InitialEventsAnnotationKey]; ok {
		return map[string]string{metav1.InitialEventsAnnotationKey: value}
	}
	return nil
}

// slimPods is a list of them.
type slimPods struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []slimPod
}

// DeepCopyObject is asked for by runtime.Object. Nobody modifies one.
func (l *slimPods) DeepCopyObject() runtime.Object { out := *l; return &out }

func listPods(ctx context.Context, client kubernetes.Interface, o metav1.ListOptions) (runtime.Object, error) {
	list, err := client.CoreV1().Pods("").List(ctx, o)
	if err != nil {
		return nil, err
	}
	out := &slimPods{ListMeta: list.ListMeta, Items: make([]slimPod, len(list.Items))}
	for i := range list.Items {
		out.Items[i] = *slim(&list.Items[i])
	}
	return out, nil
}

func watchPods(ctx context.Context, client kubernetes.Interface, o metav1.ListOptions) (watch.Interface, error) {
	w, err := client.CoreV1().Pods("").Watch(ctx, o)
	if err != nil {
		return nil, err
	}
	return watch.Filter(w, func(in watch.Event) (out watch.Event, keep bool) {
		out = in
		// The filter has a goroutine of its own: nobody else would catch a panic there.
		err := guard.Run(func() error {
			if p, ok := in.Object.(*corev1.Pod); ok {
				out.Object = slim(p)
			}
			return nil
		})
		if err != nil {
			out = watch.Event{Type: watch.Error, Object: &apierrors.NewInternalError(err).ErrStatus}
		}
		return out, true
	}), nil
}
