package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/watch/watchtest"
)

// BenchmarkIdleWatch measures what a watch costs that says nothing after a list of ten objects and one event: heap and
// stacks, goroutines, and the time to begin and to end. All share a connection. "stream" is the HTTP/2 stream alone with
// what the server in this process takes for it, which the others have, too.
func BenchmarkIdleWatch(b *testing.B) {
	const watches = 1000
	for _, c := range []struct {
		name string
		// begin makes what runs one watch until ctx ends; it calls listed when it has listed, changed after an event.
		begin func(b *testing.B, cfg *rest.Config) func(ctx context.Context, listed, changed func())
	}{{"stream", bare}, {"watch", leaf}, {"reflector", reflector}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				s := watchtest.New(b)
				s.Serve(podsPath, "v1", "Pod")
				for i := range 10 {
					s.Put(podsPath, usual(i))
				}
				run := c.begin(b, s.Config())
				before, goroutines := inUse(), runtime.NumGoroutine()
				ctx, cancel := context.WithCancel(b.Context())
				var running, changed sync.WaitGroup
				changed.Add(watches)
				for i := range watches {
					listed := make(chan struct{})
					running.Go(func() { run(ctx, func() { close(listed) }, changed.Done) })
					<-listed
					for watched := 0; watched <= i; runtime.Gosched() {
						_, watched = s.Asked(podsPath)
					}
				}
				s.Put(podsPath, usual(0))
				changed.Wait()
				b.StopTimer()
				b.ReportMetric(float64(inUse()-before)/watches, "B/watch")
				b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/watches, "goroutines/watch")
				b.StartTimer()
				cancel()
				running.Wait()
			}
		})
	}
}

// usual is a pod of 3 KB.
func usual(i int) *corev1.Pod {
	p := labelled(fmt.Sprint(i), "x")
	p.Spec.NodeName = ""
	for j := range 40 {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: fmt.Sprint("container-", j), Image: "registry.example.org/a/b/c"})
	}
	return p
}

// inUse is the heap that is in use and the stacks, after stacks have had the occasion to shrink.
func inUse() int64 {
	var m runtime.MemStats
	for range 3 {
		debug.FreeOSMemory()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func bare(b *testing.B, cfg *rest.Config) func(context.Context, func(), func()) {
	source := REST[*unstructured.Unstructured]{Client: client(b, cfg), Path: podsPath, Format: Unstructured()}
	return func(ctx context.Context, listed, changed func()) {
		if s, err := source.Watch(ctx, metav1.ListOptions{ResourceVersion: "110"}); err == nil {
			listed()
			if _, err = s.Next(); err == nil {
				changed()
			}
			context.AfterFunc(ctx, s.Close)
		}
	}
}

func leaf(b *testing.B, cfg *rest.Config) func(context.Context, func(), func()) {
	source := REST[*unstructured.Unstructured]{Client: client(b, cfg), Path: podsPath, Format: Unstructured()}
	return func(ctx context.Context, listed, changed func()) {
		Run(ctx, Resource[*unstructured.Unstructured, string]{Clock: clock.RealClock{},
			Name: "pods", Source: source, Trim: (*unstructured.Unstructured).GetName,
			Into: Sink[string]{Replace: func([]string) { listed() }, Apply: func(string) { changed() }, Remove: func(string) {}},
		})
	}
}

// reflector is client-go's, with the dynamic client.
func reflector(b *testing.B, cfg *rest.Config) func(context.Context, func(), func()) {
	cfg.QPS = -1
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		b.Fatal(err)
	}
	pods := client.Resource(corev1.SchemeGroupVersion.WithResource("pods"))
	source := listsOnly{&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (kruntime.Object, error) { return pods.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			return pods.Watch(ctx, o)
		},
	}}
	return func(ctx context.Context, listed, changed func()) {
		cache.NewReflectorWithOptions(source, &unstructured.Unstructured{}, nothing{listed, changed}, cache.ReflectorOptions{Name: "pods"}).RunWithContext(ctx)
	}
}

// listsOnly has a Reflector list before it watches, as the leaf does.
type listsOnly struct{ *cache.ListWatch }

func (listsOnly) IsWatchListSemanticsUnSupported() bool { return true }

type nothing struct{ listed, changed func() }

func (nothing) Add(any) error                 { return nil }
func (n nothing) Update(any) error            { n.changed(); return nil }
func (nothing) Delete(any) error              { return nil }
func (nothing) Resync() error                 { return nil }
func (n nothing) Replace([]any, string) error { n.listed(); return nil }

// BenchmarkPage measures what it takes to read a page of 500 objects of 3 KB as JSON, beside client-go's way with the
// dynamic client, which has all of it in memory.
func BenchmarkPage(b *testing.B) {
	list := &corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
	for i := range pageSize {
		list.Items = append(list.Items, *usual(i))
	}
	data, err := json.Marshal(list)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("watch", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if _, err := Unstructured().readJSON(bytes.NewReader(data), func(*unstructured.Unstructured) error { n++; return nil }); err != nil || n != pageSize {
				b.Fatal(n, err)
			}
		}
		b.SetBytes(int64(len(data)))
	})
	b.Run("client-go", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := unstructured.UnstructuredJSONScheme.Decode(data, nil, nil); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(len(data)))
	})
}
