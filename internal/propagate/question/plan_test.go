package question

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

// TestPlanOfTheHub: a plan knows what runs in the members and what was granted a moment
// ago, and changes nothing of it.
func TestPlanOfTheHub(t *testing.T) {
	h := newHub(decide.Options{Measures: true})
	h.clusters([]string{"aws", "azure"})
	h.see("aws", 4, 3)
	h.see("azure", 8, 0)
	h.put("burst", 2, "1") // one in each, without pods yet
	before := h.Checkpoint()

	plan := func(q PlanRequest) Planned {
		t.Helper()
		out, err := Plan(t.Context(), h.World, h.now, q)
		if err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	for range 2 { // nothing was taken by the first
		if got := plan(PlanRequest{Objects: []*unstructured.Unstructured{wanting("new", 8, "1")}}).Decision; got.String() != "azure=7" || got.Unplaced != 1 {
			t.Errorf("the plan is %s, %d unplaced, want azure=7 and 1", got, got.Unplaced)
		}
	}
	if got := plan(PlanRequest{Objects: []*unstructured.Unstructured{wanting("burst", 2, "1")}, Without: []string{"aws"}}).Decision; got.String() != "azure=2" {
		t.Errorf("without aws it is %s, want azure=2", got)
	}
	if got := plan(PlanRequest{Objects: []*unstructured.Unstructured{wanting("burst", 3, "1")}}).Decision; got.Division()["aws"] != 1 || got.Division()["azure"] != 2 {
		t.Errorf("three instead of two are %s, want aws=1,azure=2", got)
	}
	if after := h.Checkpoint(); len(before) == 0 || !reflect.DeepEqual(before, after) {
		t.Error("the plan left something behind")
	}
	if _, err := Plan(t.Context(), h.World, h.now, PlanRequest{Without: []string{"mars"}}); err == nil || !strings.Contains(err.Error(), "there are aws, azure") {
		t.Errorf("without a cluster that there is not: %v", err)
	}
}

// TestPlanOfAPolicy says what it selects and does, and what it would change at the hub.
func TestPlanOfAPolicy(t *testing.T) {
	h := newHub(decide.Options{})
	h.clusters([]string{"aws", "azure"})
	h.put("web", 4, "")
	h.put("other", 4, "")
	limits := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": map[string]any{"name": "few", "namespace": "shop"},
		"spec": map[string]any{"select": map[string]any{"names": []any{"web"}},
			"division": map[string]any{"limits": map[string]any{"aws": map[string]any{"max": int64(1)}}}},
	}}
	out, err := Plan(t.Context(), h.World, h.now, PlanRequest{Objects: []*unstructured.Unstructured{limits, wanting("web", 4, "1")}})
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
	if out, err = Plan(t.Context(), h.World, h.now, PlanRequest{Objects: []*unstructured.Unstructured{limits}}); err != nil || !strings.HasSuffix(out[0].Effect, "no object that is at the hub now") {
		t.Errorf("%v, %v", out, err)
	}
}

// TestAPlanEndsWithItsContext, at the next object.
func TestAPlanEndsWithItsContext(t *testing.T) {
	h := newHub(decide.Options{})
	h.clusters([]string{"aws"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Plan(ctx, h.World, h.now, PlanRequest{Objects: []*unstructured.Unstructured{wanting("web", 1, "1")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("it goes on: %v", err)
	}
}
