package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/limits"
)

// largeMember is an API server that has ConfigMaps, and answers as pages says.
type largeMember struct {
	lists  atomic.Int32
	stream bool // its lists are empty, and page answers watches
	page   func(w http.ResponseWriter, r *http.Request, object func(i int) []byte)
}

func (m *largeMember) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := func(s string) { _, _ = fmt.Fprint(w, s) }
	query := r.URL.Query()
	switch {
	case r.URL.Path == "/api":
		answer(`{"kind":"APIVersions","versions":["v1"]}`)
	case r.URL.Path == "/apis":
		answer(`{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`)
	case r.URL.Path == "/api/v1":
		answer(`{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"configmaps","kind":"ConfigMap","namespaced":true,"verbs":["list","watch","get","create","patch","delete"]}]}`)
	case r.URL.Path != "/api/v1/configmaps":
		w.WriteHeader(http.StatusNotFound)
		answer(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	case m.stream && query.Get("watch") == "":
		answer(`{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}`)
	case query.Get("watch") != "" && !m.stream:
		<-r.Context().Done()
	default:
		m.lists.Add(1)
		m.page(w, r, m.object)
	}
}

// object is a ConfigMap of 500 KiB with a mark that is in order.
func (m *largeMember) object(i int) []byte {
	name := fmt.Sprint("cm", i)
	encoded, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"x": strings.Repeat("x", 500<<10)},
		"metadata": map[string]any{
			"name": name, "namespace": "shop", "uid": "uid-" + name, "resourceVersion": fmt.Sprint(i + 1), "creationTimestamp": "2026-01-01T00:00:00Z",
			"labels":      map[string]any{v1alpha1.LabelManaged: "true"},
			"annotations": map[string]any{v1alpha1.AnnotationOrigin: "another/s@1/t/configmaps/shop/" + name},
		},
	})
	if err != nil {
		return []byte(err.Error())
	}
	return encoded
}

func engageLarge(t *testing.T, m *largeMember, l limits.Limits) *Member {
	h := newHub()
	o := h.options()
	o.Limits = l
	if m.stream {
		h.put(configMaps(), configMap("settings")) // so that they are watched
	}
	member := New("aws", o, h, h)
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); server.CloseClientConnections() })
	if err := member.Engage(ctx, &rest.Config{Host: server.URL, QPS: -1}); err != nil {
		t.Fatal(err)
	}
	return member
}

func withheldIn(m *Member) int {
	list, more := m.Withheld(1)
	return len(list) + more
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// TestLargeObjectsAreNotKept: of what the hub has no template for, it remembers whose it is.
func TestLargeObjectsAreNotKept(t *testing.T) {
	const objects = 60 // of 500 KiB
	for name, m := range map[string]*largeMember{
		"by pages": {page: func(w http.ResponseWriter, r *http.Request, object func(int) []byte) {
			var first, limit int
			_, _ = fmt.Sscan(r.URL.Query().Get("continue"), &first)
			_, _ = fmt.Sscan(r.URL.Query().Get("limit"), &limit)
			next := min(first+limit, objects)
			token := fmt.Sprint(next)
			if next == objects {
				token = ""
			}
			_, _ = fmt.Fprintf(w, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1000","continue":%q},"items":[`, token)
			for i := first; i < next; i++ {
				if i > first {
					_, _ = fmt.Fprint(w, ",")
				}
				if _, err := w.Write(object(i)); err != nil {
					return
				}
			}
			_, _ = fmt.Fprint(w, `]}`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			member := engageLarge(t, m, DefaultLimits())
			// The race detector takes 15 s to read so much.
			waitLonger(t, 3*patience, "all to be withheld", func() bool { return withheldIn(member) == objects }, func() string { return "" })
			if after := heap(); after > before+10<<20 {
				t.Errorf("the heap went from %d to %d MiB", before>>20, after>>20)
			}
			if bytes := member.bytes; bytes > objects*2*recordWeight || bytes < objects*recordWeight {
				t.Errorf("%d bytes are counted", bytes)
			}
			if c := member.Disengaged(); c != nil {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestMemberWithoutEnd: one that lists without end, or sends an object without end, is
// left alone, and nothing of it is kept.
func TestMemberWithoutEnd(t *testing.T) {
	var made atomic.Int64
	for name, m := range map[string]*largeMember{
		"lists": {page: func(w http.ResponseWriter, r *http.Request, _ func(int) []byte) {
			_, _ = fmt.Fprint(w, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1000","continue":"more"},"items":[`)
			for i := range 100 {
				name := fmt.Sprint("cm", made.Add(1))
				_, _ = fmt.Fprintf(w, `%s{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"shop","uid":%q,"resourceVersion":"7","annotations":{"hanse.dev/origin":"h/s@1/t/configmaps/shop/%s"}}}`, strings.Repeat(",", min(i, 1)), name, name, name)
			}
			_, _ = fmt.Fprint(w, `]}`)
		}},
		"an object": {page: func(w http.ResponseWriter, r *http.Request, _ func(int) []byte) {
			_, _ = fmt.Fprint(w, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{},"items":[{"data":{"x":"`)
			for chunk := strings.Repeat("x", 1<<20); ; {
				if _, err := fmt.Fprint(w, chunk); err != nil {
					return
				}
			}
		}},
		"an event": {stream: true, page: func(w http.ResponseWriter, r *http.Request, _ func(int) []byte) {
			_, _ = fmt.Fprint(w, `{"type":"ADDED","object":{"data":{"x":"`)
			for chunk := strings.Repeat("x", 1<<20); ; {
				if _, err := fmt.Fprint(w, chunk); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			member := engageLarge(t, m, limits.Limits{Objects: 2000, Bytes: 100 << 20})
			waitFor(t, "it to be left alone", func() bool { return member.Disengaged() != nil })
			waitFor(t, "all to be forgotten", func() bool {
				member.mu.Lock()
				defer member.mu.Unlock()
				return len(member.records) == 0 && member.session == nil
			})
			lists := m.lists.Load()
			if c := member.Disengaged(); c.Reason != v1alpha1.ReasonTooLarge || !strings.Contains(c.Message, "Try: ") {
				t.Errorf("%+v", c)
			}
			if m.lists.Load() != lists {
				t.Error("it is listed still")
			}
		})
	}
}

func TestExileGrowsAndIsForgotten(t *testing.T) {
	now := clocktesting.NewFakeClock(epoch)
	h := newHub()
	o := h.options()
	o.Clock = now
	m := New("aws", o, h, h)
	var got []time.Duration
	for range 7 {
		pause := m.exile(errors.New("large"), now.Now())
		got = append(got, pause)
		now.Step(pause + time.Second)
	}
	if got[0] != firstTruce || got[1] != 2*firstTruce || got[6] != longestExile {
		t.Errorf("it is left alone for %v", got)
	}
	if m.Disengaged() == nil {
		t.Error("nothing is said of a member that is left alone")
	}
	m.session = &session{}
	if m.Disengaged() == nil {
		t.Error("a session that has just begun is believed")
	}
	now.Step(provenAfter)
	if c := m.Disengaged(); c != nil {
		t.Errorf("a session that has lasted: %+v", c)
	}
	if pause := m.exile(errors.New("large"), now.Now().Add(time.Hour)); pause != firstTruce {
		t.Errorf("after an hour without trouble it is left alone for %v", pause)
	}
}

// TestObjectsAreCutDown: of what the hub has no template for, what says whose it is is left; and what was cut
// down is never taken for the object itself.
func TestObjectsAreCutDown(t *testing.T) {
	r := newMemberRig(t)
	cut := r.session.cutManaged(configMaps())
	r.atHub("wanted", "value")
	wanted := r.unseen("wanted", "uid-wanted", "value", r.origin("wanted").String(), "hanse", 0)
	whole := wanted.DeepCopy()
	if cut(wanted); isCut(wanted) || !reflect.DeepEqual(whole, wanted) {
		t.Errorf("what has a template was cut down: %v", wanted)
	}
	for manager, proven := range map[string]bool{"hanse": true, "velero": false} {
		obj := r.unseen("web"+manager, "uid-web", strings.Repeat("x", 5000), r.origin("web"+manager).String(), manager, 0)
		before, _ := readMark(keyOf("web"+manager), obj)
		obj.SetAnnotations(map[string]string{v1alpha1.AnnotationOrigin: before.Raw, v1alpha1.AnnotationAdopted: "true", "large": strings.Repeat("x", 5000)})
		cut(obj)
		after, ok := readMark(keyOf("web"+manager), obj)
		if !isCut(obj) || !ok || after != before || after.Proven != proven || obj.GetAnnotations()[v1alpha1.AnnotationAdopted] == "" || limits.Weight(obj.Object) > 2*recordWeight {
			t.Errorf("%s: %d bytes are left, with the mark %+v, which was %+v", manager, limits.Weight(obj.Object), after, before)
		}
	}
	stray := r.unseen("stray", "uid-stray", strings.Repeat("x", 5000), "rubbish", "kubectl", 0)
	if cut(stray); limits.Weight(stray.Object) > recordWeight || stray.GetUID() != "uid-stray" || stray.GetAnnotations() != nil {
		t.Errorf("of a copy there is left %v", stray)
	}

	r.work()
	late := r.unseen("late", "uid-late", "value", r.origin("late").String(), "hanse", 0)
	cut(late)
	r.atHub("late", "value") // while the event is on its way
	r.work()
	late.SetResourceVersion("901")
	r.sees.apply(late)
	r.did("for an object that was cut down", []string{"get"})
	if r.member.get(keyOf("late")).live != nil {
		t.Error("it is kept")
	}
}

// TestMemberIsCounted: what is remembered of a member is counted as it comes and goes.
func TestMemberIsCounted(t *testing.T) {
	r := newMemberRig(t)
	r.atHub("web", "value")
	obj := r.there("web", "uid-web", strings.Repeat("x", 50_000), r.origin("web").String(), "hanse", 0)
	if n := r.member.bytes; n < 50_000 || n > 70_000 {
		t.Errorf("%d bytes are counted of an object of 50,000", n)
	}
	r.did("for the object", []string{"patch"})
	if n := r.member.bytes; n < recordWeight || n > 3*recordWeight {
		t.Errorf("%d bytes are counted when it is as it is to be", n)
	}
	r.gone("web")
	r.sees.remove(obj)
	r.work()
	if n := r.member.bytes; n != 0 || len(r.member.records) > 0 {
		t.Errorf("%d bytes are counted of nothing", n)
	}
	ended := false
	r.session.cancel = func() { ended = true }
	r.member.options.Limits = limits.Limits{Objects: 1, Bytes: 1 << 30}
	r.there("a", "uid-a", "value", r.origin("a").String(), "hanse", 0)
	if ended {
		t.Error("a member within its limits is disengaged")
	}
	if r.there("b", "uid-b", "value", r.origin("b").String(), "hanse", 0); !ended {
		t.Error("one beyond its limits is not disengaged")
	}
}
