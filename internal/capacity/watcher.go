package capacity

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/reading"
)

// settleTime is how long changes of one cluster are collected before they are
// told of: a rollout is a few events, not thousands.
const settleTime = 200 * time.Millisecond

// Watcher watches members. Its methods may be called from any goroutine.
type Watcher struct {
	changed func(cluster string)
	wanted  chan struct{} // closed by Want
	want    sync.Once
	volumes chan struct{} // closed by WantVolumes
	claims  sync.Once

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
	return &Watcher{changed: changed, wanted: make(chan struct{}), volumes: make(chan struct{}), clusters: map[string]*watched{}}
}

// Want begins to watch: somebody needs to know. It does not block, and may be
// called any number of times.
func (w *Watcher) Want() { w.want.Do(func() { close(w.wanted) }) }

// WantVolumes is Want, also for the members' PersistentVolumes.
func (w *Watcher) WantVolumes() {
	w.Want()
	w.claims.Do(func() { close(w.volumes) })
}

// Engage begins to watch a member, until ctx ends and as soon as somebody
// wants it: the terms are those of fleet.Propagator. It does not block.
func (w *Watcher) Engage(ctx context.Context, name string, cfg *rest.Config) {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	w.engage(ctx, name, func() (kubernetes.Interface, error) { return kubernetes.NewForConfig(cfg) })
}

// engage makes the client when it is wanted: it is large.
func (w *Watcher) engage(ctx context.Context, name string, connect func() (kubernetes.Interface, error)) {
	s := w.cluster(name).state
	go func() {
		select {
		case <-w.wanted:
		case <-ctx.Done():
			return
		}
		client, err := connect()
		if err != nil {
			klog.FromContext(ctx).Error(err, "Member's capacity cannot be watched", "cluster", name)
			return
		}
		follow := func(what string, example runtime.Object, source cache.ListerWatcher, into cache.ReflectorStore) {
			reading.Follow(ctx, reading.Resource{
				Name: name + "/" + what, Source: source, Example: example, Into: into,
				Told: func(err error) { s.setUnread(what, err) },
			})
		}
		tell := func() { w.tell(name) }
		var wg sync.WaitGroup
		wg.Go(func() { follow("nodes", &corev1.Node{}, nodesOf(client), nodeStore{s, tell}) })
		wg.Go(func() { follow("pods", &slimPod{}, podsOf(client), podStore{s, tell}) })
		wg.Go(func() {
			select {
			case <-w.volumes:
				follow("persistentvolumes", &corev1.PersistentVolume{}, volumesOf(client), volumeStore{s, tell})
			case <-ctx.Done():
			}
		})
		wg.Wait()
		s.forgetUnread()
	}()
}

// Unread is what of a cluster that is engaged cannot be read, by resource, and why: its
// View is as last seen.
func (w *Watcher) Unread(cluster string) map[string]error {
	w.mu.Lock()
	c := w.clusters[cluster]
	w.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.unreadNow()
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
