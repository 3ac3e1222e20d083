package override_test

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
)

func BenchmarkApply(b *testing.B) {
	for name, spec := range map[string]*v1alpha1.Override{
		"registry":       {Images: []v1alpha1.ImageOverride{{Registry: "eu.registry.example"}}},
		"jsonPatch":      {JSONPatch: []v1alpha1.JSONPatchOperation{{Op: "add", Path: "/spec/template/spec/priorityClassName", Value: &apiextensionsv1.JSON{Raw: []byte(`"high"`)}}}},
		"strategicMerge": {StrategicMerge: &apiextensionsv1.JSON{Raw: []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"x"}]}}}}`)}},
	} {
		b.Run(name, func(b *testing.B) {
			content, all := deployment(), []override.Override{{Name: name, Spec: spec}}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := override.Apply(content, all); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
