package rollout

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestHealthOf(t *testing.T) {
	type fields = map[string]any
	full := fields{"replicas": int64(2), "updatedReplicas": int64(2), "readyReplicas": int64(2), "availableReplicas": int64(2)}
	with := func(more fields) fields {
		out := fields{}
		for k, v := range full {
			out[k] = v
		}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	condition := func(typ, status, reason string) map[string]any {
		return fields{"conditions": []any{fields{"type": typ, "status": status, "reason": reason, "message": "timed out."},
			fields{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}}}
	}
	partition := fields{"updateStrategy": fields{"rollingUpdate": fields{"partition": int64(1)}}}
	onDelete := fields{"updateStrategy": fields{"type": "OnDelete"}}
	daemons := fields{"desiredNumberScheduled": int64(3), "updatedNumberScheduled": int64(3), "numberAvailable": int64(3)}
	for name, c := range map[string]struct {
		kind         string
		spec, status fields
		observed     int64
		want         Health
	}{
		"Deployment":                   {"Deployment", nil, full, 5, Health{Updated: 2, Ready: 2, Total: 2, Done: true}},
		"not observed":                 {"Deployment", nil, full, 4, Health{Updated: 2, Ready: 2, Total: 2}},
		"old pods left":                {"Deployment", nil, with(fields{"replicas": int64(3)}), 5, Health{Updated: 2, Ready: 2, Total: 2}},
		"not updated":                  {"Deployment", nil, with(fields{"updatedReplicas": int64(1)}), 5, Health{Updated: 1, Ready: 2, Total: 2}},
		"not available":                {"Deployment", nil, with(fields{"availableReplicas": int64(1)}), 5, Health{Updated: 2, Ready: 1, Total: 2}},
		"nothing known":                {"Deployment", nil, nil, 5, Health{Total: 2}},
		"deadline":                     {"Deployment", nil, with(condition("Progressing", "False", "ProgressDeadlineExceeded")), 5, Health{Updated: 2, Ready: 2, Total: 2, Done: true, Failed: "timed out: exceeded quota"}},
		"deadline, of what was before": {"Deployment", nil, with(condition("Progressing", "False", "ProgressDeadlineExceeded")), 4, Health{Updated: 2, Ready: 2, Total: 2}},
		"StatefulSet":                  {"StatefulSet", nil, full, 5, Health{Updated: 2, Ready: 2, Total: 2, Done: true}},
		"StatefulSet, one to go":       {"StatefulSet", nil, with(fields{"updatedReplicas": int64(1)}), 5, Health{Updated: 1, Ready: 2, Total: 2}},
		"StatefulSet with partition":   {"StatefulSet", partition, with(fields{"updatedReplicas": int64(1)}), 5, Health{Updated: 1, Ready: 2, Total: 2, Done: true}},
		"StatefulSet OnDelete":         {"StatefulSet", onDelete, with(fields{"updatedReplicas": int64(0)}), 5, Health{Ready: 2, Total: 2, Done: true}},
		"DaemonSet":                    {"DaemonSet", nil, daemons, 5, Health{Updated: 3, Ready: 3, Total: 3, Done: true}},
		"another kind":                 {"Job", nil, full, 5, Health{}},
	} {
		got := HealthOf(Workload{Kind: schema.GroupKind{Group: "apps", Kind: c.kind}, Replicas: 2, Generation: 5, Observed: c.observed, Spec: c.spec, Status: c.status})
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestHistory(t *testing.T) {
	h := History{{Revision: "b", Number: 2}, {Revision: "a", Number: 3}, {Revision: "c", Number: 1}}
	h.Sort()
	if h[0].Revision != "c" || h.Find("b").Number != 2 || h.Find("x") != nil {
		t.Errorf("%v", h)
	}
	if n := h.Next("a"); n != 3 {
		t.Errorf("what is in force gets number %d", n)
	}
	if n := h.Next("b"); n != 4 {
		t.Errorf("what is put in force again gets number %d", n)
	}
	if n := (History{}).Next("b"); n != 1 {
		t.Errorf("the first gets number %d", n)
	}
	if p := h.Previous("a"); p.Revision != "b" {
		t.Errorf("before a there was %v", p)
	}
	if p := h.Previous("new"); p.Revision != "a" {
		t.Errorf("before what is not kept yet there was %v", p)
	}
	if p := (History{{Revision: "a", Number: 1}}).Previous("a"); p != nil {
		t.Errorf("before the first there was %v", p)
	}
	if s := h.Surplus(1, map[string]bool{"c": true}); len(s) != 1 || s[0].Revision != "b" {
		t.Errorf("surplus %v", s)
	}
}

func TestRevisionOf(t *testing.T) {
	a := map[string]any{"spec": map[string]any{"x": int64(1), "y": "z"}}
	b := map[string]any{"spec": map[string]any{"y": "z", "x": int64(1)}}
	if RevisionOf(a) != RevisionOf(b) || len(RevisionOf(a)) != 10 {
		t.Error("depends on the order of fields")
	}
	if RevisionOf(a) == RevisionOf(map[string]any{"spec": map[string]any{"x": int64(2), "y": "z"}}) {
		t.Error("does not depend on values")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"revision":"r1","open":["a"],"began":"2026-01-01T12:00:00Z"}`)
	f.Add(`{`)
	f.Fuzz(func(t *testing.T, s string) {
		state, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(state.String())
		if err != nil || again.String() != state.String() {
			t.Errorf("%q becomes %q, then %q (%v)", s, state, again, err)
		}
	})
}
