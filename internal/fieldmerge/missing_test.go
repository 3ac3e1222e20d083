package fieldmerge

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestMissing(t *testing.T) {
	for name, c := range map[string]struct {
		desired, answer string
		zeros           bool
		want            string
	}{
		"all there":                            {"{spec: {a: 1, l: [{name: x, v: 1}]}}", "{spec: {a: 2, b: 3, l: [{name: x, v: 2}]}}", true, "[]"},
		"a field":                              {"{spec: {template: {spec: {hostUsers: false}}}}", "{spec: {template: {spec: {}}}}", true, "[spec.template.spec.hostUsers]"},
		"a zero that the server may leave out": {"{spec: {hostNetwork: false, n: 0, s: '', f: 1}}", "{spec: {}}", false, "[spec.f]"},
		"empty things":                         {"{spec: {a: {}, b: [], c: null}}", "{spec: {}}", true, "[]"},
		"metadata and status":                  {"{metadata: {labels: {a: b}}, status: {x: 1}, stringData: {a: b}}", "{}", true, "[]"},
		"items by name":                        {"{spec: {l: [{name: a, x: 1}, {name: b, x: 1}]}}", "{spec: {l: [{name: injected}, {name: b}, {name: a, x: 1}]}}", true, "[spec.l[1].x]"},
		"items by place":                       {"{spec: {l: [{x: 1, v: 1}]}}", "{spec: {l: [{x: 2}]}}", true, "[spec.l[0].v]"},
		"items that cannot be told apart":      {"{spec: {l: [{x: 1}]}}", "{spec: {l: [{v: 1}, {v: 2}]}}", true, "[]"},
		"an item that is gone":                 {"{spec: {l: [{name: a}]}}", "{spec: {l: [{name: b}]}}", true, "[]"},
		"another type":                         {"{spec: {a: {b: 1}}, data: {k: v}}", "{spec: {a: text}, data: {}}", true, "[data.k]"},
	} {
		got := Missing(parse(t, "{kind: X, apiVersion: v1, "+c.desired[1:]), parse(t, "{kind: X, "+c.answer[1:]), c.zeros)
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

// What is missing, taken out of desired, leaves nothing that is missing; and nothing is
// missing of what was answered as it was sent.
func TestMissingProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired, answer := drawObject(t, "desired"), drawObject(t, "answer")
		before := fmt.Sprint(desired)
		if m := Missing(desired, desired, true); len(m) > 0 {
			t.Fatalf("missing of itself: %v", m)
		}
		m := Missing(desired, answer, true)
		rest := Without(desired, m)
		if again := Missing(rest, answer, true); len(again) > 0 {
			t.Fatalf("without %v, %v is missing", m, again)
		}
		if fmt.Sprint(desired) != before {
			t.Fatal("desired was changed")
		}
	})
}
