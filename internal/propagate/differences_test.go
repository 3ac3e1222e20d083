package propagate

import "testing"

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
