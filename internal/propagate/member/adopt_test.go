package member

import (
	"strings"
	"testing"
)

// TestDifferences: a conflict names what a person would compare, not the hub's marks.
func TestDifferences(t *testing.T) {
	marks := map[string]any{
		"labels":      map[string]any{"hanse.dev/managed": "true"},
		"annotations": map[string]any{"hanse.dev/adopted": "true", "hanse.dev/origin": "…", "team": "shop"},
	}
	spec := map[string]any{"replicas": int64(2), "template": map[string]any{"spec": map[string]any{"containers": []any{}}}}
	onlyMarks := map[string]any{"metadata": map[string]any{"labels": marks["labels"]}}
	for want, patch := range map[string]map[string]any{
		"metadata.annotations.team, spec.replicas, spec.template.spec.containers": {"metadata": marks, "spec": spec},
		"spec.replicas, spec.template.spec.containers":                            {"spec": spec},
		"data.a, data.b, data.c, …":                                               {"data": map[string]any{"a": "1", "b": "1", "c": "1", "d": "1"}},
		"its content":                                                             onlyMarks,
	} {
		if got := differences(patch); got != want {
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
			if got := onlyMarks(c.patch); got != c.want {
				t.Errorf("onlyMarks = %v, want %v", got, c.want)
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

func TestFieldsThatAreChangedBackAreFew(t *testing.T) {
	patch := map[string]any{}
	for _, name := range strings.Split("abcdefghij", "") {
		patch[name] = "x"
	}
	if got := changedBack(map[string]any{"data": map[string]any{"k": "v"}}); got != "data.k reverted" {
		t.Errorf("%q", got)
	}
	if got := changedBack(patch); !strings.HasSuffix(got, " and 5 more fields reverted") {
		t.Errorf("%q", got)
	}
}
