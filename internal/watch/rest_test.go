package watch

import (
	"context"
	"fmt"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/limits"
	"github.com/hanse-dev/hanse/internal/watch/watchtest"
)

// patience is for what takes a moment on an idle machine.
const patience = time.Minute

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for tick := time.NewTicker(5 * time.Millisecond); !is(); {
		select {
		case <-deadline:
			t.Fatalf("not so after %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

var (
	podsPath = Path(corev1.SchemeGroupVersion.WithResource("pods"), "")
	podKind  = corev1.SchemeGroupVersion.WithKind("Pod")
)

func client(t testing.TB, cfg *rest.Config) rest.Interface {
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func labelled(name, label string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"a": label}}}
	p.Spec.NodeName = strings.Repeat("n", 10000)
	return p
}

// follows checks that a watch in a format knows what there is, whatever happens.
func follows[O metav1.Object](t *testing.T, format Format[O]) {
	s := watchtest.New(t)
	s.Serve(podsPath, "v1", "Pod")
	want := map[string]bool{}
	for i := range 2*pageSize + 7 {
		p := labelled(fmt.Sprint("p", i), "x")
		s.Put(podsPath, p)
		want["p"+fmt.Sprint(i)] = true
	}
	s.Put(podsPath, labelled("other", "y"))
	var mu sync.Mutex
	known, replaced := map[string]string{}, 0
	c := client(t, s.Config())
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		Run(ctx, Resource[O, *metav1.ObjectMeta]{Clock: clock.RealClock{},
			Name: "pods", Labels: "a=x", Source: REST[O]{Client: c, Path: podsPath, Format: format},
			Trim: func(o O) *metav1.ObjectMeta {
				return &metav1.ObjectMeta{Name: o.GetName(), ResourceVersion: o.GetResourceVersion()}
			},
			Into: Sink[*metav1.ObjectMeta]{
				Replace: func(all []*metav1.ObjectMeta) {
					mu.Lock()
					defer mu.Unlock()
					replaced++
					clear(known)
					for _, o := range all {
						known[o.Name] = o.ResourceVersion
					}
				},
				Apply:  func(o *metav1.ObjectMeta) { mu.Lock(); defer mu.Unlock(); known[o.Name] = o.ResourceVersion },
				Remove: func(o *metav1.ObjectMeta) { mu.Lock(); defer mu.Unlock(); delete(known, o.Name) },
			},
		})
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	is := func(what string, lists int) {
		t.Helper()
		eventually(t, what, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return maps.EqualFunc(known, want, func(string, bool) bool { return true })
		})
		mu.Lock()
		defer mu.Unlock()
		if replaced != lists {
			t.Errorf("%s: listed %d times, want %d", what, replaced, lists)
		}
	}
	is("at first", 1)
	if pages, _ := s.Asked(podsPath); pages != 3 {
		t.Errorf("%d pages", pages)
	}
	s.Put(podsPath, labelled("new", "x"), labelled("unlabelled", "y"))
	s.Delete(podsPath, labelled("p7", "x"))
	want["new"] = true
	delete(want, "p7")
	is("one comes and one goes", 1)
	s.Cut()
	s.Put(podsPath, labelled("meanwhile", "x"))
	want["meanwhile"] = true
	is("cut, and on where it was", 1)
	s.Bookmark(podsPath, labelled("new", "x"))
	s.Put(podsPath, labelled("marked", "x"))
	want["marked"] = true
	is("a bookmark", 1)
	s.Fail(podsPath, apierrors.NewInternalError(fmt.Errorf("for a while")))
	s.Cut()
	s.Put(podsPath, labelled("unseen", "x"))
	s.Compact()
	s.Fail(podsPath, nil)
	want["unseen"] = true
	is("expired", 2)
}

func TestFormats(t *testing.T) {
	t.Run("typed", func(t *testing.T) { follows(t, Typed[*corev1.Pod](podKind)) })
	t.Run("unstructured", func(t *testing.T) { follows(t, Unstructured()) })
	t.Run("metadata", func(t *testing.T) { follows(t, Metadata()) })
}

// TestErrorsKeepTheirReason: whoever is told can tell a missing right from a missing resource.
func TestErrorsKeepTheirReason(t *testing.T) {
	s := watchtest.New(t)
	source := REST[*corev1.Pod]{Client: client(t, s.Config()), Path: podsPath, Format: Typed[*corev1.Pod](podKind)}
	for name, c := range map[string]struct {
		fail apierrors.APIStatus
		is   func(error) bool
	}{
		"not served": {nil, apierrors.IsNotFound},
		"forbidden":  {forbidden, apierrors.IsForbidden},
		"busy":       {apierrors.NewTooManyRequests("busy", 7), apierrors.IsTooManyRequests},
	} {
		s.Fail(podsPath, c.fail)
		_, err := source.List(t.Context(), metav1.ListOptions{}, func(*corev1.Pod) error { return nil })
		_, watchErr := source.Watch(t.Context(), metav1.ListOptions{})
		if !c.is(err) || !c.is(watchErr) {
			t.Errorf("%s: %v, %v", name, err, watchErr)
		}
	}
}

// TestErrorsInAWatchKeepTheirReason: as those of requests do.
func TestErrorsInAWatchKeepTheirReason(t *testing.T) {
	_, err := Unstructured().event([]byte(`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}}`), false, nil)
	if !apierrors.IsForbidden(err) {
		t.Errorf("%v", err)
	}
}

// answering is a source whose server has one answer.
func answering(t *testing.T, kind, body string) REST[*corev1.Pod] {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		for part := range slices.Chunk([]byte(body), 1000) { // as it comes over a network
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return REST[*corev1.Pod]{Client: client(t, &rest.Config{Host: server.URL}), Path: podsPath, Format: Typed[*corev1.Pod](podKind)}
}

// TestWhatIsNoListIsNoEmptyList: it would have everything deleted that was known.
func TestWhatIsNoListIsNoEmptyList(t *testing.T) {
	const list = `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":`
	for name, body := range map[string]string{
		"nothing": "", "null": "null", "{}": "{}", "[]": "[]", "HTML": "<html>", "a text": `"x"`, "a number": "1e999", "noise": "\xff\xfe\x00",
		"cut short": list + "[", "cut shorter": list[:30], "cut after items": list + "[]", "items that are none": list + "{}}", "a pod": `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}`,
		"another list": strings.Replace(list, "PodList", "SecretList", 1) + "[]}", "a status": `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}`,
		"an item of another kind": list + `[{"kind":"Secret","apiVersion":"v1"}]}`, "an item that is none": list + `[7]}`, "wrong metadata": list + `[{"metadata":7}]}`,
		"protobuf cut short": "k8s\x00\x0a\xff\xff\xff\xff\x0f", "protobuf of nothing": "k8s\x00", "nested too deep": list + strings.Repeat(`[{"a":`, 20000),
	} {
		meta, err := answering(t, "application/json", body).List(t.Context(), metav1.ListOptions{}, func(*corev1.Pod) error { return nil })
		if err == nil || len(err.Error()) > 500 {
			t.Errorf("%s: %+v, %.600v", name, meta, err)
		}
	}
	const status = `{"kind":"Status","apiVersion":"v1","metadata":{"resourceVersion":"7"},"status":"Success"}`
	if _, err := Unstructured().readJSON(strings.NewReader(status), nil); err == nil {
		t.Error("a status passes for a list of any kind")
	}
	if _, err := answering(t, "application/json", list+`null,"more":{"a":[1]}}`).List(t.Context(), metav1.ListOptions{}, nil); err != nil {
		t.Errorf("a list without items: %v", err)
	}
}

// TestLargeAnswersAreNotRead: neither a list nor an event fills the memory.
func TestLargeAnswersAreNotRead(t *testing.T) {
	const list = `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"`
	x := strings.Repeat("x", limits.Response)
	for name, body := range map[string]string{"JSON": list + x, "protobuf": "k8s\x00" + x} {
		_, err := answering(t, "?", body).List(t.Context(), metav1.ListOptions{}, func(*corev1.Pod) error { return nil })
		if _, large := err.(*limits.TooLarge); !large {
			t.Errorf("a list as %s: %v", name, err)
		}
	}
	for name, body := range map[string]string{"JSON": `{"type":"ADDED","object":{"metadata":{"name":"` + x, "protobuf": "\x00\xff\xff\xff" + x} {
		stream, err := answering(t, "?", body).Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Next()
		stream.Close()
		if _, large := err.(*limits.TooLarge); !large {
			t.Errorf("an event as %s: %v", name, err)
		}
	}
}

// TestPagesFit: a page that is too large is asked for again in smaller ones, with nothing twice.
func TestPagesFit(t *testing.T) {
	s := watchtest.New(t)
	s.Serve(podsPath, "v1", "Pod")
	for i := range 60 {
		p := labelled(fmt.Sprint("p", i), "x")
		p.Annotations = map[string]string{"a": strings.Repeat("x", 1<<20)}
		s.Put(podsPath, p)
	}
	for name, format := range map[string]Format[*corev1.Pod]{"protobuf": Typed[*corev1.Pod](podKind), "JSON": func() Format[*corev1.Pod] {
		f := Typed[*corev1.Pod](podKind)
		f.accept = "application/json"
		return f
	}()} {
		listed := make(chan []string, 1)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			Run(ctx, Resource[*corev1.Pod, string]{Clock: clock.RealClock{},
				Source: REST[*corev1.Pod]{Client: client(t, s.Config()), Path: podsPath, Format: format}, Trim: (*corev1.Pod).GetName, Pages: make(chan struct{}, 1),
				Into: Sink[string]{Replace: func(all []string) { listed <- all }},
			})
		})
		select {
		case all := <-listed:
			if slices.Sort(all); len(all) != 60 || len(slices.Compact(all)) != 60 {
				t.Errorf("%s: %d pods", name, len(all))
			}
		case <-time.After(patience):
			t.Errorf("%s: not listed", name)
		}
		cancel()
		wg.Wait()
	}
}

// TestObjectsOfAListHaveTheirKind: API servers leave it out of the items of their own kinds.
func TestObjectsOfAListHaveTheirKind(t *testing.T) {
	for name, c := range map[string]struct{ list, want string }{
		"built in": {`{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"x"}}]}`, "apps/v1, Kind=Deployment"},
		"custom":   {`{"apiVersion":"a.example/v1","items":[{"apiVersion":"a.example/v1","kind":"A","metadata":{"name":"x"}}],"kind":"AList","metadata":{"resourceVersion":"7"}}`, "a.example/v1, Kind=A"},
	} {
		got := ""
		_, err := Unstructured().readJSON(strings.NewReader(c.list), func(o *unstructured.Unstructured) error {
			got = o.GroupVersionKind().String()
			return nil
		})
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}
