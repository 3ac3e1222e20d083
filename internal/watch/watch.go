package watch

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/limits"
)

// Resource is what is watched, and what becomes of it. O is an object as it is decoded, T what is kept of it.
type Resource[O metav1.Object, T any] struct {
	// Name is for logs.
	Name string
	// Source lists and watches.
	Source Source[O]
	// Labels is a label selector; empty: all objects.
	Labels string
	// Trim is what is kept of an object. It is called as soon as the object has been decoded, so that no two objects
	// are in memory as they came.
	Trim func(O) T
	// Into takes in what Trim made.
	Into Sink[T]
	// Limits bound what one list may come to; Weigh, which may be nil, is about how many bytes one of its objects takes.
	Limits limits.Limits
	Weigh  func(T) int
	// Pages, if not nil, has room for as many pages as may be read at once of all that share it.
	Pages chan struct{}
	// Absent, if not 0, says that the server may not serve the resource: then there are no objects, which is no failure,
	// and it is asked again after so long.
	Absent time.Duration
	// Told, if not nil, is called with why the resource cannot be read once that has lasted a moment, again when the
	// reason is another (at most once a minute), and with nil when it is watched again. What no later try is likely to
	// mend is told at once, each time: a *guard.Panic, a *limits.Exceeded, a *limits.TooLarge. It is called from any
	// goroutine, one call at a time, and must not block.
	Told  func(error)
	Clock clock.WithDelayedExecution
}

// Sink takes in what is watched. Its functions are called one at a time, and may block, which makes the server wait. A
// panic of theirs is a failure to read: all is listed again after a while.
type Sink[T any] struct {
	// Replace is called with all there is, at the start and whenever changes may have been missed.
	Replace func([]T)
	// Apply is called with an object that is new or has changed, Remove with one that was deleted, as it was last.
	Apply, Remove func(T)
}

// Whole is the Trim of those who keep objects as they are.
func Whole[O any](o O) O { return o }

// Retries. Whoever watches a member is ended when the member is away; what is left are faults of single resources. What
// made a panic, or was too large, most likely will again.
const (
	firstRetry, lastRetry = 200 * time.Millisecond, 2 * time.Second
	firstPanic, lastPanic = time.Second, 30 * time.Second
	// longestRest is the most that a server may have the next request wait.
	longestRest = 30 * time.Second
	// wellAfter is how long a watch has to last until failures before it are forgotten, provenAfter panics.
	wellAfter, provenAfter = 10 * time.Second, 2 * time.Minute
	// rewatches is how often a watch may fail to begin before all is listed again.
	rewatches = 5
)

// Patience with a server that keeps a connection open and says nothing.
const (
	// pagePatience bounds the reading of one page, openPatience the wait for a watch to begin.
	pagePatience, openPatience = 2 * time.Minute, time.Minute
	// quiet is how long a watch that has had a bookmark, which servers send each minute, may be without any.
	quiet = 5 * time.Minute
	// A watch ends after a time between these, as API servers have it, so that they can move.
	shortestWatch, longestWatch = 30 * time.Minute, 60 * time.Minute
)

// pageSize is how many objects are asked for at once, unless a page of so many is too large.
const pageSize = 500

// Run lists and watches until ctx ends, through whatever happens to the connection.
func Run[O metav1.Object, T any](ctx context.Context, r Resource[O, T]) {
	log := klog.FromContext(ctx).WithValues("watch", r.Name)
	w := &watcher[O, T]{Resource: r, log: log, health: health{log: log, told: r.Told, clock: r.Clock}, page: pageSize}
	defer w.health.stop()
	for ctx.Err() == nil {
		err := guard.Run(func() error { return w.attempt(ctx) })
		if ctx.Err() == nil {
			sleep(ctx, r.Clock, w.judge(ctx, err))
		}
	}
}

// watcher is the state between two attempts. All but health belongs to the goroutine of Run.
type watcher[O metav1.Object, T any] struct {
	Resource[O, T]
	log    klog.Logger
	health health
	pace   pace

	version  string // that the watch goes on from; empty: all has to be listed
	page     int64
	failures int // one after the other
	unopened int // watches that did not begin, one after the other
	panics   int
}

// attempt lists if it has to, and watches. nil: the server ended the watch as it may.
func (w *watcher[O, T]) attempt(ctx context.Context) error {
	if w.version == "" {
		if err := w.list(ctx); err != nil {
			return err
		}
	}
	return w.watch(ctx)
}

// listing is what has been read of a list.
type listing[T any] struct {
	all   []T
	bytes int
}

// list reads all pages.
func (w *watcher[O, T]) list(ctx context.Context) error {
	w.health.begun()
	w.page = min(pageSize, 4*w.page)
	var l listing[T]
	for next := ""; ; {
		page, err := w.readPage(ctx, next, &l)
		if err != nil {
			return err
		}
		if next = page.Continue; next != "" {
			continue
		}
		if page.ResourceVersion == "" { // or what is no list would pass for an empty one
			return garbled("a list without a resourceVersion")
		}
		w.Into.Replace(l.all)
		w.version, w.unopened = page.ResourceVersion, 0
		return nil
	}
}

// readPage reads one page, a smaller one where it is too large. It blocks while others have the room for pages.
func (w *watcher[O, T]) readPage(ctx context.Context, next string, l *listing[T]) (metav1.ListMeta, error) {
	if w.Pages != nil {
		select {
		case w.Pages <- struct{}{}:
			defer func() { <-w.Pages }()
		case <-ctx.Done():
			return metav1.ListMeta{}, ctx.Err()
		}
	}
	d := newDeadline(ctx, w.Clock, pagePatience)
	defer d.close()
	take := func(o O) error {
		kept := w.Trim(o)
		if w.Weigh != nil {
			l.bytes += w.Weigh(kept)
		}
		l.all = append(l.all, kept)
		return w.Limits.Check(len(l.all), l.bytes)
	}
	for before := *l; ; *l = before {
		meta, err := w.Source.List(d.ctx, metav1.ListOptions{LabelSelector: w.Labels, Limit: w.page, Continue: next}, take)
		var large *limits.TooLarge
		if !errors.As(err, &large) || w.page == 1 {
			return meta, d.reason(err)
		}
		w.page = max(1, w.page/4)
	}
}

// watch watches from the version on.
func (w *watcher[O, T]) watch(ctx context.Context) error {
	w.health.begun()
	d := newDeadline(ctx, w.Clock, openPatience)
	defer d.close()
	seconds := int64((shortestWatch + rand.N(longestWatch-shortestWatch)).Seconds())
	stream, err := w.Source.Watch(d.ctx, metav1.ListOptions{
		LabelSelector: w.Labels, ResourceVersion: w.version, AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
	})
	if err != nil {
		w.unopened++
		return d.reason(err)
	}
	defer stream.Close()
	d.stop()
	w.health.reads()
	w.unopened = 0
	defer w.forgive(w.Clock.Now())
	err = w.events(stream, d)
	if err == io.EOF {
		return nil
	}
	return d.reason(err)
}

// forgive forgets failures before a watch that has lasted since began.
func (w *watcher[O, T]) forgive(began time.Time) {
	lasted := w.Clock.Since(began)
	if lasted >= wellAfter {
		w.failures = 0
	}
	if lasted >= provenAfter {
		w.panics = 0
	}
}

// events takes in what a stream says.
func (w *watcher[O, T]) events(stream Stream[O], d *deadline) error {
	for marked := false; ; {
		e, err := stream.Next()
		if err != nil {
			return err
		}
		switch e.Type {
		case apiwatch.Added, apiwatch.Modified:
			w.Into.Apply(w.Trim(e.Object))
		case apiwatch.Deleted:
			w.Into.Remove(w.Trim(e.Object))
		case apiwatch.Bookmark:
			marked = true
		case Passed:
		default:
			return garbled("an event of the unknown type %q", e.Type)
		}
		if version := e.Object.GetResourceVersion(); version != "" {
			w.version = version
		}
		if marked {
			d.extend(quiet)
		}
	}
}

// judge takes in what an attempt came to, and says when the next is due.
func (w *watcher[O, T]) judge(ctx context.Context, err error) time.Duration {
	if err == nil {
		return w.pace.wait(w.Clock.Now())
	}
	var exceeded *limits.Exceeded
	var large *limits.TooLarge
	switch {
	case guard.Stack(err) != nil:
		w.version = ""
		w.panics++
		guard.Count(ctx, "watch")
		if w.panics&(w.panics-1) == 0 { // of a long row, ever fewer lines
			w.log.Error(err, "What was read could not be processed", "times", w.panics, "stack", string(guard.Stack(err)))
		}
		w.health.broken(err)
		return min(firstPanic<<min(w.panics-1, 10), lastPanic)
	case errors.As(err, &exceeded), errors.As(err, &large):
		w.version = ""
		w.health.broken(err)
		return lastPanic
	case w.Absent > 0 && w.version == "" && apierrors.IsNotFound(err):
		return w.absent(ctx)
	case relist(err) || w.unopened >= rewatches:
		w.version = ""
	}
	w.failures++
	w.health.failed(err)
	pause := min(firstRetry<<min(w.failures-1, 10), lastRetry)
	pause += rand.N(pause/2 + 1)
	if seconds, delayed := apierrors.SuggestsClientDelay(err); delayed {
		pause = max(pause, min(time.Duration(seconds)*time.Second, longestRest))
	}
	return pause
}

// absent takes in that the server does not serve the resource.
func (w *watcher[O, T]) absent(ctx context.Context) time.Duration {
	err := guard.Run(func() error {
		w.Into.Replace(nil)
		return nil
	})
	if err != nil {
		return w.judge(ctx, err)
	}
	w.health.reads()
	return w.Absent
}

// relist says whether after an error a watch cannot go on where it ended.
func relist(err error) bool {
	var nonsense *Garbled
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsNotFound(err) || errors.As(err, &nonsense)
}
