package decide

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/template"
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
	members := many(clusters)
	r := demandingRig(members...)
	for _, c := range members {
		var nodes []*corev1.Node
		for i := range 30 {
			n := &corev1.Node{}
			n.Name, n.Labels = fmt.Sprint("node-", i), map[string]string{corev1.LabelTopologyZone: fmt.Sprint(c.Name, "-", i%3)}
			n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse("64"), corev1.ResourceMemory: quantity.MustParse("256Gi"), corev1.ResourcePods: quantity.MustParse("250")}
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			nodes = append(nodes, n)
		}
		r.w.room.Measured(c.Name, capacity.NewView(nodes, podsOn(nodes, 1000)), r.w.now)
	}
	container := map[string]any{"name": "c"}
	if asks {
		container["resources"] = map[string]any{"requests": map[string]any{"cpu": "10m"}}
	}
	read := make([]*template.Template, 1000)
	for i := range read {
		a := r.deploymentOf(fmt.Sprint("web", i), 10, 3, nil, map[string]any{"containers": []any{container}})
		read[i] = a.Template
		r.remove(a)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(read) == 0 && i > 0 {
			b.StopTimer()
			for _, t := range read {
				r.apply(Deleted{t.Key, t.UID})
			}
			b.StartTimer()
		}
		t, _ := template.Read(r.gr, read[i%len(read)].Object.DeepCopy(), r.hasher.Content, nil)
		r.w.Apply(Written{t}, r.now)
	}
}

// BenchmarkStatusOnly is a write of an object's status at the hub.
func BenchmarkStatusOnly(b *testing.B) {
	for _, clusters := range []int{3, 100} {
		b.Run(fmt.Sprintf("clusters=%d", clusters), func(b *testing.B) {
			r := newRig(deployments())
			r.clusters(many(clusters)...)
			t := r.deployment("web", 10, 9, nil).Template
			b.ReportAllocs()
			for b.Loop() {
				next := *t
				next.Revision++
				r.w.Apply(Written{&next}, r.now)
			}
		})
	}
}

// BenchmarkSeen is a member that shows another status of what it runs.
func BenchmarkSeen(b *testing.B) {
	r := newRig(deployments())
	r.clusters(many(100)...)
	web := r.deployment("web", 10, 300, nil)
	for _, name := range r.w.names {
		r.engage(name)
		r.apply(Seen{name, web.Key, there(web.UID, 3, map[string]any{"readyReplicas": int64(3)})})
	}
	o := there(web.UID, 3, map[string]any{"readyReplicas": int64(3)})
	b.ReportAllocs()
	for b.Loop() {
		r.w.Apply(Seen{"cluster-050", web.Key, o}, r.now)
	}
}

// BenchmarkDecideAll is a change of a cluster that concerns everything there is. It tells the longest slice.
func BenchmarkDecideAll(b *testing.B) {
	r := newRig(deployments())
	members := many(100)
	r.clusters(members...)
	for i := range 10_000 {
		r.deployment(fmt.Sprint("web", i), 10, 200, nil)
	}
	longest := time.Duration(0)
	for i := 0; b.Loop(); i++ {
		changed := *members[0]
		changed.Cordoned = i%2 == 0
		members[0] = &changed
		all := map[string]*Cluster{}
		for _, c := range members {
			all[c.Name] = c
		}
		began := time.Now()
		r.w.now = r.now
		r.w.setClusters(all)
		r.w.slice()
		r.w.finish()
		longest = max(longest, time.Since(began))
		for r.w.backlog.Some() {
			began = time.Now()
			r.w.Apply(Tick{}, r.now)
			longest = max(longest, time.Since(began))
		}
	}
	b.ReportMetric(float64(longest.Microseconds()), "µs-longest")
}

// BenchmarkFork copies a World for a question.
func BenchmarkFork(b *testing.B) {
	r := newRig(deployments())
	r.clusters(many(100)...)
	for i := range 10_000 {
		r.deployment(fmt.Sprint("web", i), 10, 200, nil)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.w.Fork()
	}
}

func many(n int) (all []*Cluster) {
	for i := range n {
		all = append(all, ready(fmt.Sprintf("cluster-%03d", i), 0))
	}
	return all
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
