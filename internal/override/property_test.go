package override_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
)

func ptr[T any](v T) *T { return &v }

func word(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "hanse.dev/managed", "example.com/x"}).Draw(t, label)
}

func words(t *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, label)
}

func drawObject(t *rapid.T) map[string]any {
	kind := rapid.SampledFrom([]string{"apps/v1 Deployment", "apps/v1 StatefulSet", "batch/v1 CronJob", "v1 Pod", "v1 Service", "v1 PersistentVolumeClaim", "example.com/v1 Widget"}).Draw(t, "kind")
	apiVersion, name, _ := strings.Cut(kind, " ")
	template := map[string]any{"metadata": map[string]any{"labels": map[string]any{"a": "1"}}, "spec": map[string]any{}}
	var containers []any
	for _, c := range words(t, "containers") {
		env := []any{}
		for _, e := range words(t, "env") {
			env = append(env, map[string]any{"name": e, "value": "before"})
		}
		containers = append(containers, map[string]any{"name": c, "image": "registry.example/" + c + ":1", "env": env, "args": []any{"a", "b"}})
	}
	template["spec"].(map[string]any)["containers"] = containers
	spec := map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"a": "1"}}, "template": template}
	switch name {
	case "CronJob":
		spec = map[string]any{"jobTemplate": map[string]any{"spec": map[string]any{"template": template}}}
	case "Pod":
		spec = template["spec"].(map[string]any)
	}
	return map[string]any{
		"apiVersion": apiVersion, "kind": name, "spec": spec, "status": map[string]any{"ready": true},
		"metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "1", "labels": map[string]any{"hanse.dev/managed": "true", "a": "1"}},
	}
}

func drawOverride(t *rapid.T) *v1alpha1.Override {
	o := &v1alpha1.Override{}
	if rapid.Bool().Draw(t, "images") {
		o.Images = []v1alpha1.ImageOverride{{Container: rapid.SampledFrom([]string{"", "a"}).Draw(t, "of"), Registry: "other.example:5000", Tag: "2"}}
	}
	if rapid.Bool().Draw(t, "replicas") {
		o.Replicas = ptr(rapid.Int32Range(0, 5).Draw(t, "n"))
	}
	if rapid.Bool().Draw(t, "env") {
		o.Env = []v1alpha1.EnvOverride{{Set: []v1alpha1.EnvValue{{Name: "a", Value: "after"}}, Remove: words(t, "remove")}}
	}
	if rapid.Bool().Draw(t, "labels") {
		o.Labels = &v1alpha1.LabelsOverride{Set: map[string]v1alpha1.LabelValue{word(t, "set"): "2"}, Remove: []string{word(t, "remove")}}
	}
	if rapid.Bool().Draw(t, "podLabels") {
		o.PodLabels = &v1alpha1.LabelsOverride{Set: map[string]v1alpha1.LabelValue{word(t, "set"): "2"}}
	}
	if rapid.Bool().Draw(t, "merge") {
		o.StrategicMerge = &apiextensionsv1.JSON{Raw: []byte(rapid.SampledFrom([]string{
			`{"spec":{"x":1}}`, `{"metadata":{"name":"other"}}`, `{"metadata":null}`, `{"status":null}`, `{"spec":{"selector":null}}`, `{"metadata":{"annotations":{"a":"b"}}}`, `{"kind":null}`,
		}).Draw(t, "patch"))}
	}
	if rapid.Bool().Draw(t, "json") {
		o.JSONPatch = []v1alpha1.JSONPatchOperation{{Op: rapid.SampledFrom([]string{"remove", "replace", "add", "test"}).Draw(t, "op"),
			Path:  rapid.SampledFrom([]string{"/spec/x", "/spec", "/metadata/uid", "/metadata", "/metadata/labels", "/status", "/kind", "/spec/selector"}).Draw(t, "path"),
			Value: &apiextensionsv1.JSON{Raw: []byte(`{"a":"b"}`)}}}
	}
	return o
}

// TestProperties: the input is never modified, what is protected never changed,
// an error leaves nothing, and without appending and patching twice is once.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := drawObject(t)
		before := runtime.DeepCopyJSON(content)
		var all []override.Override
		patched := false
		for i := range rapid.IntRange(0, 3).Draw(t, "overrides") {
			o := drawOverride(t)
			patched = patched || o.JSONPatch != nil
			all = append(all, override.Override{Name: fmt.Sprint("override ", i), Spec: o})
		}
		after, changes, err := override.Apply(content, all)
		if !reflect.DeepEqual(content, before) {
			t.Fatal("the input was modified")
		}
		if err != nil {
			if after != nil || changes != nil {
				t.Fatal("something of what failed was returned")
			}
			return
		}
		checkProtected(t, before, after)
		if len(all) > 1 || patched {
			return
		}
		again, _, err := override.Apply(after, all)
		if err != nil || !reflect.DeepEqual(again, after) {
			t.Fatalf("twice is not once: %v, %v\n%v", err, after, again)
		}
	})
}

func checkProtected(t *rapid.T, before, after map[string]any) {
	for _, path := range [][]string{{"apiVersion"}, {"kind"}, {"status"}, {"metadata", "name"}, {"metadata", "namespace"}, {"metadata", "uid"}, {"metadata", "labels", "hanse.dev/managed"}} {
		if x, y := at(before, path), at(after, path); !reflect.DeepEqual(x, y) {
			t.Fatalf("%v was %v and is %v", path, x, y)
		}
	}
	if slices.Contains([]any{"Deployment", "StatefulSet"}, before["kind"]) {
		for _, path := range [][]string{{"spec", "selector"}, {"spec", "template", "metadata", "labels", "a"}} {
			if x, y := at(before, path), at(after, path); !reflect.DeepEqual(x, y) {
				t.Fatalf("%v was %v and is %v", path, x, y)
			}
		}
	}
}

func at(m map[string]any, path []string) any {
	var v any = m
	for _, p := range path {
		fields, _ := v.(map[string]any)
		v = fields[p]
	}
	return v
}
