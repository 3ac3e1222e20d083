package override_test

import (
	"reflect"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
)

func deployment() map[string]any {
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "namespace": "shop", "labels": map[string]any{"a": "b"}},
		"spec": map[string]any{
			"replicas": int64(3), "selector": map[string]any{"matchLabels": map[string]any{"a": "b"}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"a": "b"}},
				"spec": map[string]any{
					"containers": []any{map[string]any{"name": "web", "image": "web", "ports": []any{map[string]any{"containerPort": int64(80)}}, "env": []any{map[string]any{"name": "A", "value": "b"}}}},
					"volumes":    []any{map[string]any{"name": "tmp", "emptyDir": map[string]any{}}},
				}}},
	}
}

// FuzzPatches: whatever a patch says, there is an error or an object with the same
// identity, and the input is as it was.
func FuzzPatches(f *testing.F) {
	f.Add("add", "/spec/x", "", `1`, `{}`)
	f.Add("move", "/spec/template/spec/containers/0", "/spec/template/spec/containers/-", ``, `{"spec":null}`)
	f.Add("copy", "/metadata/labels/a", "/metadata", `{}`, `{"spec":{"template":{"spec":{"containers":[{"name":"web","$patch":"delete"}]}}}}`)
	f.Add("replace", "/spec/template/spec/containers/-1/image", "", `"x"`, `{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"web"}],"containers":[{"name":"b"}]}}}}`)
	f.Add("test", "/spec/replicas", "", `3`, `{"spec":{"template":{"spec":{"volumes":[{"$retainKeys":["name"],"name":"tmp"}],"containers":{"a":1}}}}}`)
	f.Add("add", "/spec/template/spec/containers/99999999999", "", `{"a":null}`, `{"metadata":{"labels":[1]}}`)
	f.Fuzz(func(t *testing.T, op, path, from, value, merge string) {
		for _, o := range []*v1alpha1.Override{
			{JSONPatch: []v1alpha1.JSONPatchOperation{{Op: op, Path: path, From: from, Value: &apiextensionsv1.JSON{Raw: []byte(value)}}}},
			{StrategicMerge: &apiextensionsv1.JSON{Raw: []byte(merge)}},
		} {
			for _, kind := range []string{"Deployment", "Unknown"} {
				content := deployment()
				content["kind"] = kind
				before := runtime.DeepCopyJSON(content)
				after, _, err := override.Apply(content, []override.Override{{Name: "o", Spec: o}})
				if !reflect.DeepEqual(content, before) {
					t.Fatal("the input was modified")
				}
				if err != nil {
					continue
				}
				for _, p := range [][]string{{"kind"}, {"metadata", "name"}, {"metadata", "namespace"}} {
					if !reflect.DeepEqual(at(before, p), at(after, p)) {
						t.Fatalf("%v was changed", p)
					}
				}
				runtime.DeepCopyJSON(after) // panics on what is not JSON
			}
			_ = override.Check(override.Override{Name: "o", Spec: o})
		}
	})
}
