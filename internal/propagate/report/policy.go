package report

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

// PolicyCount is how many objects a policy applies to, and how many more it selects.
type PolicyCount struct{ Applies, Overruled int32 }

// CountPolicies counts for each policy in effect. It takes microseconds for each object.
func CountPolicies(facts *decide.Facts, all iter.Seq[*decide.Assignment]) map[*policy.Policy]PolicyCount {
	counts := map[*policy.Policy]PolicyCount{}
	for a := range all {
		match := facts.Policies.Match(facts.PolicyObject(a.Template))
		if match.Policy != nil {
			c := counts[match.Policy]
			c.Applies++
			counts[match.Policy] = c
		}
		for _, e := range match.Enforced {
			c := counts[e]
			c.Applies++
			counts[e] = c
		}
		for _, o := range match.Overruled {
			c := counts[o.Policy]
			c.Overruled++
			counts[o.Policy] = c
		}
	}
	return counts
}

// PolicyStatus is the status of a policy, as it should be; nil: it is so already.
func PolicyStatus(p decide.KnownPolicy, count PolicyCount, clusters []policy.Cluster, now time.Time) (map[string]any, error) {
	status := policyStatus(p, count, clusters, now)
	return patchOf(p, &status)
}

// patchOf is a status as a merge patch of that of a policy; nil: it is so already.
func patchOf(p decide.KnownPolicy, status any) (map[string]any, error) {
	before, _ := p.Object.Object["status"].(map[string]any)
	wanted, err := runtime.DefaultUnstructuredConverter.ToUnstructured(status)
	if err != nil {
		return nil, fmt.Errorf("encode the status of %s %s: %w", p.Object.GetKind(), p.Object.GetName(), err)
	}
	for field := range before {
		if _, still := wanted[field]; !still {
			wanted[field] = nil // a merge patch leaves alone what it does not name
		}
	}
	if patch, _ := fieldmerge.Patch(map[string]any{"of": before}, map[string]any{"of": wanted}); patch == nil {
		return nil, nil
	}
	return wanted, nil
}

func policyStatus(p decide.KnownPolicy, count PolicyCount, clusters []policy.Cluster, now time.Time) v1alpha1.PlacementPolicyStatus {
	var out v1alpha1.PlacementPolicyStatus
	before, _ := p.Object.Object["status"].(map[string]any)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(before, &out); err != nil {
		out = v1alpha1.PlacementPolicyStatus{}
	}
	out.ObservedGeneration = p.Object.GetGeneration()
	out.Objects, out.Overruled = count.Applies, count.Overruled
	out.InEffect = inEffectOf(p)
	out.Summary = p.InEffect.Summary()
	accepted := acceptedOf(p, clusters)
	accepted.ObservedGeneration, accepted.LastTransitionTime = p.Object.GetGeneration(), metav1.NewTime(now) // if it turns
	meta.SetStatusCondition(&out.Conditions, accepted)
	return out
}

// acceptedOf says whether a policy is in effect as it is written.
func acceptedOf(p decide.KnownPolicy, clusters []policy.Cluster) metav1.Condition {
	accepted := metav1.Condition{
		Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPolicyAccepted, Message: "the policy is in effect",
	}
	problem := p.Mistake
	switch {
	case p.InEffect.WhyHeld() != "":
		problem += "; nothing new of what it selects is placed, and what runs is left alone. Try: correct the policy"
	case problem != "":
		problem += "; the policy stays in effect as it was before"
	default:
		problem = p.InEffect.Problem(clusters)
	}
	if unknown := p.InEffect.Unknown(clusters); problem == "" && len(unknown) > 0 {
		accepted.Message = "the policy is in effect; it names clusters that have not joined: " + strings.Join(unknown, ", ")
	}
	if problem != "" {
		accepted.Status, accepted.Reason, accepted.Message = metav1.ConditionFalse, v1alpha1.ReasonPolicyProblem, problem
	}
	return accepted
}
