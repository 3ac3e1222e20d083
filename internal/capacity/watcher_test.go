package capacity

import (
	"context"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
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
	w.engage(ctx, "aws", client)
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
