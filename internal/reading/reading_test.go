package reading

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-dev/hanse/internal/guard"
)

// server is what is read: it fails while err is set, and hangs while hangs is open.
type server struct {
	mu     sync.Mutex
	err    error
	hangs  chan struct{}
	open   *watch.FakeWatcher
	opened int
}

func (s *server) List(metav1.ListOptions) (runtime.Object, error) {
	s.mu.Lock()
	err, hangs := s.err, s.hangs
	s.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	return &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Pod{{}}}, err
}

func (s *server) Watch(o metav1.ListOptions) (watch.Interface, error) {
	if o.SendInitialEvents != nil {
		return nil, apierrors.NewInvalid(schema.GroupKind{}, "", nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	s.open = watch.NewFake()
	return s.open, s.err
}

func (s *server) fail(err error) {
	s.mu.Lock()
	s.err = err
	open := s.open
	s.mu.Unlock()
	if open != nil {
		open.Stop()
	}
}

// taken counts what is taken in, and panics while it is told to.
type taken struct {
	mu     sync.Mutex
	all    int
	panics bool
	// counted is how many panics were counted.
	counted atomic.Int32
}

func (s *taken) Replace([]any, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics {
		panic("never")
	}
	s.all++
	return nil
}
func (s *taken) Add(any) error    { return nil }
func (s *taken) Update(any) error { return nil }
func (s *taken) Delete(any) error { return nil }
func (s *taken) Resync() error    { return nil }

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

func following(t *testing.T, s *server, into *taken) (told *said) {
	told = &said{}
	ctx, cancel := context.WithCancel(guard.WithCounter(t.Context(), func(string) { into.counted.Add(1) }))
	done := make(chan struct{})
	go func() {
		defer close(done)
		Follow(ctx, Resource{Name: "pods", Source: s, Example: &corev1.Pod{}, Into: into, Told: told.tell})
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
		s, into := &server{}, &taken{}
		told := following(t, s, into)
		after(time.Second)
		for range 3 {
			s.fail(errors.New("connection reset"))
			after(time.Second)
			s.fail(nil)
			after(10 * time.Second)
		}
		if errs := told.take(); len(errs) > 0 {
			t.Errorf("told %v", errs)
		}
	})
}

func TestWhatCannotBeReadIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, into := &server{}, &taken{}
		told := following(t, s, into)
		after(time.Minute)
		s.fail(apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no right")))
		after(6 * time.Second)
		if errs := told.take(); len(errs) != 1 || !apierrors.IsForbidden(errs[0]) {
			t.Fatalf("told %v", errs)
		}
		after(time.Hour)
		if errs := told.take(); len(errs) != 0 {
			t.Errorf("the same is told again: %v", errs)
		}
		s.fail(apierrors.NewUnauthorized("who are you"))
		after(10 * time.Second)
		if errs := told.take(); len(errs) != 1 || !apierrors.IsUnauthorized(errs[0]) {
			t.Errorf("another reason: told %v", errs)
		}
		s.fail(nil)
		after(10 * time.Second)
		if errs := told.take(); len(errs) != 1 || errs[0] != nil {
			t.Errorf("back: told %v", errs)
		}
	})
}

func TestAListThatIsNotAnsweredIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, into := &server{hangs: make(chan struct{})}, &taken{}
		told := following(t, s, into)
		after(slow + time.Second)
		if errs := told.take(); len(errs) != 1 || !errors.Is(errs[0], errNoAnswer) {
			t.Errorf("told %v", errs)
		}
		close(s.hangs)
		after(time.Second)
		if errs := told.take(); len(errs) != 1 || errs[0] != nil {
			t.Errorf("answered: told %v", errs)
		}
	})
}

func TestAPanicIsAFailureToRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, into := &server{}, &taken{panics: true}
		told := following(t, s, into)
		after(500 * time.Millisecond)
		errs := told.take()
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), "never") {
			t.Fatalf("told %v", errs)
		}
		after(10 * time.Minute)
		if n := len(told.take()); n > 30 || int(into.counted.Load()) != 1+n {
			t.Errorf("tried %d times in 10 minutes, %d panics counted", n, into.counted.Load())
		}
		into.mu.Lock()
		into.panics = false
		into.mu.Unlock()
		after(lastPanic + time.Second)
		if errs := told.take(); len(errs) == 0 || errs[len(errs)-1] != nil || into.all == 0 {
			t.Errorf("back: told %v", errs)
		}
	})
}

// A server that ends each watch after an event would have its client ask without rest.
func TestWatchesThatEndAtOnceAreNotAskedForWithoutRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, into := &server{}, &taken{}
		following(t, s, into)
		for range 1000 {
			after(10 * time.Millisecond)
			s.mu.Lock()
			open := s.open
			s.mu.Unlock()
			if open != nil && !open.IsStopped() {
				open.Modify(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "2"}})
				open.Stop()
			}
		}
		if s.opened > watchBurst+2*10*watchRate {
			t.Errorf("%d watches in 10 s", s.opened)
		}
	})
}
