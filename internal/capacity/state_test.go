package capacity

import (
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func examplePod(i, nodes int) *corev1.Pod {
	yes := true
	p := &corev1.Pod{}
	owner := fmt.Sprintf("web-%d", i/10)
	p.Name, p.Namespace, p.UID = fmt.Sprintf("%s-7d4f9-%d", owner, i), "shop", types.UID(fmt.Sprintf("0d2c5a1e-1111-2222-3333-%012d", i))
	p.Labels = map[string]string{"app": owner, "pod-template-hash": "7d4f9"}
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: owner + "-7d4f9", Controller: &yes}}
	if nodes > 0 {
		p.Spec.NodeName = fmt.Sprintf("node-%d", i%nodes)
	}
	p.Spec.Containers = []corev1.Container{{Name: "c", Image: "registry.example.com/web:1", Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}}}}
	return p
}

func exampleNode(i int) *corev1.Node {
	n := &corev1.Node{}
	n.Name, n.Labels = fmt.Sprintf("node-%d", i), map[string]string{corev1.LabelTopologyZone: fmt.Sprint(i % 3)}
	n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi"), corev1.ResourcePods: resource.MustParse("110")}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	return n
}

func put(s *state, p *corev1.Pod) bool {
	read, counts := readPod(p)
	return s.setPod(types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, read, counts)
}

// Whatever the order of what is heard of pods and nodes, what is known in the end is what a
// first look would see.
func TestEventsComeToWhatAListShows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newState()
		pods, nodes := map[int]*corev1.Pod{}, map[int]*corev1.Node{}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			i := rapid.IntRange(0, 9).Draw(t, "which")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1:
				p := examplePod(i, rapid.IntRange(0, 3).Draw(t, "place"))
				p.Labels["version"] = rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version")
				pods[i] = p
				put(s, p)
			case 2:
				if p := pods[i]; p != nil {
					p.DeletionTimestamp = &metav1.Time{Time: time.Unix(5, 0)}
					put(s, p)
					delete(pods, i)
				}
			case 3:
				if p := pods[i]; p != nil {
					s.setPod(types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, pod{}, false)
					delete(pods, i)
				}
			case 4:
				nodes[i%3] = exampleNode(i % 3)
				s.setNode(readNode(nodes[i%3]))
			case 5:
				delete(nodes, i%3)
				s.removeNode(fmt.Sprintf("node-%d", i%3))
			}
		}
		var allNodes []*corev1.Node
		var allPods []*corev1.Pod
		for i := range 10 {
			if nodes[i] != nil {
				allNodes = append(allNodes, nodes[i])
			}
			if pods[i] != nil {
				allPods = append(allPods, pods[i])
			}
		}
		profile, err := NewProfile(&corev1.PodSpec{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, want := s.newView(), NewView(allNodes, allPods)
		if !reflect.DeepEqual(got.Room(profile, nil), want.Room(profile, nil)) || !reflect.DeepEqual(got.Pods(false), want.Pods(false)) || !reflect.DeepEqual(got.count, want.count) {
			t.Fatalf("known is %+v, to be seen is %+v", got, want)
		}
		inUse := map[string]bool{}
		for _, p := range s.pods {
			inUse[p.shape.id] = true
		}
		if len(s.shapes) != len(inUse) {
			t.Fatalf("%d shapes are kept, %d are in use", len(s.shapes), len(inUse))
		}
	})
}

func TestWhatIsNoNewsIsNotTold(t *testing.T) {
	s := newState()
	if p := examplePod(1, 1); !put(s, p) || put(s, p) || put(s, p.DeepCopy()) {
		t.Error("a pod is news once")
	}
	n := exampleNode(1)
	beat := n.DeepCopy()
	beat.Status.Conditions[0].LastHeartbeatTime = metav1.Unix(9, 0)
	if !s.setNode(readNode(n)) || s.setNode(readNode(beat)) {
		t.Error("a heartbeat is news")
	}
	running := examplePod(1, 1)
	running.Status.Phase, running.Status.PodIP = corev1.PodRunning, "10.0.0.1"
	if put(s, running) {
		t.Error("a pod's address is news")
	}
}

// TestMemory bounds what 10,000 pods of 1,000 workloads cost.
func TestMemory(t *testing.T) {
	before := heap()
	s := newState()
	for i := range 10_000 {
		put(s, examplePod(i, 100))
	}
	used := int64(heap()) - int64(before)
	t.Logf("10,000 pods of 1,000 workloads take %d KiB", used>>10)
	if used > 8<<20 {
		t.Errorf("10,000 pods take %d bytes", used)
	}
	runtime.KeepAlive(s)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkPodEvent is what a pod that changes costs, where there are 10,000.
func BenchmarkPodEvent(b *testing.B) {
	s := newState()
	pods := make([]*corev1.Pod, 10_000)
	for i := range pods {
		pods[i] = examplePod(i, 100)
		put(s, pods[i])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := pods[i%len(pods)]
		p.Spec.NodeName = fmt.Sprintf("node-%d", (i/len(pods)+i)%100)
		put(s, p)
	}
}

// BenchmarkView is what 10,000 pods on 100 nodes come to, after any change.
func BenchmarkView(b *testing.B) {
	s := newState()
	for i := range 100 {
		s.setNode(readNode(exampleNode(i)))
	}
	for i := range 10_000 {
		put(s, examplePod(i, 100))
	}
	profile, err := NewProfile(&corev1.PodSpec{}, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.newView().Room(profile, nil)
	}
}
