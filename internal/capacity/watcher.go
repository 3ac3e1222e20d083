package capacity

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// settleTime is how long changes of one cluster are collected before they are
// told of: a rollout is a few events, not thousands.
const settleTime = 200 * time.Millisecond

// Watcher watches members. Its methods may be called from any goroutine.
type Watcher struct {
	changed func(cluster string)
	wanted  chan struct{} // closed by Want
	want    sync.Once

	mu       sync.Mutex
	clusters map[string]*watched
}

// watched is a member that was engaged at least once.
type watched struct {
	*state
	timer *time.Timer // of the next call of changed; nil: none is due
}

// New makes a Watcher. changed is called, from a goroutine of its own, when
// the View of a cluster is another than before, a little later and not for
// every pod.
func New(changed func(cluster string)) *Watcher {
	return &Watcher{changed: changed, wanted: make(chan struct{}), clusters: map[string]*watched{}}
}

// Want begins to watch: somebody needs to know. It does not block, and may be
// called any number of times.
func (w *Watcher) Want() { w.want.Do(func() { close(w.wanted) }) }

// Engage begins to watch a member, until ctx ends and as soon as somebody
// wants it: the terms are those of fleet.Propagator. It does not block.
func (w *Watcher) Engage(ctx context.Context, name string, cfg *rest.Config) {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Member's capacity cannot be watched", "cluster", name)
		return
	}
	w.engage(ctx, name, client)
}

func (w *Watcher) engage(ctx context.Context, name string, client kubernetes.Interface) {
	s := w.cluster(name).state
	go func() {
		select {
		case <-w.wanted:
		case <-ctx.Done():
			return
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			follow(ctx, name+"/nodes", &corev1.Node{}, nodesOf(client), nodeStore{s, func() { w.tell(name) }})
		})
		wg.Go(func() { follow(ctx, name+"/pods", &slimPod{}, podsOf(client), podStore{s, func() { w.tell(name) }}) })
		wg.Wait()
	}()
}

// View is what is known of a cluster, nil until all of it has been read once.
func (w *Watcher) View(cluster string) *View {
	w.mu.Lock()
	c := w.clusters[cluster]
	w.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.current()
}

// Forget drops what is known of a cluster that left.
func (w *Watcher) Forget(cluster string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.clusters[cluster]; c != nil && c.timer != nil {
		c.timer.Stop()
	}
	delete(w.clusters, cluster)
}

func (w *Watcher) cluster(name string) *watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[name]
	if c == nil {
		c = &watched{state: newState()}
		w.clusters[name] = c
	}
	return c
}

// tell has changed called before long.
func (w *Watcher) tell(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[name]
	if c == nil || c.timer != nil {
		return
	}
	c.timer = time.AfterFunc(settleTime, func() {
		w.mu.Lock()
		c.timer = nil
		w.mu.Unlock()
		w.changed(name)
	})
}

func nodesOf(client kubernetes.Interface) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return client.CoreV1().Nodes().List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.CoreV1().Nodes().Watch(ctx, o)
		},
	}
}

func podsOf(client kubernetes.Interface) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return listPods(ctx, client, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return watchPods(ctx, client, o)
		},
	}
}

// follow lists and watches until ctx ends, through whatever happens to the
// connection.
func follow(ctx context.Context, name string, example runtime.Object, source *cache.ListWatch, into cache.ReflectorStore) {
	cache.NewReflectorWithOptions(source, example, into, cache.ReflectorOptions{
		Name:    name,
		Backoff: &wait.Backoff{Duration: 200 * time.Millisecond, Cap: 3 * time.Second, Steps: 10, Factor: 2, Jitter: 0.5},
	}).RunWithContext(ctx)
}

// podStore takes in what a watch says of pods.
type podStore struct {
	state *state
	tell  func()
}

func (s podStore) Add(o any) error    { return s.set(o) }
func (s podStore) Update(o any) error { return s.set(o) }
func (s podStore) Resync() error      { return nil }

func (s podStore) set(o any) error {
	if p, ok := o.(*slimPod); ok && s.state.setPod(nameOf(p), p.pod, p.counts) {
		s.tell()
	}
	return nil
}

func (s podStore) Delete(o any) error {
	if p, ok := o.(*slimPod); ok && s.state.setPod(nameOf(p), pod{}, false) {
		s.tell()
	}
	return nil
}

func (s podStore) Replace(list []any, _ string) error {
	all := make(map[types.NamespacedName]pod, len(list))
	for _, o := range list {
		if p, ok := o.(*slimPod); ok && p.counts {
			all[nameOf(p)] = p.pod
		}
	}
	s.state.replacePods(all)
	s.tell()
	return nil
}

func nameOf(p *slimPod) types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
}

// nodeStore takes in what a watch says of nodes.
type nodeStore struct {
	state *state
	tell  func()
}

func (s nodeStore) Add(o any) error    { return s.set(o) }
func (s nodeStore) Update(o any) error { return s.set(o) }
func (s nodeStore) Resync() error      { return nil }

func (s nodeStore) set(o any) error {
	if n, ok := o.(*corev1.Node); ok && s.state.setNode(readNode(n)) {
		s.tell()
	}
	return nil
}

func (s nodeStore) Delete(o any) error {
	if n, ok := o.(*corev1.Node); ok && s.state.removeNode(n.Name) {
		s.tell()
	}
	return nil
}

func (s nodeStore) Replace(list []any, _ string) error {
	all := make([]*node, 0, len(list))
	for _, o := range list {
		if n, ok := o.(*corev1.Node); ok {
			all = append(all, readNode(n))
		}
	}
	s.state.replaceNodes(all)
	s.tell()
	return nil
}
