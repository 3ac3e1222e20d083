package propagate

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/capacity"
)

// BenchmarkBurst is one of many workloads that are decided in a row, before any has a pod:
// each finds less free than the one before it.
func BenchmarkBurst(b *testing.B) {
	for _, clusters := range []int{3, 100} {
		for _, asks := range []bool{false, true} {
			b.Run(fmt.Sprintf("clusters=%d/requests=%t", clusters, asks), func(b *testing.B) { burst(b, clusters, asks) })
		}
	}
}

func burst(b *testing.B, clusters int, asks bool) {
	var members []*cluster
	for i := range clusters {
		members = append(members, ready(fmt.Sprintf("cluster-%03d", i), 0))
	}
	r := demandingRig(members...)
	for _, c := range members {
		var nodes []*corev1.Node
		for i := range 30 {
			n := &corev1.Node{}
			n.Name, n.Labels = fmt.Sprint("node-", i), map[string]string{corev1.LabelTopologyZone: fmt.Sprint(c.name, "-", i%3)}
			n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse("64"), corev1.ResourceMemory: quantity.MustParse("256Gi"), corev1.ResourcePods: quantity.MustParse("250")}
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			nodes = append(nodes, n)
		}
		r.engine.around.views[c.name] = capacity.NewView(nodes, podsOn(nodes, 1000))
	}
	container := map[string]any{"name": "c"}
	if asks {
		container["resources"] = map[string]any{"requests": map[string]any{"cpu": "10m"}}
	}
	objs := make([]*unstructured.Unstructured, 1000)
	for i := range objs {
		t := r.deploymentOf(fmt.Sprint("web", i), 10, 3, nil, map[string]any{"containers": []any{container}})
		objs[i] = t.obj
		r.sink.remove(t.obj)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(objs) == 0 && i > 0 {
			b.StopTimer()
			for _, obj := range objs {
				r.sink.remove(obj)
			}
			b.StartTimer()
		}
		r.sink.apply(objs[i%len(objs)].DeepCopy())
	}
}

// podsOn is pods of a hundred workloads.
func podsOn(nodes []*corev1.Node, n int) []*corev1.Pod {
	var all []*corev1.Pod
	for w := range 100 {
		for i, p := range podsOf(fmt.Sprint("other", w), n/100) {
			p.Spec.NodeName = nodes[(w+i)%len(nodes)].Name
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = quantity.MustParse("10m")
			all = append(all, p)
		}
	}
	return all
}
