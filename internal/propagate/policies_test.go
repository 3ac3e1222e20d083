package propagate

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// policyObject is a PlacementPolicy for Deployment web, created at that time.
func policyObject(name string, created time.Time, generation int64, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.dev/v1alpha1", "kind": "PlacementPolicy",
		"metadata": map[string]any{
			"name": name, "namespace": "shop", "uid": "uid-" + name, "generation": generation,
			"creationTimestamp": created.UTC().Format(time.RFC3339),
		},
		"spec": spec,
	}}
}

func selecting(name string, rest map[string]any) map[string]any {
	rest["select"] = map[string]any{"names": []any{name}}
	return rest
}

func heavyOnAWS() map[string]any {
	return map[string]any{"division": map[string]any{"limits": map[string]any{
		"aws": map[string]any{"weight": int64(3)}, "azure": map[string]any{"weight": int64(1)}}}}
}

func TestWhatRunsStaysWhenAPolicyComes(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	if got := r.deployment("web", 10, 8, nil); got.decision.String() != "aws=4,azure=4" {
		t.Fatalf("without a policy it is %s", got.decision)
	}
	policy := policyObject("web", time.Now(), 1, selecting("web", heavyOnAWS()))
	r.engine.changePolicies([]*unstructured.Unstructured{policy}, nil)
	if got := r.get("web"); got.decision.String() != "aws=4,azure=4" || !got.undecided {
		t.Errorf("it is %s (to be recorded: %t), want aws=4,azure=4, to be recorded", got.decision, got.undecided)
	}
}

func TestPolicyThatIsAppliedWithItsObject(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", int(time.Since(epoch).Seconds()), 8, nil)
	r.engine.changePolicies([]*unstructured.Unstructured{policyObject("web", time.Now(), 1, selecting("web", heavyOnAWS()))}, nil)
	if got := r.get("web"); got.decision.String() != "aws=6,azure=2" {
		t.Errorf("it is %s, want aws=6,azure=2", got.decision)
	}
}

func TestEditingAPolicyTouchesNothingElse(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 10, 8, nil)
	r.deployment("other", 10, 8, nil)
	first := policyObject("web", at(5), 1, selecting("web", heavyOnAWS()))
	r.engine.changePolicies([]*unstructured.Unstructured{first}, nil)
	web, other := r.get("web"), r.get("other")

	r.engine.changePolicies([]*unstructured.Unstructured{policyObject("web", at(5), 1, selecting("web", heavyOnAWS()))}, nil)
	if r.get("web") != web {
		t.Errorf("a write of the policy's status had its objects decided again")
	}
	limited := map[string]any{"division": map[string]any{"limits": map[string]any{"azure": map[string]any{"max": int64(1)}}}}
	r.engine.changePolicies([]*unstructured.Unstructured{policyObject("web", at(5), 2, selecting("web", limited))}, nil)
	if got := r.get("web"); got.decision.String() != "aws=7,azure=1" {
		t.Errorf("web is %s, want aws=7,azure=1", got.decision)
	}
	if r.get("other") != other {
		t.Errorf("an object that the policy does not select was decided again")
	}

	wrong := map[string]any{"division": map[string]any{"limits": map[string]any{"azure": map[string]any{"min": int64(2), "max": int64(1)}}}}
	r.engine.changePolicies([]*unstructured.Unstructured{policyObject("web", at(5), 3, selecting("web", wrong))}, nil)
	if got := r.get("web"); got.decision.String() != "aws=7,azure=1" || got.decision.Problem != "" {
		t.Errorf("a change that makes no sense is not ignored: %s, %s", got.decision, got.decision.Problem)
	}
	held := r.engine.policies.all["uid-web"]
	if status := policyStatus(held, nil, nil); len(status.Conditions) != 1 || status.Conditions[0].Status != "False" {
		t.Errorf("its status does not say so: %+v", status)
	}
}

// TestObjectsWithoutAPlaceToGoStay: what is not divided is left alone where nobody knows
// where it is to be.
func TestObjectsWithoutAPlaceToGoStay(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", int(time.Since(epoch).Seconds()), 8, nil)
	nowhere := map[string]any{"clusters": map[string]any{"names": []any{"atlantis"}}}
	r.engine.changePolicies([]*unstructured.Unstructured{policyObject("web", time.Now(), 1, selecting("web", nowhere))}, nil)
	got := r.get("web")
	if got.decision.String() != "aws=4,azure=4" || got.problem().message == "" || got.undecided {
		t.Errorf("it is %s, problem %v, to be recorded %t", got.decision, got.problem(), got.undecided)
	}
	status := got.withProblem(map[string]any{"replicas": int64(8)}, at(100))
	if len(status["conditions"].([]any)) != 1 || status["replicas"] != int64(8) {
		t.Errorf("its status is %v", status)
	}
}
