package capacity

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
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

// watching is closed once pods are watched: before that the client would not tell of one.
func watching(client *fake.Clientset) <-chan struct{} {
	begun := make(chan struct{})
	once := sync.OnceFunc(func() { close(begun) })
	client.PrependWatchReactor("pods", func(a clienttesting.Action) (bool, watch.Interface, error) {
		w, err := client.Tracker().Watch(a.GetResource(), a.GetNamespace())
		once()
		return true, w, err
	})
	return begun
}

func TestWatcher(t *testing.T) {
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}}
	client := fake.NewClientset(exampleNode(0), examplePod(1, 1), volume)
	begun := watching(client)
	told := make(chan string, 100)
	w := New(func(cluster string) { told <- cluster })
	ctx, away := context.WithCancel(t.Context())
	defer away()
	w.engage(ctx, "aws", func() (kubernetes.Interface, error) { return client, nil })
	if len(client.Actions()) > 0 || w.View("aws") != nil {
		t.Fatalf("nobody wants it, and there is %v", client.Actions())
	}
	w.Want()
	first := heard(t, w, told, func(v *View) bool { return v.Nodes() == 1 && v.Count("deployments.apps/shop/web-0") == 1 })
	if first.Volumes() {
		t.Error("nobody wants volumes, and they have been read")
	}
	w.WantVolumes()
	heard(t, w, told, (*View).Volumes)
	select {
	case <-begun:
	case <-time.After(patience):
		t.Fatal("pods are not watched")
	}
	pods := client.CoreV1().Pods("shop")
	if _, err := pods.Create(ctx, examplePod(2, 1), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	heard(t, w, told, func(v *View) bool { return v.Count("deployments.apps/shop/web-0") == 2 })
	if err := pods.Delete(ctx, examplePod(2, 1).Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	last := heard(t, w, told, func(v *View) bool { return v.Count("deployments.apps/shop/web-0") == 1 })
	away()
	if w.View("aws") != last {
		t.Error("what was known of a member that is away is lost")
	}
	w.Forget("aws")
	if w.View("aws") != nil {
		t.Error("a member that left is remembered")
	}
}

// TestWhatCannotBeReadIsSaid: what is known of a member's pods stays, and is said to be
// old.
func TestWhatCannotBeReadIsSaid(t *testing.T) {
	client := fake.NewClientset(exampleNode(0), examplePod(1, 1))
	var refuse atomic.Bool
	client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		if refuse.Load() {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no right"))
		}
		return false, nil, nil
	})
	open := make(chan watch.Interface, 10)
	client.PrependWatchReactor("pods", func(a clienttesting.Action) (bool, watch.Interface, error) {
		w, err := client.Tracker().Watch(a.GetResource(), a.GetNamespace())
		open <- w
		return true, w, err
	})
	told := make(chan string, 100)
	w := New(func(cluster string) { told <- cluster })
	ctx, away := context.WithCancel(t.Context())
	w.engage(ctx, "aws", func() (kubernetes.Interface, error) { return client, nil })
	w.Want()
	known := heard(t, w, told, func(*View) bool { return true })
	if unread := w.Unread("aws"); len(unread) > 0 {
		t.Errorf("all is read, and it says %v", unread)
	}
	refuse.Store(true)
	(<-open).Stop()
	eventually(t, "that pods cannot be read", func() bool { return apierrors.IsForbidden(w.Unread("aws")["pods"]) })
	if w.View("aws") != known || len(w.Unread("aws")) != 1 {
		t.Errorf("more is lost: %v", w.Unread("aws"))
	}
	refuse.Store(false)
	eventually(t, "that pods can be read", func() bool { return len(w.Unread("aws")) == 0 })
	refuse.Store(true)
	(<-open).Stop()
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
