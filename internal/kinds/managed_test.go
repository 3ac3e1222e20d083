package kinds

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func TestManagedSelector(t *testing.T) {
	const managed, slices, endpoints = v1alpha1.LabelManaged, "endpointslice.kubernetes.io/managed-by", "endpoints.kubernetes.io/managed-by"
	for _, c := range []struct {
		group, resource string
		labels          labels.Set
		want            bool
	}{
		{"", "configmaps", labels.Set{managed: "true"}, true},
		{"", "configmaps", labels.Set{managed: "false"}, false},
		{"", "endpoints", labels.Set{managed: "true"}, true},
		{"", "endpoints", labels.Set{managed: "true", endpoints: "endpoint-controller"}, false},
		{"discovery.k8s.io", "endpointslices", labels.Set{managed: "true"}, true},
		{"discovery.k8s.io", "endpointslices", labels.Set{managed: "true", slices: "a-team"}, true},
		{"discovery.k8s.io", "endpointslices", labels.Set{managed: "true", slices: "endpointslice-controller.k8s.io"}, false},
		{"discovery.k8s.io", "endpointslices", labels.Set{managed: "true", slices: "endpointslicemirroring-controller.k8s.io"}, false},
		{"discovery.k8s.io", "endpointslices", labels.Set{slices: "a-team"}, false},
	} {
		gr := schema.GroupResource{Group: c.group, Resource: c.resource}
		selector, err := labels.Parse(ManagedSelector(gr))
		if err != nil {
			t.Fatal(err)
		}
		if got := selector.Matches(c.labels); got != c.want {
			t.Errorf("%s selects %s with %v: %v", selector, gr, c.labels, got)
		}
		// What is not watched in members is not written there either.
		obj := &unstructured.Unstructured{}
		obj.SetLabels(c.labels)
		if _, stays := NewTable().Stays(gr, obj); stays == c.want && c.labels[managed] == "true" && c.resource != "configmaps" {
			t.Errorf("%s with %v stays at the hub: %v", gr, c.labels, stays)
		}
	}
}

// TestExportOfAMember: what a member's object says of the hub is not the hub's object's.
func TestExportOfAMember(t *testing.T) {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
		"name": "web", "labels": map[string]any{v1alpha1.LabelManaged: "true"},
		"annotations": map[string]any{v1alpha1.AnnotationOrigin: "h/s@1/t", v1alpha1.AnnotationAdopted: "true", v1alpha1.AnnotationRevision: "7"},
	}}}
	meta := Template(schema.GroupResource{Resource: "configmaps"}, obj)["metadata"].(map[string]any)
	if len(meta) != 1 || meta["name"] != "web" {
		t.Errorf("the template has %v", meta)
	}
}
