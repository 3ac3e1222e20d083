package report

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

func policyObject(generation int64) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "hanse.dev/v1alpha1", "kind": "PlacementPolicy",
		"metadata": map[string]any{"name": "a", "namespace": "shop", "uid": "uid-a", "generation": generation}}}
}

// conditionOf is the one condition of a policy's status.
func conditionOf(t *testing.T, status map[string]any) map[string]any {
	t.Helper()
	conditions, _ := status["conditions"].([]any)
	if len(conditions) != 1 {
		t.Fatalf("%v", status)
	}
	return conditions[0].(map[string]any)
}

// TestAPolicySaysWhetherItIsInEffect, and since when.
func TestAPolicySaysWhetherItIsInEffect(t *testing.T) {
	clusters := []policy.Cluster{{Name: "aws"}}
	inEffect := policyNamed(t, "a", at(1))
	known := decide.KnownPolicy{Object: policyObject(3), InEffect: inEffect}
	status, err := PolicyStatus(known, PolicyCount{Applies: 2, Overruled: 1}, clusters, at(10))
	if err != nil {
		t.Fatal(err)
	}
	c := conditionOf(t, status)
	if status["objects"] != int64(2) || status["overruled"] != int64(1) || status["observedGeneration"] != int64(3) || c["status"] != "True" || c["lastTransitionTime"] != "2026-01-01T00:00:10Z" {
		t.Errorf("%v", status)
	}
	known.Object.Object["status"] = status
	if again, err := PolicyStatus(known, PolicyCount{Applies: 2, Overruled: 1}, clusters, at(20)); again != nil || err != nil {
		t.Errorf("it is written again: %v, %v", again, err)
	}
	more, _ := PolicyStatus(known, PolicyCount{Applies: 3, Overruled: 1}, clusters, at(20))
	if c := conditionOf(t, more); more["objects"] != int64(3) || c["lastTransitionTime"] != "2026-01-01T00:00:10Z" {
		t.Errorf("only the count is another: %v", more)
	}

	wrong := decide.KnownPolicy{Object: policyObject(4), InEffect: inEffect, Mistake: "min is more than max"}
	wrong.Object.Object["status"] = status
	got, _ := PolicyStatus(wrong, PolicyCount{}, clusters, at(30))
	if c := conditionOf(t, got); c["status"] != "False" || c["message"] != "min is more than max; the policy stays in effect as it was before" || c["lastTransitionTime"] != "2026-01-01T00:00:30Z" {
		t.Errorf("a change that makes no sense: %v", got)
	}
	wrong.InEffect = policy.Held(wrong.Object, errors.New("min is more than max"))
	got, _ = PolicyStatus(wrong, PolicyCount{}, clusters, at(30))
	if c := conditionOf(t, got); c["message"] != "min is more than max; nothing new of what it selects is placed, and what runs is left alone. Try: correct the policy" {
		t.Errorf("it never made sense: %v", got)
	}
}

// TestPoliciesCountWhatTheySelect, apart from what another applies to.
func TestPoliciesCountWhatTheySelect(t *testing.T) {
	r := three(t)
	first, second := policyNamed(t, "a", at(1)), policyNamed(t, "b", at(2))
	other, _, _ := one(t)
	elsewhere := *other.a
	moved := *other.a.Template
	moved.Key.Namespace = "other"
	elsewhere.Template = &moved
	r.facts.Policies = policy.NewIndex([]*policy.Policy{first, second})
	got := CountPolicies(r.facts, slices.Values([]*decide.Assignment{r.a, other.a, &elsewhere}))
	if got[first] != (PolicyCount{Applies: 2}) || got[second] != (PolicyCount{Overruled: 2}) {
		t.Errorf("%v", got)
	}
	if got := CountPolicies(newRig().facts, slices.Values([]*decide.Assignment{r.a})); len(got) != 0 {
		t.Errorf("there are none: %v", got)
	}
}

func TestMessagesAreShort(t *testing.T) {
	if got := Shorten(strings.Repeat("ä\n", 1000)); len(got) > shownError+len("…") || strings.Contains(got, "\n") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}
