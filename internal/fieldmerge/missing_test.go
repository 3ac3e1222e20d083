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

// Each write to a member looks for what is missing, and almost never is anything.
func TestMissingAllocatesNothing(t *testing.T) {
	desired, answer := written(t)
	if n := testing.AllocsPerRun(100, func() { Missing(desired, answer, true) }); n > 0 {
		t.Errorf("%v allocations where nothing is missing", n)
	}
}

func TestMissingOrder(t *testing.T) {
	desired := parse(t, "{kind: X, spec: {l: [{name: n0, x: 1}, {name: n1, x: 1}, {name: n2, b: 1, a: 1}], a: {z: 1}, c: 1}, data: {k: v}}")
	got := fmt.Sprint(Missing(desired, parse(t, "{kind: X, spec: {l: [{name: n2}, {name: n0}, {name: n1}], a: {}}, data: {}}"), true))
	if want := "[data.k spec.a.z spec.c spec.l[0].x spec.l[1].x spec.l[2].a spec.l[2].b]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Lists that are long are searched in another way than those that are not.
func TestMissingOfLongLists(t *testing.T) {
	for _, n := range []int{few, few + 1, 100} {
		var want, got []any
		for i := range n {
			want = append(want, map[string]any{"name": fmt.Sprint(i), "x": int64(1)})
			got = append([]any{map[string]any{"name": fmt.Sprint(i), "x": int64(i)}}, got...)
		}
		delete(got[0].(map[string]any), "x")
		list := func(items []any) map[string]any { return map[string]any{"spec": map[string]any{"l": items}} }
		if missed := fmt.Sprint(Missing(list(want), list(got), true)); missed != fmt.Sprintf("[spec.l[%d].x]", n-1) {
			t.Errorf("of %d items: %s", n, missed)
		}
		got = append(got, map[string]any{"name": fmt.Sprint(n - 1)}) // twice
		if missed := Missing(list(want), list(got), true); len(missed) > 0 {
			t.Errorf("of %d items of which two cannot be told apart: %v", n, missed)
		}
	}
}

func BenchmarkMissing(b *testing.B) {
	desired, answer := written(b)
	b.ReportAllocs()
	for b.Loop() {
		Missing(desired, answer, true)
	}
}

// written is a Deployment as a hub writes it, and as a member answers.
func written(t testing.TB) (desired, answer map[string]any) {
	desired = parse(t, "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1, revisionHistoryLimit: 10, selector: {matchLabels: {name: w}}, "+
		"template: {metadata: {labels: {tier: f, type: web, name: w}}, spec: {restartPolicy: Always, securityContext: {}, "+
		"containers: [{name: w, image: i, env: [{name: A, value: b}, {name: B, value: c}], ports: [{containerPort: 80, protocol: TCP}, {containerPort: 81, protocol: TCP}]}]}}}}")
	answer = parse(t, "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, selector: {matchLabels: {name: w}}, "+
		"template: {metadata: {labels: {tier: f, type: web, name: w}}, spec: {restartPolicy: Always, dnsPolicy: ClusterFirst, securityContext: {}, containers: ["+
		"{name: w, image: i, imagePullPolicy: Always, env: [{name: B, value: c}, {name: A, value: b}], ports: [{containerPort: 80, protocol: TCP}, {containerPort: 81, protocol: TCP}]}]}}}, "+
		"status: {}}")
	return desired, answer
}
