package hub

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	"github.com/hanse-dev/hanse/internal/reading"
)

// sink takes in what a watch says. Its methods are called one at a time.
type sink interface {
	// replace is all there is, at the start and after a watch was lost.
	replace(objs []*unstructured.Unstructured)
	apply(obj *unstructured.Unstructured)
	remove(obj *unstructured.Unstructured)
}

// follow lists and watches a resource until ctx ends, through whatever happens to the connection.
func follow(ctx context.Context, client dynamic.ResourceInterface, name string, into sink) {
	reading.Follow(ctx, reading.Resource{
		Name: "hub/" + name,
		Source: &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return client.Watch(ctx, o)
			},
		},
		Example: &unstructured.Unstructured{},
		Into:    store{into},
	})
}

// store makes a sink of what a Reflector expects.
type store struct{ sink sink }

func (s store) Add(obj any) error {
	s.sink.apply(obj.(*unstructured.Unstructured))
	return nil
}

func (s store) Update(obj any) error {
	s.sink.apply(obj.(*unstructured.Unstructured))
	return nil
}

func (s store) Delete(obj any) error {
	s.sink.remove(obj.(*unstructured.Unstructured))
	return nil
}

func (s store) Replace(list []any, _ string) error {
	objs := make([]*unstructured.Unstructured, len(list))
	for i, obj := range list {
		objs[i] = obj.(*unstructured.Unstructured)
	}
	s.sink.replace(objs)
	return nil
}

func (s store) Resync() error { return nil }
