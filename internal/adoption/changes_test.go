package adoption

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// TestDifferences: a conflict names what a person would compare, not the hub's marks.
func TestDifferences(t *testing.T) {
	marks := map[string]any{
		"labels":      map[string]any{"hanse.dev/managed": "true"},
		"annotations": map[string]any{"hanse.dev/adopted": "true", "hanse.dev/origin": "…", "team": "shop"},
	}
	spec := map[string]any{"replicas": int64(2), "template": map[string]any{"spec": map[string]any{"containers": []any{}}}}
	marksAlone := map[string]any{"metadata": map[string]any{"labels": marks["labels"]}}
	for want, patch := range map[string]map[string]any{
		"metadata.annotations.team, spec.replicas, spec.template.spec.containers": {"metadata": marks, "spec": spec},
		"spec.replicas, spec.template.spec.containers":                            {"spec": spec},
		"data.a, data.b, data.c, …":                                               {"data": map[string]any{"a": "1", "b": "1", "c": "1", "d": "1"}},
		"its content":                                                             marksAlone,
	} {
		if got := Differences(patch); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestMarksAreNotContent(t *testing.T) {
	for _, c := range []struct {
		name  string
		patch map[string]any
		want  bool
	}{
		{"nothing", nil, true},
		{"the marks", metadata(map[string]any{"hanse.dev/managed": "true"}, map[string]any{"hanse.dev/origin": "o", "hanse.dev/adopted": "true"}), true},
		{"a label", metadata(map[string]any{"hanse.dev/managed": "true", "app": "web"}, nil), false},
		{"an annotation", metadata(nil, map[string]any{"note": "x"}), false},
		{"content", map[string]any{"data": map[string]any{"a": "b"}}, false},
		{"content and marks", map[string]any{"metadata": metadata(map[string]any{"hanse.dev/managed": "true"}, nil)["metadata"], "data": nil}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := OnlyMarks(c.patch); got != c.want {
				t.Errorf("OnlyMarks = %v, want %v", got, c.want)
			}
		})
	}
}

func metadata(labels, annotations map[string]any) map[string]any {
	m := map[string]any{}
	if labels != nil {
		m["labels"] = labels
	}
	if annotations != nil {
		m["annotations"] = annotations
	}
	return map[string]any{"metadata": m}
}

func TestAnotherCountIsNoConflict(t *testing.T) {
	object := func(manager string, annotations map[string]any) map[string]any {
		return map[string]any{"metadata": map[string]any{"annotations": annotations, "managedFields": []any{
			map[string]any{"manager": manager, "operation": "Update", "fieldsV1": map[string]any{"f:spec": map[string]any{"f:replicas": map[string]any{}}}},
		}}}
	}
	mark := map[string]any{"labels": map[string]any{v1alpha1.LabelManaged: "true"}}
	count := map[string]any{"metadata": mark, "spec": map[string]any{"replicas": int64(3)}}
	for name, c := range map[string]struct {
		live, patch map[string]any
		want        bool
	}{
		"the hub's own count":       {object("hanse", nil), count, true},
		"somebody else's":           {object("kubectl", nil), count, false},
		"another hub's object":      {object("hanse", map[string]any{v1alpha1.AnnotationOrigin: "other"}), count, false},
		"something else, too":       {object("hanse", nil), map[string]any{"spec": map[string]any{"replicas": int64(3), "paused": true}}, false},
		"something else in another": {object("hanse", nil), map[string]any{"spec": count["spec"], "data": map[string]any{}}, false},
		"no count":                  {object("hanse", nil), map[string]any{"metadata": mark}, false},
	} {
		if got := OnlyCount(&unstructured.Unstructured{Object: c.live}, c.patch); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
