package capacity

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/watch"
)

// settleTime is how long changes of one cluster are collected before they are
// told of: a rollout is a few events, not thousands.
const settleTime = 200 * time.Millisecond

// pagesAtOnce is how many pages of lists of one member are in memory at the
// same time.
const pagesAtOnce = 2

// Watcher watches members. Its methods may be called from any goroutine.
type Watcher struct {
	changed func(cluster string)
	clock   clock.WithDelayedExecution
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
	timer clock.Timer // of the next call of changed; nil: none is due
}

// New makes a Watcher. changed is called, from a goroutine of its own, when
// the View of a cluster is another than before, a little later and not for
// every pod.
func New(changed func(cluster string), c clock.WithDelayedExecution) *Watcher {
	return &Watcher{changed: changed, clock: c, wanted: make(chan struct{}), volumes: make(chan struct{}), clusters: map[string]*watched{}}
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
	s := w.cluster(name).state
	go func() {
		select {
		case <-w.wanted:
		case <-ctx.Done():
			return
		}
		client, err := watch.NewClient(cfg) // not before: it is large
		if err != nil {
			klog.FromContext(ctx).Error(err, "Member's capacity cannot be watched", "cluster", name)
			return
		}
		w.watch(ctx, name, s, client)
		s.forgetUnread()
	}()
}

// watch blocks until ctx ends.
func (w *Watcher) watch(ctx context.Context, name string, s *state, client rest.Interface) {
	tell := func() { w.tell(name) }
	told := func(resource string) func(error) {
		return func(err error) { s.setUnread(resource, err) }
	}
	pages := make(chan struct{}, pagesAtOnce)
	var wg sync.WaitGroup
	wg.Go(func() {
		watch.Run(ctx, watch.Resource[*corev1.Node, *node]{
			Name: name + "/nodes", Source: source[*corev1.Node](client, "nodes", "Node"), Trim: readNode,
			Into: nodeSink(s, tell), Pages: pages, Told: told("nodes"), Clock: w.clock,
		})
	})
	wg.Go(func() {
		watch.Run(ctx, watch.Resource[*corev1.Pod, slimPod]{
			Name: name + "/pods", Source: source[*corev1.Pod](client, "pods", "Pod"), Trim: slim,
			Into: podSink(s, tell), Pages: pages, Told: told("pods"), Clock: w.clock,
		})
	})
	wg.Go(func() {
		select {
		case <-w.volumes:
			watch.Run(ctx, watch.Resource[*corev1.PersistentVolume, slimVolume]{
				Name: name + "/persistentvolumes", Source: source[*corev1.PersistentVolume](client, "persistentvolumes", "PersistentVolume"),
				Trim: slimVolumeOf, Into: volumeSink(s, tell), Pages: pages, Told: told("persistentvolumes"), Clock: w.clock,
			})
		case <-ctx.Done():
		}
	})
	wg.Wait()
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
	c.timer = w.clock.AfterFunc(settleTime, func() {
		w.mu.Lock()
		c.timer = nil
		w.mu.Unlock()
		w.changed(name)
	})
}
