package capacity

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/watch/watchtest"
)

// patience is for what takes a moment on an idle machine.
const patience = time.Minute

// heard waits until a cluster is told of and its View is as wanted.
func heard(t *testing.T, w *Watcher, told <-chan string, wanted func(*View) bool) *View {
	t.Helper()
	timeout := time.After(patience)
	for {
		if v := w.View("aws"); v != nil && wanted(v) {
			return v
		}
		select {
		case name := <-told:
			if name != "aws" {
				t.Fatalf("told of %s", name)
			}
		case <-timeout:
			t.Fatalf("it is not told of: %+v", w.View("aws"))
		}
	}
}

const (
	nodesPath   = "/api/v1/nodes"
	podsPath    = "/api/v1/pods"
	volumesPath = "/api/v1/persistentvolumes"
)

// member is an API server with a node and a pod.
func member(t *testing.T) *watchtest.Server {
	s := watchtest.New(t)
	s.Serve(nodesPath, "v1", "Node")
	s.Serve(podsPath, "v1", "Pod")
	s.Serve(volumesPath, "v1", "PersistentVolume")
	s.Put(nodesPath, exampleNode(0))
	s.Put(podsPath, examplePod(1, 1))
	s.Put(volumesPath, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}})
	return s
}

func TestWatcher(t *testing.T) {
	s := member(t)
	told := make(chan string, 100)
	w := New(func(cluster string) { told <- cluster }, clock.RealClock{})
	ctx, away := context.WithCancel(t.Context())
	defer away()
	w.Engage(ctx, "aws", s.Config())
	if lists, _ := s.Asked(podsPath); lists > 0 || w.View("aws") != nil {
		t.Fatalf("nobody wants it, and there are %d lists", lists)
	}
	w.Want()
	first := heard(t, w, told, func(v *View) bool { return v.Nodes() == 1 && v.Count("deployments.apps/shop/web-0") == 1 })
	if first.Volumes() {
		t.Error("nobody wants volumes, and they have been read")
	}
	w.WantVolumes()
	heard(t, w, told, (*View).Volumes)
	s.Put(podsPath, examplePod(2, 1))
	heard(t, w, told, func(v *View) bool { return v.Count("deployments.apps/shop/web-0") == 2 })
	s.Delete(podsPath, examplePod(2, 1))
	s.Put(nodesPath, exampleNode(1))
	heard(t, w, told, func(v *View) bool { return v.Count("deployments.apps/shop/web-0") == 1 && v.Nodes() == 2 })
	s.Delete(nodesPath, exampleNode(1))
	last := heard(t, w, told, func(v *View) bool { return v.Nodes() == 1 })
	away()
	if w.View("aws") != last {
		t.Error("what was known of a member that is away is lost")
	}
	w.Forget("aws")
	if w.View("aws") != nil {
		t.Error("a member that left is remembered")
	}
}

// TestVolumes: those that are bound are known, by what binds them, and none that has gone.
func TestVolumes(t *testing.T) {
	s := member(t)
	told := make(chan string, 100)
	w := New(func(cluster string) { told <- cluster }, clock.RealClock{})
	w.Engage(t.Context(), "aws", s.Config())
	w.WantVolumes()
	bound := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "bound"}}
	bound.Spec.ClaimRef, bound.Status.Phase = &corev1.ObjectReference{Namespace: "shop", Name: "data"}, corev1.VolumeBound
	known := func(v *View) bool { return len(v.volumes) == 1 }
	s.Put(volumesPath, bound)
	heard(t, w, told, known)
	s.Delete(volumesPath, bound)
	heard(t, w, told, func(v *View) bool { return v.Volumes() && !known(v) })
}

// TestWhatCannotBeReadIsSaid: what is known of a member's pods stays, and is said to be
// old.
func TestWhatCannotBeReadIsSaid(t *testing.T) {
	s := member(t)
	told := make(chan string, 100)
	w := New(func(cluster string) { told <- cluster }, clock.RealClock{})
	ctx, away := context.WithCancel(t.Context())
	w.Engage(ctx, "aws", s.Config())
	w.Want()
	known := heard(t, w, told, func(*View) bool { return true })
	if unread := w.Unread("aws"); len(unread) > 0 {
		t.Errorf("all is read, and it says %v", unread)
	}
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no right"))
	s.Fail(podsPath, forbidden)
	s.Cut()
	eventually(t, "that pods cannot be read", func() bool { return apierrors.IsForbidden(w.Unread("aws")["pods"]) })
	if w.View("aws") != known || len(w.Unread("aws")) != 1 {
		t.Errorf("more is lost: %v", w.Unread("aws"))
	}
	s.Fail(podsPath, nil)
	eventually(t, "that pods can be read", func() bool { return len(w.Unread("aws")) == 0 })
	s.Fail(podsPath, forbidden)
	s.Cut()
	eventually(t, "that pods cannot be read", func() bool { return len(w.Unread("aws")) == 1 })
	away()
	eventually(t, "nothing of a member that is away", func() bool { return len(w.Unread("aws")) == 0 })
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, patience, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("it is not said: %s", what)
	}
}
