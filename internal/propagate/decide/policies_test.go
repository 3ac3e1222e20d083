package decide

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// policyManifest is a PlacementPolicy for Deployment web, created at that time.
func policyManifest(name string, created time.Time, generation int64, spec map[string]any) *unstructured.Unstructured {
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
	if got := r.deployment("web", 10, 8, nil); got.Decision.String() != "aws=4,azure=4" {
		t.Fatalf("without a policy it is %s", got.Decision)
	}
	policy := policyManifest("web", at(1000), 1, selecting("web", heavyOnAWS()))
	r.apply(policyOf(policy))
	if got := r.get("web"); got.Decision.String() != "aws=4,azure=4" || !got.Undecided {
		t.Errorf("it is %s (to be recorded: %t), want aws=4,azure=4, to be recorded", got.Decision, got.Undecided)
	}
}

func TestPolicyThatIsAppliedWithItsObject(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 999, 8, nil)
	r.apply(policyOf(policyManifest("web", at(1000), 1, selecting("web", heavyOnAWS()))))
	if got := r.get("web"); got.Decision.String() != "aws=6,azure=2" {
		t.Errorf("it is %s, want aws=6,azure=2", got.Decision)
	}
}

func TestEditingAPolicyTouchesNothingElse(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 10, 8, nil)
	r.deployment("other", 10, 8, nil)
	first := policyManifest("web", at(5), 1, selecting("web", heavyOnAWS()))
	r.apply(policyOf(first))
	web, other := r.get("web"), r.get("other")

	r.apply(policyOf(policyManifest("web", at(5), 1, selecting("web", heavyOnAWS()))))
	if r.get("web") != web {
		t.Errorf("a write of the policy's status had its objects decided again")
	}
	limited := map[string]any{"division": map[string]any{"limits": map[string]any{"azure": map[string]any{"max": int64(1)}}}}
	r.apply(policyOf(policyManifest("web", at(5), 2, selecting("web", limited))))
	if got := r.get("web"); got.Decision.String() != "aws=7,azure=1" {
		t.Errorf("web is %s, want aws=7,azure=1", got.Decision)
	}
	if r.get("other") != other {
		t.Errorf("an object that the policy does not select was decided again")
	}

	wrong := map[string]any{"division": map[string]any{"limits": map[string]any{"azure": map[string]any{"min": int64(2), "max": int64(1)}}}}
	r.apply(policyOf(policyManifest("web", at(5), 3, selecting("web", wrong))))
	if got := r.get("web"); got.Decision.String() != "aws=7,azure=1" || got.Decision.Problem != "" {
		t.Errorf("a change that makes no sense is not ignored: %s, %s", got.Decision, got.Decision.Problem)
	}
	known := r.w.facts.KnownPolicies
	if len(known) != 1 || known[0].Mistake == "" || known[0].InEffect == nil || known[0].InEffect.Generation != 2 {
		t.Errorf("it is known as %+v", known)
	}
}

// TestObjectsWithoutAPlaceToGoStay: what is not divided is left alone where nobody knows
// where it is to be.
func TestObjectsWithoutAPlaceToGoStay(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 999, 8, nil)
	nowhere := map[string]any{"clusters": map[string]any{"names": []any{"atlantis"}}}
	r.apply(policyOf(policyManifest("web", at(1000), 1, selecting("web", nowhere))))
	got := r.get("web")
	if got.Decision.String() != "aws=4,azure=4" || got.Concern().Message == "" || got.Undecided {
		t.Errorf("it is %s, problem %v, to be recorded %t", got.Decision, got.Concern(), got.Undecided)
	}
}

func prodOnly() map[string]any {
	return map[string]any{"clusters": map[string]any{"labels": map[string]any{"matchLabels": map[string]any{"tier": "prod"}}}}
}

// TestAPolicyThatIsAppliedWithItsObjectFindsTheRoomOfIt: what runs already takes room, which it would find free if the policy had been
// there first.
func TestAPolicyThatIsAppliedWithItsObjectFindsTheRoomOfIt(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("aws", 3)
	r.see("azure", 3, podsOf("ballast", 3)...)
	if got := r.demanding(t, "web", 999, 3, nil, ""); got.Decision.String() != "aws=3" {
		t.Fatalf("without a policy it is %s", got.Decision)
	}
	r.record()
	r.see("aws", 3, podsOf("web", 3)...)
	r.apply(policyOf(policyManifest("web", at(1000), 1, selecting("web", map[string]any{"clusters": map[string]any{"exclude": []any{"azure"}}}))))
	if got := r.get("web"); got.Decision.String() != "aws=3" || got.Undecided {
		t.Errorf("with a policy it is %s (to be recorded: %t), want aws=3", got.Decision, got.Undecided)
	}
	r.see("azure", 3, podsOf("ballast", 1)...)
	r.apply(policyOf(policyManifest("web", at(1000), 2, selecting("web", heavyOnAzure()))))
	if got := r.get("web"); got.Decision.String() != "aws=1,azure=2" {
		t.Errorf("with weights it is %s, want aws=1,azure=2", got.Decision)
	}
}

func heavyOnAzure() map[string]any {
	return map[string]any{"division": map[string]any{"limits": map[string]any{
		"aws": map[string]any{"weight": int64(1)}, "azure": map[string]any{"weight": int64(2)}}}}
}
