package decide

import (
	"context"
	"errors"
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
	r.demanding(t, "burst", 10, 2, nil, "") // one in each, without pods yet
	before := r.w.Fork().around.accountOf("azure")

	plan := func(q PlanRequest) Planned {
		t.Helper()
		out, err := r.w.Plan(t.Context(), r.now, q)
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
	if !reflect.DeepEqual(before, r.w.around.accountOf("azure")) || len(r.all()) != 1 {
		t.Error("the plan left something behind")
	}
	if _, err := r.w.Plan(t.Context(), r.now, PlanRequest{Without: []string{"mars"}}); err == nil || !strings.Contains(err.Error(), "there are aws, azure") {
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
	out, err := r.w.Plan(t.Context(), r.now, PlanRequest{Objects: []*unstructured.Unstructured{limits, wanting("web", 4)}})
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
	if out, err = r.w.Plan(t.Context(), r.now, PlanRequest{Objects: []*unstructured.Unstructured{limits}}); err != nil || !strings.HasSuffix(out[0].Effect, "no object that is at the hub now") {
		t.Errorf("%v, %v", out, err)
	}
}

// TestAPlanEndsWithItsContext, at the next object.
func TestAPlanEndsWithItsContext(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.w.Plan(ctx, r.now, PlanRequest{Objects: []*unstructured.Unstructured{wanting("web", 1)}}); !errors.Is(err, context.Canceled) {
		t.Errorf("it goes on: %v", err)
	}
}
