package member

import (
	"context"
	"errors"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// boundedList is how many objects are asked for at once. A page that is larger than a response may be is asked
// for again in smaller ones.
const boundedList = 500

// boundedResource is a resource of a member for a Reflector: what it lists and watches is cut down as soon as it has
// been decoded, one object after the other, and lists have an end. What the caller of a session's watch
// keeps in memory is thereby what the hub has a use for.
type boundedResource struct {
	dynamic.ResourceInterface
	lists chan struct{} // as many lists of the member are in memory at once
	// cut takes out of an object what is not needed, and returns about how many bytes are left.
	cut    func(*unstructured.Unstructured) int
	limits Limits
	exceed func(error)

	mu             sync.Mutex
	objects, bytes int // of the list that is being read
	page           int64
}

// List reads a page. It blocks while others of the member's lists are read.
func (b *boundedResource) List(ctx context.Context, o metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	select {
	case b.lists <- struct{}{}:
		defer func() { <-b.lists }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if o.Continue == "" {
		b.begin()
		if o.ResourceVersion == "0" {
			o.ResourceVersion = "" // from its cache, an API server answers with all at once
		}
	}
	for {
		o.Limit = b.pageSize()
		list, err := b.ResourceInterface.List(ctx, o)
		var large *tooLarge
		switch {
		case errors.As(err, &large) && o.Limit > 1:
			b.smaller()
			continue
		case errors.As(err, &large):
			b.exceed(err)
			return nil, err
		case err != nil:
			return nil, err
		}
		for i := range list.Items {
			if err := b.take(&list.Items[i]); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
}

// Watch watches. A watch may begin with a list.
func (b *boundedResource) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := b.ResourceInterface.Watch(ctx, o)
	if err != nil {
		return nil, err
	}
	b.begin()
	listing := o.SendInitialEvents != nil && *o.SendInitialEvents
	out := &cutWatch{Interface: w, out: make(chan watch.Event), done: make(chan struct{})}
	go out.run(func(e watch.Event) bool {
		obj, ok := e.Object.(*unstructured.Unstructured)
		switch {
		case !ok || e.Type == watch.Error:
		case e.Type == watch.Bookmark:
			listing = listing && obj.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true"
		case listing:
			return b.take(obj) == nil
		default:
			b.cut(obj)
		}
		return true
	})
	return out, nil
}

func (b *boundedResource) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects, b.bytes = 0, 0
}

func (b *boundedResource) pageSize() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.page == 0 {
		b.page = boundedList
	}
	return b.page
}

func (b *boundedResource) smaller() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.page = max(1, b.page/4)
}

// take cuts an object of a list down and counts it.
func (b *boundedResource) take(obj *unstructured.Unstructured) error {
	size := b.cut(obj)
	b.mu.Lock()
	b.objects++
	b.bytes += size
	objects, bytes := b.objects, b.bytes
	b.mu.Unlock()
	if err := b.limits.check(objects, bytes); err != nil {
		err = fmt.Errorf("one list of the member has %w", err)
		b.exceed(err)
		return err
	}
	return nil
}

// cutWatch hands on the events of a watch that do, which may change their objects, lets through; the first that it does not
// ends the watch.
type cutWatch struct {
	watch.Interface
	out  chan watch.Event
	done chan struct{}
	once sync.Once
}

func (w *cutWatch) ResultChan() <-chan watch.Event { return w.out }

func (w *cutWatch) Stop() {
	w.once.Do(func() { close(w.done) })
	w.Interface.Stop()
}

func (w *cutWatch) run(do func(watch.Event) bool) {
	defer close(w.out)
	for e := range w.Interface.ResultChan() {
		if !do(e) {
			w.Stop()
			return
		}
		select {
		case w.out <- e:
		case <-w.done:
			return
		}
	}
}
