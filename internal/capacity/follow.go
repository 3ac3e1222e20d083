package capacity

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/watch"
)

// source is all objects of a kind of the core group.
func source[O metav1.Object](client rest.Interface, resource, kind string) watch.Source[O] {
	return watch.REST[O]{
		Client: client, Path: watch.Path(corev1.SchemeGroupVersion.WithResource(resource), ""),
		Format: watch.Typed[O](corev1.SchemeGroupVersion.WithKind(kind)),
	}
}

// slimPod is what is kept of a pod between the wire and the state.
type slimPod struct {
	types.NamespacedName
	pod
	counts bool
}

func slim(p *corev1.Pod) slimPod {
	out := slimPod{NamespacedName: types.NamespacedName{Namespace: p.Namespace, Name: p.Name}}
	out.pod, out.counts = readPod(p)
	return out
}

// podSink takes in what a watch says of pods.
func podSink(s *state, tell func()) watch.Sink[slimPod] {
	set := func(p slimPod, counts bool) {
		if s.setPod(p.NamespacedName, p.pod, counts) {
			tell()
		}
	}
	return watch.Sink[slimPod]{
		Replace: func(list []slimPod) {
			all := make(map[types.NamespacedName]pod, len(list))
			for _, p := range list {
				if p.counts {
					all[p.NamespacedName] = p.pod
				}
			}
			s.replacePods(all)
			tell()
		},
		Apply:  func(p slimPod) { set(p, p.counts) },
		Remove: func(p slimPod) { set(p, false) },
	}
}

// nodeSink takes in what a watch says of nodes.
func nodeSink(s *state, tell func()) watch.Sink[*node] {
	return watch.Sink[*node]{
		Replace: func(list []*node) {
			s.replaceNodes(list)
			tell()
		},
		Apply: func(n *node) {
			if s.setNode(n) {
				tell()
			}
		},
		Remove: func(n *node) {
			if s.removeNode(n.name) {
				tell()
			}
		},
	}
}

// slimVolume is what is kept of a PersistentVolume between the wire and the state.
type slimVolume struct {
	name string
	volume
	bound bool
}

func slimVolumeOf(v *corev1.PersistentVolume) slimVolume {
	out := slimVolume{name: v.Name}
	out.volume, out.bound = readVolume(v)
	return out
}

// volumeSink takes in what a watch says of PersistentVolumes.
func volumeSink(s *state, tell func()) watch.Sink[slimVolume] {
	set := func(v slimVolume, bound bool) {
		if s.setVolume(v.name, v.volume, bound) {
			tell()
		}
	}
	return watch.Sink[slimVolume]{
		Replace: func(list []slimVolume) {
			all := map[string]volume{}
			for _, v := range list {
				if v.bound {
					all[v.name] = v.volume
				}
			}
			s.replaceVolumes(all)
			tell()
		},
		Apply:  func(v slimVolume) { set(v, v.bound) },
		Remove: func(v slimVolume) { set(v, false) },
	}
}
