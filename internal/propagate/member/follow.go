package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/limits"
	"github.com/hanse-dev/hanse/internal/propagate/endpoint"
	"github.com/hanse-dev/hanse/internal/watch"
)

// into takes in what a watch says. Its methods are called one at a time.
type into interface {
	// replace is all there is, as of a version, at the start and after a watch was lost.
	replace(objs []*unstructured.Unstructured, version uint64)
	apply(obj *unstructured.Unstructured)
	remove(obj *unstructured.Unstructured)
}

// followed is a resource that a session watches.
type followed struct {
	name      string
	gvr       schema.GroupVersionResource
	namespace string // empty: all
	labels    string
	cut       func(*unstructured.Unstructured) // takes out of an object what is not needed
	into      into
	known     func(watch.Head) bool // see watch.REST; nil: nothing is
	told      func(error)
	absent    time.Duration // see watch.Resource
}

// follow watches a resource of the member until ctx ends, through whatever happens to the connection. A resource that is too
// large ends the session.
func (s *session) follow(ctx context.Context, f followed) {
	type object = *unstructured.Unstructured
	delays, _ := s.member.clock.(clock.WithDelayedExecution) // which clocks are, also those of tests
	source := &endpoint.Versioned{REST: watch.REST[object]{Client: s.watches, Path: watch.Path(f.gvr, f.namespace), Format: watch.Unstructured(), Known: f.known}}
	watch.Run(ctx, watch.Resource[object, object]{
		Name:   s.member.name + "/" + f.name,
		Source: source,
		Labels: f.labels,
		Trim: func(obj object) object {
			f.cut(obj)
			return obj
		},
		Weigh:  weigh,
		Limits: s.member.options.Limits,
		Pages:  s.pages,
		Into: watch.Sink[object]{
			Replace: func(objs []object) { f.into.replace(objs, source.Version) },
			Apply:   f.into.apply, Remove: f.into.remove,
		},
		Absent: f.absent,
		Told: func(err error) {
			var large *limits.TooLarge
			var many *limits.Exceeded
			switch {
			case errors.As(err, &large):
				s.exceed(err)
			case errors.As(err, &many):
				s.exceed(fmt.Errorf("one list of the member has %w", err))
			}
			f.told(err)
		},
		Clock: delays,
	})
}
