package propagate

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// wanting is a manifest of a Deployment whose pods ask for one CPU each.
func wanting(name string, replicas int64) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name, "namespace": "shop"},
		"spec": map[string]any{"replicas": replicas, "template": map[string]any{"spec": map[string]any{"containers": []any{
			map[string]any{"name": "c", "resources": map[string]any{"requests": map[string]any{"cpu": "1"}}}}}}},
	}}
}

// TestPlanOfTheHub: a plan knows what runs in the members and what was granted a moment
// ago, and changes nothing of it.
func TestPlanOfTheHub(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("aws", 4, podsOf("old", 3)...)
	r.see("azure", 8)
	r.demanding(t, "burst", 10, 2, nil, "") // one in each, without pods so far
	before := r.engine.around.copied().granted

	plan := func(q PlanRequest) Planned {
		t.Helper()
		out, err := r.engine.Plan(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	for range 2 { // nothing was taken by the first
		if got := plan(PlanRequest{Objects: []*unstructured.Unstructured{wanting("new", 8)}}).Decision; got.String() != "azure=7" || got.Unplaced != 1 {
			t.Errorf("the plan is %s, %d unplaced, want azure=7 and 1", got, got.Unplaced)
		}
	}
	if got := plan(PlanRequest{Objects: []*unstructured.Unstructured{wanting("burst", 2)}, Without: []string{"aws"}}).Decision; got.String() != "azure=2" {
		t.Errorf("without aws it is %s, want azure=2", got)
	}
	if got := plan(PlanRequest{Objects: []*unstructured.Unstructured{wanting("burst", 3)}}).Decision; got.Division()["aws"] != 1 || got.Division()["azure"] != 2 {
		t.Errorf("three instead of two are %s, want aws=1,azure=2", got)
	}
	if !reflect.DeepEqual(before, r.engine.around.copied().granted) || len(r.engine.resources[deployments()].templates) != 1 {
		t.Error("the plan left something behind")
	}
	if _, err := r.engine.Plan(t.Context(), PlanRequest{Without: []string{"mars"}}); err == nil || !strings.Contains(err.Error(), "there are aws, azure") {
		t.Errorf("without a cluster that there is not: %v", err)
	}
}

// TestPlanOfAPolicy says what it selects and does, and what it would change at the hub.
func TestPlanOfAPolicy(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 10, 4, nil)
	r.deployment("other", 10, 4, nil)
	limits := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": map[string]any{"name": "few", "namespace": "shop"},
		"spec": map[string]any{"select": map[string]any{"names": []any{"web"}},
			"division": map[string]any{"limits": map[string]any{"aws": map[string]any{"max": int64(1)}}}},
	}}
	out, err := r.engine.Plan(t.Context(), PlanRequest{Objects: []*unstructured.Unstructured{limits, wanting("web", 4)}})
	if err != nil {
		t.Fatal(err)
	}
	want := "selects web; divides by strategy Even; clusters: all. It would apply to 1 object at the hub. It changes 1 object: deployments.apps/shop/web: aws=1,azure=3, now aws=2,azure=2"
	if got := out[0]; got.Stays == "" || got.Effect != want {
		t.Errorf("%q, want %q", got.Effect, want)
	}
	if out[1].Effect != "" {
		t.Errorf("a Deployment: %q", out[1].Effect)
	}
	limits.SetNamespace("elsewhere")
	if out, err = r.engine.Plan(t.Context(), PlanRequest{Objects: []*unstructured.Unstructured{limits}}); err != nil || !strings.HasSuffix(out[0].Effect, "no object that is at the hub now") {
		t.Errorf("%v, %v", out, err)
	}
}

func TestPlanIsServed(t *testing.T) {
	r := demandingRig(ready("aws", 0))
	r.see("aws", 4)
	engine := r.engine
	handler := Filter(func() *Engine { return engine })(http.NotFoundHandler())
	ask := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w
	}
	const web = `{"objects":[{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop"},"spec":{"replicas":2}}]}`
	if w := ask("POST", PathPlan, web); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"Replicas":2`) {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	for _, c := range []struct {
		method, body string
		code         int
	}{
		{"GET", "", http.StatusMethodNotAllowed},
		{"POST", "{", http.StatusBadRequest},
		{"POST", `{"objects":[null]}`, http.StatusUnprocessableEntity},
		{"POST", `{"objects":[{"kind":"Deployment"}]}`, http.StatusUnprocessableEntity},
		{"POST", `{"objects":[{}]}`, http.StatusBadRequest},
		{"POST", `{"objects":[{"apiVersion":"hanse.dev/v1alpha1","kind":"PlacementPolicy","metadata":{"name":"p"},"spec":{"fallback":[{}]}}]}`, http.StatusUnprocessableEntity},
	} {
		if w := ask(c.method, PathPlan, c.body); w.Code != c.code || strings.TrimSpace(w.Body.String()) == "" {
			t.Errorf("%s %s: %d %s, want %d and a sentence", c.method, c.body, w.Code, w.Body, c.code)
		}
	}
	if w := ask("POST", "/api", web); w.Code != http.StatusNotFound {
		t.Errorf("another path was answered: %d", w.Code)
	}
	engine = nil
	if w := ask("POST", PathPlan, web); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a hub that does not propagate answered %d", w.Code)
	}
}
