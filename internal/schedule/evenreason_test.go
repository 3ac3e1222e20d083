package schedule_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// TestEvenShareNamesTheRule: where the pods' own anti-affinity could have decided otherwise,
// the reason of an even share names it, also of one that is lower than before.
func TestEvenShareNamesTheRule(t *testing.T) {
	app := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	template := &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app.MatchLabels}}
	template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{LabelSelector: app, TopologyKey: corev1.LabelTopologyZone}},
	}}
	cs := clusters("aws azure google")
	for i := range cs {
		for _, zone := range []string{"a", "b", "c", "d"} {
			cs[i].Domains = append(cs[i].Domains, schedule.Domain{Labels: map[string]string{corev1.LabelTopologyZone: cs[i].Name + zone}})
		}
	}
	const rule = "even share; pod anti-affinity: no two pods with app=web in the same topology.kubernetes.io/zone"
	for _, test := range []struct {
		name    string
		current map[string]int32
		want    string
	}{
		{"new", nil, rule},
		{"rebalanced", map[string]int32{"aws": 4, "azure": 3, "google": 0}, "lowered from 3: " + rule},
	} {
		w := schedule.Workload{Key: "deployments.apps/default/web", Namespace: "default", Divided: true, Total: 6, Template: template,
			Policy: &schedule.Policy{Name: "p", Rebalance: true}, Current: test.current}
		d := schedule.Schedule(w, cs)
		for _, s := range d.Shares {
			if s.Cluster == "azure" && (s.Replicas != 2 || s.Reason != test.want) {
				t.Errorf("%s: azure has %d: %s, want 2: %s\n%s", test.name, s.Replicas, s.Reason, test.want, explain(d))
			}
		}
		if len(d.Shares) != 3 {
			t.Errorf("%s: %s", test.name, explain(d))
		}
	}
}
