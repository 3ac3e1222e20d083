package question

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func sized(name, cpu string, nodes int32, change func(*v1alpha1.Cluster)) v1alpha1.Cluster {
	c := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Status.Nodes = nodes
	c.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse(cpu), corev1.ResourceMemory: quantity.MustParse("64Gi"), corev1.ResourcePods: quantity.MustParse("110")}
	meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Planned"})
	if change != nil {
		change(&c)
	}
	return c
}

// TestPlanComparesWithNodes plans with nothing but the sizes of clusters.
func TestPlanComparesWithNodes(t *testing.T) {
	object := func(replicas, cpu string) *unstructured.Unstructured {
		obj := &unstructured.Unstructured{}
		must(t, yaml.Unmarshal([]byte(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: `+replicas+`
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, resources: {requests: {cpu: "`+cpu+`"}}}]
      affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
        {topologyKey: hanse.dev/cluster, labelSelector: {matchLabels: {app: cache}}}]}}`), &obj.Object))
		return obj
	}
	elastic := func(c *v1alpha1.Cluster) { c.Spec.Elastic = true }
	for name, test := range map[string]struct {
		clusters      []v1alpha1.Cluster
		replicas, cpu string
		want          string
		unplaced      int32
	}{
		"as far as they fit":   {[]v1alpha1.Cluster{sized("aws", "2", 2, nil), sized("azure", "8", 2, nil)}, "6", "1", "aws=2,azure=4", 0},
		"by node, not in all":  {[]v1alpha1.Cluster{sized("aws", "4", 4, nil), sized("azure", "8", 2, nil)}, "3", "2", "azure=3", 0},
		"an elastic one grows": {[]v1alpha1.Cluster{sized("aws", "1", 1, elastic)}, "5", "2", "aws=5", 0},
		"nowhere":              {[]v1alpha1.Cluster{sized("aws", "1", 1, nil)}, "5", "2", "", 5},
		"size not known":       {[]v1alpha1.Cluster{sized("aws", "1", 0, nil)}, "5", "2", "aws=5", 0},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := NewPlanner(test.clusters, nil, start)
			must(t, err)
			d, _ := p.Plan(object(test.replicas, test.cpu), nil)
			if d.String() != test.want || d.Unplaced != test.unplaced {
				t.Errorf("%s, %d not placed, because %s; want %s, %d", d, d.Unplaced, d.Reason, test.want, test.unplaced)
			}
			if test.unplaced > 0 && !strings.Contains(d.Reason, "no room for cpu "+test.cpu) {
				t.Errorf("it says %s", d.Reason)
			}
		})
	}
}
