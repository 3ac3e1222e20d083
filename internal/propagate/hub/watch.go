package hub

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/watch"
)

// sink takes in what a watch says. Its methods are called one at a time.
type sink interface {
	// replace is all there is, at the start and after a watch was lost.
	replace(objs []*unstructured.Unstructured)
	apply(obj *unstructured.Unstructured)
	remove(obj *unstructured.Unstructured)
}

// follow lists and watches a resource until ctx ends, through whatever happens to the connection.
func (w *Watcher) follow(ctx context.Context, gvr schema.GroupVersionResource, name string, into sink) {
	type object = *unstructured.Unstructured
	watch.Run(ctx, watch.Resource[object, object]{
		Name:   "hub/" + name,
		Source: watch.REST[object]{Client: w.hub, Path: watch.Path(gvr, ""), Format: watch.Unstructured()},
		Trim:   watch.Whole[object],
		Into:   watch.Sink[object]{Replace: into.replace, Apply: into.apply, Remove: into.remove},
		Clock:  w.clock,
	})
}
