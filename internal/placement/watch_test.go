package placement_test

import (
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func client(t *testing.T, source *memory) dynamic.NamespaceableResourceInterface {
	t.Helper()
	return dynamic.NewForConfigOrDie(serve(t, source, "anna")).Resource(v1alpha1.Resource("placements"))
}

// next is the next event, as TYPE name ready.
func next(t *testing.T, w watch.Interface) (string, *unstructured.Unstructured) {
	t.Helper()
	select {
	case event, ok := <-w.ResultChan():
		if !ok {
			t.Fatal("the watch has ended")
		}
		object, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			t.Fatalf("%s: %v", event.Type, apierrors.FromObject(event.Object))
		}
		ready, _, _ := unstructured.NestedString(object.Object, "summary", "ready")
		return string(event.Type) + " " + object.GetName() + " " + ready, object
	case <-time.After(patience):
		t.Fatal("no event")
		return "", nil
	}
}

func expect(t *testing.T, w watch.Interface, want ...string) {
	t.Helper()
	for _, s := range want {
		if got, _ := next(t, w); got != s {
			t.Fatalf("got %q, want %q", got, s)
		}
	}
}

func TestWatchFromList(t *testing.T) {
	source := threeWhoamis()
	c := client(t, source)
	list, err := c.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// What happens between list and watch is not lost.
	source.set(whoami("shop", "a", "3/3"))
	source.remove("shop", "b")
	w, err := c.Namespace("shop").Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	expect(t, w, "MODIFIED deployments.apps.a 3/3", "DELETED deployments.apps.b ")
	source.set(whoami("bank", "c", "3/3")) // another namespace
	source.set(whoami("shop", "d", "0/3"))
	source.remove("shop", "a")
	expect(t, w, "ADDED deployments.apps.d 0/3", "DELETED deployments.apps.a 3/3")
}

func TestWatchFromListWithNoticeToCome(t *testing.T) {
	source := threeWhoamis()
	c := client(t, source)
	list, err := c.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Gone before the watch begins, and told only after it.
	key := source.removeQuietly("shop", "b")
	w, err := c.Namespace("shop").Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	source.notify(key)
	expect(t, w, "DELETED deployments.apps.b ")
}

func TestWatchResumesAfterEachEvent(t *testing.T) {
	source := newMemory()
	c := client(t, source)
	list, err := c.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"a", "b", "c"}
	for _, name := range names {
		source.set(whoami("shop", name, "0/3"))
	}
	version := list.GetResourceVersion()
	for _, name := range names {
		w, err := c.Watch(t.Context(), metav1.ListOptions{ResourceVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		event, object := next(t, w)
		w.Stop()
		if want := "MODIFIED deployments.apps." + name + " 0/3"; event != want {
			t.Fatalf("got %q, want %q", event, want)
		}
		version = object.GetResourceVersion()
	}
}

func TestWatchFromNowhere(t *testing.T) {
	source := newMemory(whoami("shop", "a", "0/3"), whoami("shop", "b", "0/3"))
	c := client(t, source)
	w, err := c.Watch(t.Context(), metav1.ListOptions{LabelSelector: "app=b"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	expect(t, w, "ADDED deployments.apps.b 0/3")
	// It leaves the selection, and comes back.
	changed := whoami("shop", "b", "1/3")
	changed.Labels = nil
	source.set(changed)
	expect(t, w, "DELETED deployments.apps.b 0/3")
	source.set(whoami("shop", "b", "2/3"))
	expect(t, w, "ADDED deployments.apps.b 2/3")
}

func TestWatchList(t *testing.T) {
	source := newMemory(whoami("shop", "a", "0/3"))
	yes := true
	w, err := client(t, source).Watch(t.Context(), metav1.ListOptions{
		SendInitialEvents: &yes, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	expect(t, w, "ADDED deployments.apps.a 0/3")
	event, mark := next(t, w)
	if event != "BOOKMARK  " || mark.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" || mark.GetResourceVersion() == "" {
		t.Errorf("got %s with %v", event, mark.Object)
	}
	source.set(whoami("shop", "a", "1/3"))
	expect(t, w, "MODIFIED deployments.apps.a 1/3")
}

func TestWatchFromAnotherLife(t *testing.T) {
	c := client(t, threeWhoamis())
	for _, version := range []string{"1", "99999999999999999"} {
		w, err := c.Watch(t.Context(), metav1.ListOptions{ResourceVersion: version})
		if err == nil {
			w.Stop()
		}
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			t.Errorf("from %s: %v", version, err)
		}
	}
	if _, err := c.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "x"}); !apierrors.IsBadRequest(err) && !apierrors.IsInvalid(err) {
		t.Errorf("from x: %v", err)
	}
}

func TestWatchTimesOut(t *testing.T) {
	second := int64(1)
	w, err := client(t, newMemory()).Watch(t.Context(), metav1.ListOptions{TimeoutSeconds: &second})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case _, ok := <-w.ResultChan():
		if ok {
			t.Error("an event of nothing")
		}
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

// An informer is what most clients are; it ends with what the Source has.
func TestInformer(t *testing.T) {
	source := threeWhoamis()
	factory := dynamicinformer.NewDynamicSharedInformerFactory(dynamic.NewForConfigOrDie(serve(t, source, "anna")), 0)
	informer := factory.ForResource(v1alpha1.Resource("placements")).Informer()
	changed := make(chan struct{}, 100)
	note := func() { changed <- struct{}{} }
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { note() }, UpdateFunc: func(any, any) { note() }, DeleteFunc: func(any) { note() },
	}); err != nil {
		t.Fatal(err)
	}
	factory.Start(t.Context().Done())
	if !cache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
		t.Fatal("not synced")
	}
	source.remove("shop", "a")
	source.set(whoami("shop", "b", "1/3"))
	deadline := time.After(patience)
	for {
		_, a, _ := informer.GetStore().GetByKey("shop/deployments.apps.a")
		b, there, _ := informer.GetStore().GetByKey("shop/deployments.apps.b")
		ready := ""
		if there {
			ready, _, _ = unstructured.NestedString(b.(*unstructured.Unstructured).Object, "summary", "ready")
		}
		if !a && ready == "1/3" {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("a there: %v, b: %s", a, ready)
		}
	}
}
