package watch

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// Source lists and watches one resource of one API server.
type Source[O any] interface {
	// List reads one page and hands its objects to each, one after the other; an error of that is returned. A page that is
	// too large is a *limits.TooLarge, and may be found to be so after some of its objects.
	List(ctx context.Context, o metav1.ListOptions, each func(O) error) (metav1.ListMeta, error)
	// Watch returns when the server has begun to watch. The stream ends with ctx.
	Watch(ctx context.Context, o metav1.ListOptions) (Stream[O], error)
}

// Stream is a watch that has begun. It belongs to one goroutine.
type Stream[O any] interface {
	// Next blocks until the server says something. io.EOF is that it has ended the watch, which means nothing; what it
	// says of its own errors is one with their status; what makes no sense is a *Garbled.
	Next() (Event[O], error)
	// Close ends the watch.
	Close()
}

// Passed is an event about a version of an object that is known already: it was not decoded, and Object has nothing but its
// resourceVersion.
const Passed apiwatch.EventType = "PASSED"

// Event is what a watch says: Added, Modified, Deleted, Bookmark or Passed.
type Event[O any] struct {
	Type   apiwatch.EventType
	Object O
}

// Garbled is that a server does not answer as an API server does.
type Garbled struct{ What string }

func (g *Garbled) Error() string { return "the API server answers with " + g.What }

func garbled(format string, args ...any) error { return &Garbled{fmt.Sprintf(format, args...)} }
