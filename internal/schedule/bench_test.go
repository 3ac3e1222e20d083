package schedule_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// fleetOf is n clusters in 12 regions of 3 clouds, each with 3 zones.
func fleetOf(n int) []schedule.Cluster {
	cs := make([]schedule.Cluster, n)
	for i := range cs {
		region := i % 12
		cs[i] = schedule.Cluster{Name: fmt.Sprintf("cluster-%04d", i), Ready: i%50 != 49, Labels: map[string]string{
			corev1.LabelTopologyRegion: fmt.Sprintf("region-%d", region), "hanse.dev/provider": fmt.Sprintf("cloud-%d", region%3)}}
		for z := range 3 {
			cs[i].Domains = append(cs[i].Domains, schedule.Domain{
				Labels: map[string]string{corev1.LabelTopologyZone: fmt.Sprintf("region-%d-%d", region, z)},
				Nodes:  []schedule.NodeGroup{{Count: 4, Free: schedule.Resources{MilliCPU: 4000, Memory: 8 << 30, Pods: 100}}},
			})
		}
	}
	return cs
}

func plainTemplate() *corev1.PodTemplateSpec {
	return &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "whoami"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}}}}},
	}
}

func constrainedTemplate() *corev1.PodTemplateSpec {
	t := plainTemplate()
	self := &metav1.LabelSelector{MatchLabels: t.Labels}
	t.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "hanse.dev/provider", Operator: corev1.NodeSelectorOpIn, Values: []string{"cloud-0", "cloud-1"}}}}}},
	}}
	t.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelTopologyRegion, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: self}}
	return t
}

// BenchmarkDecision is one decision, from nothing, in a snapshot that others
// share.
func BenchmarkDecision(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 5000} {
		snapshot := schedule.NewSnapshot(fleetOf(n), schedule.Surroundings{})
		for _, bench := range []struct {
			name     string
			template *corev1.PodTemplateSpec
			policy   *schedule.Policy
			total    int
		}{
			{"plain", nil, nil, 3 * n},
			{"capacity", plainTemplate(), nil, 3 * n},
			{"spread", constrainedTemplate(), nil, 3 * n},
			{"spread12", constrainedTemplate(), nil, 12},
			{"free", plainTemplate(), &schedule.Policy{Strategy: schedule.FreeCapacity, Max: map[string]int32{"*": 50}}, 3 * n},
		} {
			b.Run(fmt.Sprintf("%s/clusters=%d", bench.name, n), func(b *testing.B) {
				w := schedule.Workload{Key: "deployments.apps/default/whoami", Namespace: "default", Total: int32(bench.total), Divided: true,
					Template: bench.template, Policy: bench.policy}
				snapshot.Schedule(&w)
				b.ReportAllocs()
				for b.Loop() {
					snapshot.Schedule(&w)
				}
			})
		}
	}
}

// BenchmarkWorkloads is 10,000 workloads on 100 clusters that already run them:
// what a hub does when it starts.
func BenchmarkWorkloads(b *testing.B) {
	snapshot := schedule.NewSnapshot(fleetOf(100), schedule.Surroundings{})
	ws := make([]schedule.Workload, 10_000)
	for i := range ws {
		ws[i] = schedule.Workload{Key: fmt.Sprintf("deployments.apps/default/app-%d", i), Namespace: "default", Total: 6, Divided: true, Template: plainTemplate()}
		if i%10 == 0 {
			ws[i].Template = constrainedTemplate()
		}
		ws[i].Current = snapshot.Schedule(&ws[i]).Division()
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range ws {
			snapshot.Schedule(&ws[i])
		}
	}
}
