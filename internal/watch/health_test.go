package watch

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/limits"
)

// fake is a source in a bubble of synctest: it fails while err is set, and does not answer while hangs.
type fake struct {
	mu             sync.Mutex
	err, watchErr  error
	hangs          bool
	version        string // of lists; of those of watching "1"
	pages          int    // of each list; 0: one
	open           *fakeStream
	listed, opened int
}

func (f *fake) state() (err, watchErr error, hangs bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err, f.watchErr, f.hangs
}

func (f *fake) List(ctx context.Context, o metav1.ListOptions, each func(*corev1.Pod) error) (metav1.ListMeta, error) {
	err, _, hangs := f.state()
	if hangs {
		<-ctx.Done()
		return metav1.ListMeta{}, ctx.Err()
	}
	if err != nil {
		return metav1.ListMeta{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed++
	head := metav1.ListMeta{ResourceVersion: f.version}
	if len(o.Continue)+1 < f.pages {
		head.Continue = o.Continue + "x"
	}
	return head, each(pod("a"))
}

func (f *fake) Watch(ctx context.Context, _ metav1.ListOptions) (Stream[*corev1.Pod], error) {
	err, watchErr, hangs := f.state()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err = cmp.Or(err, watchErr); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	f.open = &fakeStream{ctx: ctx, events: make(chan Event[*corev1.Pod]), ended: make(chan struct{})}
	return f.open, nil
}

func (f *fake) opens() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

func (f *fake) lists() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.listed
}

func (f *fake) stream() *fakeStream {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// fail has all requests fail, and what is watched end.
func (f *fake) fail(err error) {
	f.mu.Lock()
	f.err = err
	open := f.open
	f.open = nil
	f.mu.Unlock()
	if open != nil {
		close(open.ended)
	}
}

type fakeStream struct {
	ctx    context.Context
	events chan Event[*corev1.Pod]
	ended  chan struct{}
}

func (s *fakeStream) Next() (Event[*corev1.Pod], error) {
	select {
	case e := <-s.events:
		return e, nil
	case <-s.ended:
		return Event[*corev1.Pod]{}, io.EOF
	case <-s.ctx.Done():
		return Event[*corev1.Pod]{}, s.ctx.Err()
	}
}

func (s *fakeStream) Close() {}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: "2"}}
}

// taken is what a sink has taken in; it panics while it is told to.
type taken struct {
	mu     sync.Mutex
	names  map[string]bool
	all    int // lists
	panics bool
	// counted is how many panics were counted.
	counted atomic.Int32
}

func (k *taken) sink() Sink[string] {
	change := func(do func()) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.panics {
			panic("never")
		}
		do()
	}
	return Sink[string]{
		Replace: func(all []string) {
			change(func() {
				k.all++
				k.names = map[string]bool{}
				for _, n := range all {
					k.names[n] = true
				}
			})
		},
		Apply:  func(n string) { change(func() { k.names[n] = true }) },
		Remove: func(n string) { change(func() { delete(k.names, n) }) },
	}
}

func (k *taken) panic(panics bool) { k.mu.Lock(); k.panics = panics; k.mu.Unlock() }

func (k *taken) lists() int { k.mu.Lock(); defer k.mu.Unlock(); return k.all }

// said is what was told, in order.
type said struct {
	mu   sync.Mutex
	errs []error
}

func (s *said) tell(err error) { s.mu.Lock(); s.errs = append(s.errs, err); s.mu.Unlock() }

func (s *said) take() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.errs
	s.errs = nil
	return out
}

// watching runs a watch of f until the test ends.
func watching(t *testing.T, f *fake, into *taken, change ...func(*Resource[*corev1.Pod, string])) *said {
	told := &said{}
	f.version = "1"
	r := Resource[*corev1.Pod, string]{Clock: clock.RealClock{}, Name: "pods", Source: f, Trim: (*corev1.Pod).GetName, Into: into.sink(), Told: told.tell}
	for _, c := range change {
		c(&r)
	}
	ctx, cancel := context.WithCancel(guard.WithCounter(t.Context(), func(string) { into.counted.Add(1) }))
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, r)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return told
}

// after lets so much time go by.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestAShortCutIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{}, &taken{}
		told := watching(t, f, into)
		after(time.Second)
		for range 3 {
			f.fail(errors.New("connection reset"))
			after(time.Second)
			f.fail(nil)
			after(10 * time.Second)
		}
		if errs := told.take(); len(errs) > 0 || into.lists() != 1 {
			t.Errorf("told %v, and listed %d times", errs, into.lists())
		}
	})
}

var forbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no right"))

func TestWhatCannotBeReadIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{}, &taken{}
		told := watching(t, f, into)
		after(time.Minute)
		f.fail(forbidden)
		after(3 * time.Second)
		if errs := told.take(); len(errs) != 0 {
			t.Fatalf("told %v after a moment", errs)
		}
		after(3 * time.Second)
		if errs := told.take(); len(errs) != 1 || !apierrors.IsForbidden(errs[0]) {
			t.Fatalf("told %v", errs)
		}
		f.fail(apierrors.NewInternalError(errors.New("for a moment")))
		after(20 * time.Second)
		f.fail(forbidden)
		after(time.Hour)
		if errs := told.take(); len(errs) != 0 {
			t.Errorf("the same is told again: %v", errs)
		}
		f.fail(apierrors.NewUnauthorized("who are you"))
		after(10 * time.Second)
		if errs := told.take(); len(errs) != 1 || !apierrors.IsUnauthorized(errs[0]) {
			t.Errorf("another reason: told %v", errs)
		}
		f.fail(nil)
		after(10 * time.Second)
		if errs := told.take(); len(errs) != 1 || errs[0] != nil {
			t.Errorf("back: told %v", errs)
		}
	})
}

// TestWhatIsListedAndNotWatchedIsTold: a list that succeeds does not hide that nothing can be watched.
func TestWhatIsListedAndNotWatchedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{watchErr: forbidden}, &taken{}
		told := watching(t, f, into)
		after(10 * time.Minute)
		if errs := told.take(); len(errs) != 1 || !apierrors.IsForbidden(errs[0]) {
			t.Errorf("told %v", errs)
		}
		if n := into.lists(); n < 30 || n > 100 {
			t.Errorf("what is known was renewed %d times in 10 minutes", n)
		}
	})
}

func TestWhatIsNotAnsweredIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{hangs: true}, &taken{}
		told := watching(t, f, into)
		after(slow + time.Second)
		if errs := told.take(); len(errs) != 1 || !errors.Is(errs[0], errNoAnswer) {
			t.Errorf("told %v", errs)
		}
		f.mu.Lock()
		f.hangs = false
		f.mu.Unlock()
		after(pagePatience) // then it is asked again
		if errs := told.take(); len(errs) == 0 || errs[len(errs)-1] != nil || into.lists() != 1 {
			t.Errorf("answered: told %v", errs)
		}
	})
}

func TestAPanicIsAFailureToRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{}, &taken{panics: true}
		told := watching(t, f, into)
		after(500 * time.Millisecond)
		errs := told.take()
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), "never") || guard.Stack(errs[0]) == nil {
			t.Fatalf("told %v", errs)
		}
		after(10 * time.Minute)
		if n := len(told.take()); n < 15 || n > 30 || int(into.counted.Load()) != 1+n {
			t.Errorf("told %d times in 10 minutes, %d panics counted", n, into.counted.Load())
		}
		into.panic(false)
		after(lastPanic + time.Second)
		if errs := told.take(); len(errs) == 0 || errs[len(errs)-1] != nil || into.lists() == 0 {
			t.Errorf("back: told %v", errs)
		}
		after(provenAfter)
		into.panic(true)
		f.mu.Lock()
		open := f.open
		f.mu.Unlock()
		open.events <- Event[*corev1.Pod]{apiwatch.Modified, pod("b")}
		after(firstPanic + time.Second)
		if errs := told.take(); len(errs) != 2 {
			t.Errorf("after a while in health a panic is as the first: told %v", errs)
		}
	})
}

// A server that ends each watch after an event would have its client ask without rest.
func TestWatchesThatEndAtOnceAreNotAskedForWithoutRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{}, &taken{}
		watching(t, f, into)
		for range 1000 {
			after(10 * time.Millisecond)
			f.mu.Lock()
			open := f.open
			f.open = nil
			f.mu.Unlock()
			if open != nil {
				open.events <- Event[*corev1.Pod]{apiwatch.Modified, pod("a")}
				close(open.ended)
			}
		}
		if f.opens() < 10 || f.opens() > 21 || into.lists() != 1 {
			t.Errorf("%d watches in 10 s, and %d lists", f.opens(), into.lists())
		}
	})
}

// TestExpiredIsListedAgain: also by a server that says so all the time.
func TestExpiredIsListedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{watchErr: apierrors.NewResourceExpired("too old")}, &taken{}
		watching(t, f, into)
		after(10 * time.Second)
		if n := into.lists(); n < 4 || n > 10 {
			t.Errorf("%d lists in 10 s", n)
		}
	})
}

// TestAListWithoutVersionIsNone: nobody could watch from there, and it may be no list at all.
func TestAListWithoutVersionIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{}, &taken{}
		told := watching(t, f, into)
		after(time.Second)
		f.mu.Lock()
		f.version = ""
		f.mu.Unlock()
		f.fail(apierrors.NewResourceExpired("too old"))
		after(time.Second)
		f.fail(nil)
		after(10 * time.Second)
		if errs := told.take(); len(errs) != 1 || into.lists() != 1 || len(into.names) != 1 {
			t.Errorf("told %v, listed %d times, known are %v", errs, into.lists(), into.names)
		}
	})
}

// TestPatience: a server that asks to be left alone is, within reason.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{}, &taken{}
		watching(t, f, into)
		after(time.Second)
		f.fail(apierrors.NewTooManyRequests("busy", 20))
		after(10 * time.Second)
		f.fail(nil)
		after(9 * time.Second)
		if f.opens() != 1 {
			t.Errorf("watched again after 19 s, and the server had asked for 20")
		}
		after(5 * time.Second)
		if f.opens() != 2 {
			t.Errorf("not watched again after 24 s")
		}
	})
}

// TestASilentWatchIsBegunAgain: bookmarks come each minute, unless a connection is dead without anybody saying so.
func TestASilentWatchIsBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{}, &taken{}
		told := watching(t, f, into)
		after(20 * time.Minute)
		if f.opens() != 1 {
			t.Errorf("a server without bookmarks is watched %d times", f.opens())
		}
		for range 10 {
			f.stream().events <- Event[*corev1.Pod]{apiwatch.Bookmark, pod("")}
			after(4 * time.Minute)
		}
		if f.opens() != 1 || len(into.names) != 1 {
			t.Errorf("with bookmarks it is watched %d times, and known are %v", f.opens(), into.names)
		}
		after(2 * time.Minute)
		if f.opens() != 2 || into.lists() != 1 || len(told.take()) > 0 {
			t.Errorf("silent, it is watched %d times and listed %d", f.opens(), into.lists())
		}
	})
}

func TestWhatIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, into := &fake{}, &taken{}
		told := watching(t, f, into, func(r *Resource[*corev1.Pod, string]) { r.Absent = 20 * time.Second })
		after(time.Second)
		f.fail(apierrors.NewNotFound(schema.GroupResource{}, ""))
		after(time.Minute)
		if errs := told.take(); len(errs) > 0 || into.lists() < 3 || into.lists() > 5 || len(into.names) > 0 {
			t.Errorf("told %v, listed %d times, known are %v", errs, into.lists(), into.names)
		}
		f.fail(nil)
		after(21 * time.Second)
		if len(into.names) != 1 {
			t.Error("it is served, and not known")
		}
		into.panic(true)
		f.fail(apierrors.NewNotFound(schema.GroupResource{}, ""))
		after(time.Second)
		if errs := told.take(); len(errs) != 1 || guard.Stack(errs[0]) == nil {
			t.Errorf("a panic: told %v", errs)
		}
	})
}

// TestListsHaveAnEnd: whatever the server says, no more is kept of a list than the limits allow.
func TestListsHaveAnEnd(t *testing.T) {
	for name, c := range map[string]limits.Limits{"objects": {Objects: 100}, "bytes": {Bytes: 1000}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, into := &fake{pages: 1 << 30}, &taken{}
				told := watching(t, f, into, func(r *Resource[*corev1.Pod, string]) {
					r.Limits, r.Weigh = c, func(string) int { return 10 }
				})
				after(time.Second)
				var exceeded *limits.Exceeded
				if errs := told.take(); len(errs) != 1 || !errors.As(errs[0], &exceeded) || f.lists() != 101 || into.lists() > 0 {
					t.Errorf("told %v after %d pages", errs, f.lists())
				}
				after(10 * time.Minute)
				if n := len(told.take()); n < 15 || n > 25 {
					t.Errorf("tried again %d times in 10 minutes", n)
				}
			})
		})
	}
}

// TestItEnds: with its context, whatever it does, and tells nothing any more.
func TestItEnds(t *testing.T) {
	for name, f := range map[string]*fake{"watching": {}, "hanging": {hangs: true}, "failing": {err: forbidden}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				told, ended := &said{}, make(chan struct{})
				go func() {
					defer close(ended)
					Run(ctx, Resource[*corev1.Pod, string]{Clock: clock.RealClock{}, Source: f, Trim: (*corev1.Pod).GetName, Into: (&taken{}).sink(), Told: told.tell})
				}()
				after(time.Second)
				cancel()
				began := time.Now()
				<-ended
				if took := time.Since(began); took > 0 {
					t.Errorf("it took %s", took)
				}
				after(time.Minute)
				if errs := told.take(); len(errs) > 0 {
					t.Errorf("told %v", errs)
				}
			})
		})
	}
}
