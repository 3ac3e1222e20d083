package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/policy"
)

// policyStatusInterval is how often the policies' statuses are counted at most.
const policyStatusInterval = time.Second

// policiesSoon has the statuses of the policies counted before long.
func (e *Engine) policiesSoon() {
	select {
	case e.recount <- struct{}{}:
	default:
	}
}

// writePolicyStatuses keeps the policies' statuses until ctx ends.
func (e *Engine) writePolicyStatuses(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.recount:
		}
		retry := e.writePolicyStatusesOnce(ctx)
		timer := time.NewTimer(policyStatusInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if retry {
			e.policiesSoon()
		}
	}
}

// writePolicyStatusesOnce writes what differs; retry says that something failed.
func (e *Engine) writePolicyStatusesOnce(ctx context.Context) (retry bool) {
	e.mu.RLock()
	held := slices.Collect(maps.Values(e.policies.all))
	var counts map[*policy.Policy]*policyCount
	if len(held) > 0 {
		counts = e.countPolicies()
	}
	clusters := e.facts()
	e.mu.RUnlock()
	for _, h := range held {
		if err := e.writePolicyStatus(ctx, h, policyStatus(h, counts[h.heeded], clusters)); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "The status of a policy could not be written, and will be tried again", "policy", h.obj.GetName())
			retry = true
		}
	}
	return retry
}

// policyCount is how many objects a policy applies to, and how many more it selects.
type policyCount struct{ applies, overruled int32 }

// countPolicies counts. Engine.mu is held at least for reading.
func (e *Engine) countPolicies() map[*policy.Policy]*policyCount {
	counts := map[*policy.Policy]*policyCount{}
	of := func(p *policy.Policy) *policyCount {
		if counts[p] == nil {
			counts[p] = &policyCount{}
		}
		return counts[p]
	}
	for _, r := range e.resources {
		for _, t := range r.templates {
			match := e.policies.index.Match(e.policyObject(t))
			if match.Policy == nil {
				continue
			}
			of(match.Policy).applies++
			for _, o := range match.Overruled {
				of(o.Policy).overruled++
			}
		}
	}
	return counts
}

// policyStatus is the status of a policy as it should be. It is pure.
func policyStatus(h heldPolicy, count *policyCount, clusters []policy.Cluster) v1alpha1.PlacementPolicyStatus {
	var out v1alpha1.PlacementPolicyStatus
	before, _ := h.obj.Object["status"].(map[string]any)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(before, &out); err != nil {
		out = v1alpha1.PlacementPolicyStatus{}
	}
	out.ObservedGeneration = h.obj.GetGeneration()
	accepted := metav1.Condition{
		Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPolicyAccepted,
		ObservedGeneration: h.obj.GetGeneration(), Message: "the policy is in effect",
	}
	out.Objects, out.Overruled = 0, 0
	if count != nil {
		out.Objects, out.Overruled = count.applies, count.overruled
	}
	problem := h.mistake
	if h.heeded != nil {
		out.Summary = h.heeded.Summary()
		if problem != "" {
			problem += "; the policy stays in effect as it was before"
		} else {
			problem = h.heeded.Problem(clusters)
		}
		if unknown := h.heeded.Unknown(clusters); problem == "" && len(unknown) > 0 {
			accepted.Message = fmt.Sprintf("the policy is in effect; it names clusters that have not joined: %s", strings.Join(unknown, ", "))
		}
	}
	if problem != "" {
		accepted.Status, accepted.Reason, accepted.Message = metav1.ConditionFalse, v1alpha1.ReasonPolicyProblem, problem
	}
	meta.SetStatusCondition(&out.Conditions, accepted)
	return out
}

func (e *Engine) writePolicyStatus(ctx context.Context, h heldPolicy, status v1alpha1.PlacementPolicyStatus) error {
	wanted, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&status)
	if err != nil {
		return err
	}
	before, _ := h.obj.Object["status"].(map[string]any)
	if patch, _ := fieldmerge.Patch(map[string]any{"of": before}, map[string]any{"of": wanted}); patch == nil {
		return nil
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": h.obj.GetUID()}, "status": wanted})
	if err != nil {
		return err
	}
	resource := "placementpolicies"
	if h.obj.GetNamespace() == "" {
		resource = "clusterplacementpolicies"
	}
	_, err = e.hub.Resource(v1alpha1.Resource(resource)).Namespace(h.obj.GetNamespace()).
		Patch(ctx, h.obj.GetName(), types.MergePatchType, body, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it is gone, or another took its name
	}
	return err
}
