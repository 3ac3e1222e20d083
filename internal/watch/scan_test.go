package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/watch/watchtest"
)

func TestHead(t *testing.T) {
	plainly := Head{Namespace: "shop", Name: "web", UID: "u", ResourceVersion: "7"}
	for object, want := range map[string]Head{
		`{"metadata":{"name":"web","namespace":"shop","uid":"u","resourceVersion":"7"}}`:                                                                                               plainly,
		" {\n\"kind\" : \"X\" , \"metadata\" :\t{ \"uid\":\"u\",\"resourceVersion\":\"7\",\"namespace\":\"shop\" ,\"name\":\"web\"} , \"n\": 1e3 } ":                                   plainly,
		`{"spec":{"metadata":{"uid":"other"}},"data":["}",{"a":"\"}\\"}],"metadata":{"labels":{"uid":"no"},"name":"web","namespace":"shop","uid":"u","resourceVersion":"7"},"x":null}`: plainly,
		`{"metadata":{"name":"node","uid":"u","resourceVersion":"7"}}`:                                                                                                                 {Name: "node", UID: "u", ResourceVersion: "7"},
		// What is not sure is decoded.
		`{"metadata":{"name":"web","uid":"u","resourceVersion":"7"},"metadata":{"name":"web","uid":"u","resourceVersion":"8"}}`: {},
		`{"metadata":{"name":"web","uid":"u","resourceVersion":"7","resourceVersion":"8"}}`:                                     {},
		`{"metadata":{"name":"web","uid":"u","resourceVersion":"7"},"metad\u0061ta":{}}`:                                        {},
		`{"metadata":{"name":"w\u0065b","uid":"u","resourceVersion":"7"}}`:                                                      {},
		"{\"metadata\":{\"name\":\"w\xff\",\"uid\":\"u\",\"resourceVersion\":\"7\"}}":                                           {},
		`{"metadata":{"name":"web","uid":"u","resourceVersion":7}}`:                                                             {},
		`{"metadata":{"name":"web","uid":"u"}}`:                                                                                 {},
		`{"metadata":{"name":"web","uid":"u","resourceVersion":"7"}`:                                                            {},
		`{"metadata":[],"x":{}}`: {}, `{}`: {}, `[]`: {}, `null`: {}, ``: {}, `{"a"}`: {}, `{"a":}`: {}, `{"a":"`: {}, `{"a":"\`: {},
	} {
		h, ok := headOf([]byte(object))
		if ok != (want != Head{}) || ok && h != want {
			t.Errorf("%s: %+v, %v", object, h, ok)
		}
	}
}

// FuzzHead: what is read of a head is what is decoded.
func FuzzHead(f *testing.F) {
	for _, seed := range []string{
		`{"metadata":{"name":"web","namespace":"shop","uid":"u","resourceVersion":"7"}}`, `{"a":"\\\"}","metadata":{"uid":"u","resourceVersion":"1"}}`,
		`{"metadata":{"uid":"u","uid":"","resourceVersion":"7"}}`, `{"metadata":{"uid":"u","resourceVersion":"7"},"metadata":null}`, `{"metadata":{"uid":"","uid":"u","resourceVersion":"7"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		h, ok := headOf(object)
		o, err := Unstructured().decode(object)
		if !ok || err != nil {
			return
		}
		if got := (Head{o.GetNamespace(), o.GetName(), types.UID(o.GetUID()), o.GetResourceVersion()}); got != h {
			t.Errorf("%+v, decoded %+v", h, got)
		}
	})
}

// FuzzEvent: the parts of an event are what is decoded.
func FuzzEvent(f *testing.F) {
	for _, seed := range []string{
		`{"type":"ADDED","object":{"a":1}}`, `{"object":{},"type":"ADDED"}`, `{"Type":"ADDED","object":{}}`, `{"type":"A","type":"B","object":{}}`,
		`{"type":"A","object":null}`, `{"type":"A","object":{},"x":1}`, `{"type":"\u0041","object":{}}`, `{"type":null,"object":{}}`, `{"type":"A","OBJECT":{"a":1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		kind, object, err := eventOf(frame)
		var want metav1.WatchEvent
		if json.Unmarshal(frame, &want) != nil {
			return
		}
		if err != nil || kind != want.Type || !bytes.Equal(object, want.Object.Raw) {
			t.Errorf("%q %q, %v, want %q %q", kind, object, err, want.Type, want.Object.Raw)
		}
	})
}

// TestWhatIsKnownIsNotDecoded: the watch goes on from its version nevertheless, and what is new is told.
func TestWhatIsKnownIsNotDecoded(t *testing.T) {
	s := watchtest.New(t)
	s.Serve(podsPath, "v1", "Pod")
	var mu sync.Mutex
	var asked, told []string
	source := REST[*unstructured.Unstructured]{Client: client(t, s.Config()), Path: podsPath, Format: Unstructured(), Known: func(h Head) bool {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, h.Namespace+"/"+h.Name)
		return strings.HasPrefix(h.Name, "known")
	}}
	ctx, cancel := context.WithCancel(t.Context())
	listed := make(chan struct{}, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		note := func(what string) func(*unstructured.Unstructured) {
			return func(o *unstructured.Unstructured) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, what+o.GetName())
			}
		}
		Run(ctx, Resource[*unstructured.Unstructured, *unstructured.Unstructured]{Clock: clock.RealClock{}, Source: source, Trim: Whole[*unstructured.Unstructured],
			Into: Sink[*unstructured.Unstructured]{Replace: func([]*unstructured.Unstructured) { listed <- struct{}{} }, Apply: note("+"), Remove: note("-")},
		})
	})
	<-listed
	saw := func(want ...string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Equal(told, want)
		}
	}
	pod := func(name string) *corev1.Pod {
		p := labelled(name, "x")
		p.UID = types.UID(name)
		return p
	}
	known := pod("known")
	s.Put(podsPath, known, pod("other"))
	eventually(t, "the other is told", saw("+other"))
	s.Put(podsPath, pod("known-2"))
	eventually(t, "it was asked about all", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Equal(asked, []string{"shop/known", "shop/other", "shop/known-2"})
	})
	s.Cut() // what was passed over is not told again
	s.Put(podsPath, pod("later"))
	eventually(t, "the later one is told", saw("+other", "+later"))
	s.Delete(podsPath, known)
	eventually(t, "a deletion is told always", saw("+other", "+later", "-known"))
	cancel()
	wg.Wait()
	if len(listed) > 0 || slices.Contains(asked[3:], "shop/known-2") {
		t.Errorf("asked about %v", asked)
	}
}

// BenchmarkEvent is what an event costs that tells of an object, and one that tells of a version that is known.
func BenchmarkEvent(b *testing.B) {
	pod := usual(0)
	pod.UID, pod.ResourceVersion = "u", "7"
	raw, err := json.Marshal(pod)
	if err != nil {
		b.Fatal(err)
	}
	frame := slices.Concat([]byte(`{"type":"MODIFIED","object":`), raw, []byte("}\n"))
	for name, known := range map[string]func(Head) bool{"new": nil, "known": func(Head) bool { return true }} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Unstructured().event(frame, false, known); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
