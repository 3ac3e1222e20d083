package placement

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// bookmarkInterval is how often a quiet watch says how far it has got.
const bookmarkInterval = time.Minute

// watcher sends one client what changes. Its goroutine is the only user of known and version.
type watcher struct {
	journal   *journal
	selection selection
	bookmarks bool
	resumes   bool // the client holds what a list or a former watch gave it

	known   map[types.NamespacedName]v1alpha1.Placement // what the client holds, as it was last told
	version uint64                                      // up to here it has been told

	ctx    context.Context
	cancel context.CancelFunc
	events chan watch.Event
}

// startWatch follows j from a version; 0 starts with everything that there is.
func startWatch(ctx context.Context, j *journal, s selection, from uint64, o *internalversion.ListOptions) (watch.Interface, error) {
	w := &watcher{
		journal:   j,
		selection: s,
		bookmarks: o.AllowWatchBookmarks,
		known:     map[types.NamespacedName]v1alpha1.Placement{},
		version:   j.version(),
		events:    make(chan watch.Event),
	}
	var initial []v1alpha1.Placement
	asked := o.SendInitialEvents != nil
	switch {
	case asked && *o.SendInitialEvents, !asked && from == 0:
		initial = s.list(j)
	case from == 0: // only what comes, from now
		w.remember(s.list(j), nil)
	default:
		missed, _, _, err := j.since(from)
		if err != nil {
			return nil, err
		}
		w.remember(s.list(j), missed)
		w.version, w.resumes = from, true
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	go w.run(initial, asked && *o.SendInitialEvents)
	return w, nil
}

// remember notes what a client that resumes holds: what there is, and what has changed and may be gone.
func (w *watcher) remember(there []v1alpha1.Placement, missed []change) {
	for _, c := range missed {
		if w.selection.names(c.key) {
			p := v1alpha1.Placement{}
			p.Namespace, p.Name = c.key.Namespace, c.key.Name
			w.known[c.key] = p
		}
	}
	for i := range there {
		w.known[keyOf(&there[i])] = there[i]
	}
}

// ResultChan is closed when the watch has ended.
func (w *watcher) ResultChan() <-chan watch.Event { return w.events }

// Stop ends the watch. It may be called more than once.
func (w *watcher) Stop() { w.cancel() }

func (w *watcher) run(initial []v1alpha1.Placement, announceEnd bool) {
	defer close(w.events)
	defer w.cancel()
	for i := range initial {
		w.known[keyOf(&initial[i])] = initial[i]
		if !w.send(watch.Added, initial[i]) {
			return
		}
	}
	if announceEnd && w.bookmarks && !w.bookmark(map[string]string{metav1.InitialEventsAnnotationKey: "true"}) {
		return
	}
	w.follow()
}

// follow sends changes until the client goes or falls too far behind.
func (w *watcher) follow() {
	tick := time.NewTicker(bookmarkInterval)
	defer tick.Stop()
	for {
		changes, reached, more, err := w.journal.since(w.version)
		if err != nil {
			w.fail(err)
			return
		}
		for _, c := range changes {
			if !w.tell(c) {
				return
			}
		}
		w.version = reached
		select {
		case <-more:
		case <-tick.C:
			if w.bookmarks && !w.bookmark(nil) {
				return
			}
		case <-w.ctx.Done():
			return
		}
	}
}

// tell sends one change; false: the client has gone.
func (w *watcher) tell(c change) bool {
	if !w.selection.names(c.key) {
		return true
	}
	last, known := w.known[c.key]
	p, exists := w.journal.source.Get(c.key.Namespace, c.key.Name)
	there := exists && w.selection.matches(&p)
	event := watch.Modified
	switch {
	case there && !known:
		event = watch.Added
	case !exists && !known && w.resumes:
		// It may have vanished after the client's list, and before the watch began without being in the journal yet:
		// the client may hold it. One that does not ignores this.
		event = watch.Deleted
		last.Namespace, last.Name = c.key.Namespace, c.key.Name
		p = last
	case !there && !known:
		return true
	case !there:
		event, p = watch.Deleted, last
	}
	p.ResourceVersion = format(c.version)
	if there {
		w.known[c.key] = p
	} else {
		delete(w.known, c.key)
	}
	return w.send(event, p)
}

func (w *watcher) bookmark(annotations map[string]string) bool {
	p := v1alpha1.Placement{}
	p.ResourceVersion, p.Annotations = format(w.version), annotations
	return w.send(watch.Bookmark, p)
}

// fail sends a last event that makes the client list again.
func (w *watcher) fail(err error) {
	status := apierrors.APIStatus(nil)
	if s, ok := err.(apierrors.APIStatus); ok {
		status = s
	} else {
		status = apierrors.NewInternalError(err)
	}
	body := status.Status()
	select {
	case w.events <- watch.Event{Type: watch.Error, Object: &body}:
	case <-w.ctx.Done():
	}
}

// send hands the event a copy of its own; false: the client has gone.
func (w *watcher) send(event watch.EventType, p v1alpha1.Placement) bool {
	select {
	case w.events <- watch.Event{Type: event, Object: &p}:
		return true
	case <-w.ctx.Done():
		return false
	}
}
