package capacity

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

func nodesOf(client kubernetes.Interface) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return client.CoreV1().Nodes().List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.CoreV1().Nodes().Watch(ctx, o)
		},
	}, client)
}

func podsOf(client kubernetes.Interface) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return listPods(ctx, client, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return watchPods(ctx, client, o)
		},
	}, client)
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

func volumesOf(client kubernetes.Interface) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return client.CoreV1().PersistentVolumes().List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.CoreV1().PersistentVolumes().Watch(ctx, o)
		},
	}, client)
}

// volumeStore takes in what a watch says of PersistentVolumes.
type volumeStore struct {
	state *state
	tell  func()
}

func (s volumeStore) Add(o any) error    { return s.set(o) }
func (s volumeStore) Update(o any) error { return s.set(o) }
func (s volumeStore) Resync() error      { return nil }

func (s volumeStore) set(o any) error {
	if v, ok := o.(*corev1.PersistentVolume); ok {
		if read, bound := readVolume(v); s.state.setVolume(v.Name, read, bound) {
			s.tell()
		}
	}
	return nil
}

func (s volumeStore) Delete(o any) error {
	if v, ok := o.(*corev1.PersistentVolume); ok && s.state.setVolume(v.Name, volume{}, false) {
		s.tell()
	}
	return nil
}

func (s volumeStore) Replace(list []any, _ string) error {
	all := map[string]volume{}
	for _, o := range list {
		if v, ok := o.(*corev1.PersistentVolume); ok {
			if read, bound := readVolume(v); bound {
				all[v.Name] = read
			}
		}
	}
	s.state.replaceVolumes(all)
	s.tell()
	return nil
}
