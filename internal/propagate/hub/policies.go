package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/work"
)

// policyInterval is how often the policies' statuses are counted at most.
const policyInterval = time.Second

// Policies writes the policies' statuses.
type Policies struct {
	hub       dynamic.Interface
	published Published
	hubFacts  policy.Cluster
	clock     clock.WithTicker
	recount   chan struct{}
	failing   map[types.UID]bool // Run alone uses it
}

// NewPolicies makes Policies. place is where the hub is, as is declared.
func NewPolicies(hub dynamic.Interface, published Published, place policy.Cluster, c clock.WithTicker) *Policies {
	return &Policies{hub: hub, published: published, hubFacts: place, clock: c, recount: make(chan struct{}, 1), failing: map[types.UID]bool{}}
}

// Count has the statuses counted before long. It does not block.
func (p *Policies) Count() {
	select {
	case p.recount <- struct{}{}:
	default:
	}
}

// Run writes until ctx ends.
func (p *Policies) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.recount:
		}
		if p.write(ctx) {
			p.Count()
		}
		if !work.Rest(ctx, p.clock, policyInterval, nil) {
			return
		}
	}
}

// write writes what differs; retry says that something failed.
func (p *Policies) write(ctx context.Context) (retry bool) {
	facts := p.published.Facts()
	var counts map[*policy.Policy]report.PolicyCount
	if len(facts.KnownPolicies) > 0 {
		counts = report.CountPolicies(facts, p.published.Assignments())
	}
	var outside map[*policy.Policy][]report.Outside
	if slices.ContainsFunc(facts.KnownPolicies, func(k decide.KnownPolicy) bool { return k.InEffect.IsResidency() }) {
		outside = report.Residents(facts, p.published.Assignments(), p.published.Members())
	}
	log, clusters := klog.FromContext(ctx), facts.PolicyClusters()
	before := p.failing
	p.failing = map[types.UID]bool{}
	for _, known := range facts.KnownPolicies {
		status, err := p.statusOf(known, counts[known.InEffect], outside[known.InEffect], clusters)
		if err == nil && status != nil {
			err = p.writeOne(ctx, known.Object, status)
		}
		uid := known.Object.GetUID()
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil && before[uid]:
			log.Info("The status of a policy could be written again", "policy", known.Object.GetName(), "namespace", known.Object.GetNamespace())
		case err != nil:
			p.failing[uid], retry = true, true
			if !before[uid] {
				log.Error(err, "The status of a policy could not be written, and will be tried again", "policy", known.Object.GetName(), "namespace", known.Object.GetNamespace())
			}
		}
	}
	return retry
}

// statusOf is the status of a policy or Residency, nil if it is so already.
func (p *Policies) statusOf(known decide.KnownPolicy, count report.PolicyCount, outside []report.Outside, clusters []policy.Cluster) (map[string]any, error) {
	if known.InEffect.IsResidency() {
		return report.ResidencyStatus(known, outside, clusters, p.hubFacts, p.clock.Now())
	}
	return report.PolicyStatus(known, count, clusters, p.clock.Now())
}

func (p *Policies) writeOne(ctx context.Context, obj *unstructured.Unstructured, status map[string]any) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": obj.GetUID()}, "status": status})
	if err != nil {
		return fmt.Errorf("encode the status of policy %s: %w", obj.GetName(), err)
	}
	resource := "placementpolicies"
	switch {
	case obj.GetKind() == policy.KindResidency:
		resource = "residencies"
	case obj.GetNamespace() == "":
		resource = "clusterplacementpolicies"
	}
	_, err = p.hub.Resource(v1alpha1.Resource(resource)).Namespace(obj.GetNamespace()).
		Patch(ctx, obj.GetName(), types.MergePatchType, body, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager}, "status")
	if gone(err) {
		return nil
	}
	return err
}
