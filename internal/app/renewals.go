package app

import (
	"context"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	kuberecord "k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/trouble"
)

// Reasons of events about certificates, on the Namespace of the hub itself.
const (
	reasonRenewed    = "CertificateRenewed"
	reasonNotRenewed = "CertificateNotRenewed"
)

// renewals tell of certificates that were renewed, and of those that could not be. Until record is called they tell nobody:
// what a start makes is no news.
type renewals struct {
	recorder atomic.Pointer[kuberecord.EventRecorder]
	log      atomic.Pointer[klog.Logger]
	failing  trouble.Log[string]
}

// record has events recorded at the hub until ctx ends.
func (r *renewals) record(ctx context.Context, hub *rest.Config) error {
	client, err := kubernetes.NewForConfig(hub)
	if err != nil {
		return err
	}
	broadcaster := kuberecord.NewBroadcaster(kuberecord.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	context.AfterFunc(ctx, broadcaster.Shutdown)
	recorder := kuberecord.EventRecorder(broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: v1alpha1.FieldManager}))
	log := klog.FromContext(ctx)
	r.log.Store(&log)
	r.recorder.Store(&recorder)
	return nil
}

// told is controlplane.Config.Renewed.
func (r *renewals) told(names []string, err error) {
	recorder, log := r.recorder.Load(), r.log.Load()
	if recorder == nil {
		return
	}
	about := &corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: v1alpha1.SystemNamespace, Namespace: v1alpha1.SystemNamespace}
	if len(names) > 0 {
		log.Info("Certificates were renewed", "names", names)
		(*recorder).Eventf(about, corev1.EventTypeNormal, reasonRenewed, "renewed: %s", strings.Join(names, ", "))
	}
	if err != nil {
		r.failing.Failed(*log, "", err, "Certificates could not be renewed")
		(*recorder).Event(about, corev1.EventTypeWarning, reasonNotRenewed, err.Error())
		return
	}
	r.failing.Worked(*log, "", "Certificates can be renewed again")
}
