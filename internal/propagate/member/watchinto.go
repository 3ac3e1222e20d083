package member

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/reading"
)

// into takes in what a watch says. Its methods are called one at a time.
type into interface {
	// replace is all there is, as of a version, at the start and after a watch was lost.
	replace(objs []*unstructured.Unstructured, version uint64)
	apply(obj *unstructured.Unstructured)
	remove(obj *unstructured.Unstructured)
}

// watchInto lists and watches a resource until ctx ends, through whatever happens to the connection. labels narrows it;
// empty means all. told hears when that fails for longer than a moment; see reading.Resource.
func watchInto(ctx context.Context, client dynamic.ResourceInterface, name, labels string, into into, told func(error)) {
	reading.Follow(ctx, reading.Resource{
		Name: name,
		Source: &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				o.LabelSelector = labels
				return client.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				o.LabelSelector = labels
				return client.Watch(ctx, o)
			},
		},
		Example: &unstructured.Unstructured{},
		Into:    store{into},
		Told:    told,
	})
}

// store makes an into of what a Reflector expects.
type store struct{ into into }

// Add is a new object.
func (s store) Add(obj any) error {
	s.into.apply(obj.(*unstructured.Unstructured))
	return nil
}

// Update is an object that has changed.
func (s store) Update(obj any) error { return s.Add(obj) }

// Delete is an object that is gone.
func (s store) Delete(obj any) error {
	s.into.remove(obj.(*unstructured.Unstructured))
	return nil
}

// Replace is all there is.
func (s store) Replace(list []any, version string) error {
	objs := make([]*unstructured.Unstructured, len(list))
	for i, obj := range list {
		objs[i] = obj.(*unstructured.Unstructured)
	}
	s.into.replace(objs, template.RevisionOf(version))
	return nil
}

// Resync does nothing.
func (s store) Resync() error { return nil }
