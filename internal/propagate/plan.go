package propagate

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Planner decides where objects would go, by the rules that an Engine goes by. It
// touches nothing.
type Planner struct{ engine *Engine }

// NewPlanner makes a Planner for clusters that are as given. others are the placement
// policies, of both kinds, and the Namespaces that decisions depend on; what is of
// another kind is passed over. The error names the policy that makes no sense.
func NewPlanner(clusters []v1alpha1.Cluster, others []*unstructured.Unstructured) (*Planner, error) {
	p := &Planner{newEngine("")}
	for i := range clusters {
		c := newCluster(&clusters[i])
		p.engine.clusters[c.name] = c
	}
	return p, p.heed(others, nil)
}

// heed adds the policies and Namespaces among the objects to those that there are
// already, in the place of such as have the same name.
func (p *Planner) heed(objects []*unstructured.Unstructured, already []*policy.Policy) error {
	names := maps.Clone(p.engine.namespaces.labels)
	for _, obj := range objects {
		switch {
		case isNamespaceObject(obj):
			names[obj.GetName()] = obj.GetLabels()
		case isPolicy(obj):
			read, err := readHeld(obj)
			if err != nil {
				return fmt.Errorf("%s %s: %w", obj.GetKind(), obj.GetName(), err)
			}
			already = slices.DeleteFunc(already, func(p *policy.Policy) bool { return p.String() == read.String() })
			already = append(already, read)
		}
	}
	p.engine.namespaces.labels = names
	p.engine.policies.index = policy.NewIndex(already)
	return nil
}

// Steers says whether an object is one that decisions about others depend on, for
// NewPlanner: a placement policy or a Namespace.
func Steers(obj *unstructured.Unstructured) bool { return isNamespaceObject(obj) || isPolicy(obj) }

func isNamespaceObject(obj *unstructured.Unstructured) bool {
	return obj.GroupVersionKind().GroupKind() == schema.GroupKind{Kind: "Namespace"}
}

func isPolicy(obj *unstructured.Unstructured) bool {
	gvk := obj.GroupVersionKind()
	return gvk.Group == v1alpha1.GroupVersion().Group && (gvk.Kind == "PlacementPolicy" || gvk.Kind == "ClusterPlacementPolicy")
}

// Plan decides about one object. current is its division so far, nil for an object that
// is new. stays is why the object would not be propagated at all, or empty.
func (p *Planner) Plan(obj *unstructured.Unstructured, current map[string]int32) (d schedule.Decision, stays string) {
	plural, _ := meta.UnsafeGuessKindToResource(obj.GroupVersionKind()) // right for all kinds that are divided
	gr := plural.GroupResource()
	if reason, ok := kinds.NewTable().Stays(gr, obj); ok {
		return d, reason
	}
	t := newTemplate(gr, obj.DeepCopy())
	t.recorded = current
	t.policy = p.engine.policyFor(t)
	return p.engine.decide(t, nil), ""
}
