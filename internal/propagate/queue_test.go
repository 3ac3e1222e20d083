package propagate

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestTheQueueGoesByTier(t *testing.T) {
	q := &tiers{}
	in := []Key{
		{GR: schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}, Name: "i"},
		{GR: deployments(), Name: "one"},
		{GR: schema.GroupResource{Resource: "services"}, Name: "s"},
		{GR: deployments(), Name: "two"},
		{GR: namespaces(), Name: "n"},
		{GR: schema.GroupResource{Resource: "secrets"}, Name: "c"},
	}
	for _, k := range in {
		q.Push(k)
	}
	var got string
	for q.Len() > 0 {
		got += q.Pop().Name + " "
	}
	if want := "n c s one two i "; got != want {
		t.Errorf("order %q, want %q", got, want)
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
