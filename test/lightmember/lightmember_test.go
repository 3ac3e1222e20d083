package lightmember

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// about serves Namespaces, ConfigMaps and Deployments.
func about() About {
	return About{
		Version: json.RawMessage(`{"gitVersion":"v1.37.1"}`),
		API: json.RawMessage(`{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[{"metadata":{"name":""},"versions":[{"version":"v1","resources":[
			{"resource":"namespaces","responseKind":{"group":"","version":"v1","kind":"Namespace"},"scope":"Cluster","singularResource":"namespace","verbs":["create","delete","get","list","patch","update","watch"]},
			{"resource":"configmaps","responseKind":{"group":"","version":"v1","kind":"ConfigMap"},"scope":"Namespaced","singularResource":"configmap","verbs":["create","delete","get","list","patch","update","watch"]}]}]}]}`),
		APIs: json.RawMessage(`{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[{"metadata":{"name":"apps"},"versions":[{"version":"v1","resources":[
			{"resource":"deployments","responseKind":{"group":"apps","version":"v1","kind":"Deployment"},"scope":"Namespaced","singularResource":"deployment","verbs":["create","delete","get","list","patch","update","watch"]}]}]}]}`),
	}
}

func start(t *testing.T) (*Fleet, *rest.Config) {
	t.Helper()
	dir := t.TempDir()
	f, err := New(dir, about(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Listen(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return f, &rest.Config{Host: f.Clusters[0].Endpoint, BearerToken: "any", TLSClientConfig: rest.TLSClientConfig{CAData: f.CA}, QPS: -1}
}

func configMap(name string, labels map[string]string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"key": "value"}}}
	obj.SetName(name)
	obj.SetLabels(labels)
	return obj
}

func TestDiscovery(t *testing.T) {
	_, cfg := start(t)
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range lists {
		for _, r := range l.APIResources {
			names = append(names, l.GroupVersion+"/"+r.Name)
		}
	}
	slices.Sort(names)
	if want := []string{"apps/v1/deployments", "v1/configmaps", "v1/namespaces"}; !slices.Equal(names, want) {
		t.Errorf("served: %v, want %v", names, want)
	}
}

// A reflector's store equals what a selector chooses, through objects that come, change, stop matching and go.
func TestReflector(t *testing.T) {
	_, cfg := start(t)
	client := dynamic.NewForConfigOrDie(cfg).Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("default")
	store := cache.NewStore(cache.MetaNamespaceKeyFunc)
	reflector := cache.NewReflectorWithOptions(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = "mine=true"
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = "mine=true"
			return client.Watch(ctx, o)
		},
	}, &unstructured.Unstructured{}, store, cache.ReflectorOptions{})
	mine := map[string]string{"mine": "true"}
	create := func(name string, labels map[string]string) *unstructured.Unstructured {
		made, err := client.Create(t.Context(), configMap(name, labels), metav1.CreateOptions{FieldManager: "tester"})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	create("before", mine)
	go reflector.RunWithContext(t.Context())
	expect(t, store, "default/before")
	made := create("after", mine)
	create("other", nil)
	expect(t, store, "default/after", "default/before")
	if entries := made.GetManagedFields(); len(entries) != 1 || entries[0].Manager != "tester" || made.GetGeneration() != 1 {
		t.Errorf("managedFields %v, generation %d", entries, made.GetGeneration())
	}
	patch := []byte(`{"metadata":{"labels":{"mine":null}}}`)
	if _, err := client.Patch(t.Context(), "before", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, store, "default/after")
	wrong := types.UID("wrong")
	err := client.Delete(t.Context(), "after", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}})
	if !apierrors.IsConflict(err) {
		t.Errorf("a deletion of another object: %v, want a conflict", err)
	}
	if err := client.Delete(t.Context(), "after", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, store)
}

// expect waits until the store has these keys and no others.
func expect(t *testing.T, store cache.Store, want ...string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		keys := store.ListKeys()
		slices.Sort(keys)
		if slices.Equal(keys, want) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the store has %v, want %v", keys, want)
		}
	}
}

// Who measures sees which members have an object; a member that hangs has none.
func TestHangAndAwait(t *testing.T) {
	f, cfg := start(t)
	f.Hang(1)
	f.Expect(Object{Resource: "configmaps", Namespace: "default", Name: "it"})
	for i, c := range f.Clusters {
		to := rest.CopyConfig(cfg)
		to.Host = c.Endpoint
		client := dynamic.NewForConfigOrDie(to).Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("default")
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := client.Create(ctx, configMap("it", nil), metav1.CreateOptions{})
		cancel()
		if (err == nil) != (i == 1) {
			t.Errorf("member %d, of which the first hangs: %v", i, err)
		}
	}
	if at, err := f.Await(t.Context(), 1); err != nil || len(at) != 1 {
		t.Errorf("one has it: %v, %v", at, err)
	}
	f.Hang(0)
	if err := dynamicGet(t.Context(), cfg); !apierrors.IsNotFound(err) {
		t.Errorf("the first answers again: %v, want not found", err)
	}
}

func dynamicGet(ctx context.Context, cfg *rest.Config) error {
	_, err := dynamic.NewForConfigOrDie(cfg).Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).
		Namespace("default").Get(ctx, "it", metav1.GetOptions{})
	return err
}

// Typed clients write protobuf.
func TestTypedClient(t *testing.T) {
	_, cfg := start(t)
	cfg.ContentType = runtime.ContentTypeProtobuf
	client := kubernetes.NewForConfigOrDie(cfg).CoreV1().ConfigMaps("default")
	made, err := client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "it"}, Data: map[string]string{"a": "b"}}, metav1.CreateOptions{})
	if err != nil || made.Data["a"] != "b" || made.UID == "" {
		t.Errorf("made: %v, %v", made, err)
	}
}

func TestPages(t *testing.T) {
	_, cfg := start(t)
	client := dynamic.NewForConfigOrDie(cfg).Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("default")
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if _, err := client.Create(t.Context(), configMap(name, nil), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for o := (metav1.ListOptions{Limit: 2}); ; {
		page, err := client.List(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			names = append(names, item.GetName())
		}
		if o.Continue = page.GetContinue(); o.Continue == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("the pages have %v", names)
	}
}
