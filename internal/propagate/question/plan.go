package question

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// PlanRequest asks where objects would go.
type PlanRequest struct {
	// Objects are manifests. Policies and Namespaces among them are in effect in the place of the hub's of the same name.
	Objects []*unstructured.Unstructured `json:"objects"`
	// Without are clusters to leave out.
	Without []string `json:"without,omitempty"`
	// Current is what runs where now. Nil: as the hub has divided the object, if it has it.
	Current map[string]int32 `json:"current,omitempty"`
	// Losses asks also what of the workloads would not survive the loss of a cluster.
	Losses bool `json:"losses,omitempty"`
}

// Planned is what became of one object of a PlanRequest.
type Planned struct {
	Decision schedule.Decision `json:"decision"`
	// Stays is why the object would not be propagated at all, or empty.
	Stays string `json:"stays,omitempty"`
	// Effect is what a policy would do, empty for all else: see Planner.Effect.
	Effect string `json:"effect,omitempty"`
	// WouldNotSurvive says, if Losses was asked for, of each cluster whose loss would leave replicas without a place how
	// many, and why, as "the loss of aws: 2 of 6 replicas without a place: …". Empty: each loss would be survived, or the workload does
	// not fail over at all.
	WouldNotSurvive []string `json:"wouldNotSurvive,omitempty"`
}

// Plan decides about objects as w itself would now, and changes nothing. Nothing may be applied to w meanwhile: ask a Fork. It ends with
// an error when ctx does. Before the members have been measured (see World.Unmeasured) it goes by what their nodes are to have.
func Plan(ctx context.Context, w *decide.World, now time.Time, q PlanRequest) ([]Planned, error) {
	for i, obj := range q.Objects {
		if obj == nil || obj.GetKind() == "" || obj.GetAPIVersion() == "" {
			return nil, fmt.Errorf("object %d has no apiVersion or kind. Try: a manifest that kubectl apply accepts", i+1)
		}
	}
	p, err := plannerOf(w, now, q.Without)
	if err != nil {
		return nil, err
	}
	if err := p.take(q.Objects, p.as.Policies()); err != nil {
		return nil, err
	}
	out := make([]Planned, len(q.Objects))
	for i, obj := range q.Objects {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		current := q.Current
		if a := p.as.At(keyOf(obj)); current == nil && a != nil {
			current = a.Decision.Division()
		}
		out[i].Decision, out[i].Stays = p.Plan(obj, current)
		if out[i].Effect, err = p.effect(ctx, obj); err != nil {
			return nil, err
		}
	}
	if q.Losses {
		return out, p.lose(ctx, q.Objects, out)
	}
	return out, nil
}

// Planner decides where objects would go, by the rules of a World. It changes nothing.
type Planner struct{ as *decide.Supposed }

// NewPlanner makes a Planner for clusters that are as given. others are the placement policies, of both kinds, and the
// Namespaces that decisions depend on; what is of another kind is passed over. The error names the policy that makes no sense.
func NewPlanner(clusters []v1alpha1.Cluster, others []*unstructured.Unstructured, now time.Time) (*Planner, error) {
	p := &Planner{decide.SupposeClusters(clusters, now)}
	return p, p.take(others, nil)
}

// plannerOf is a Planner that starts from all that w knows.
func plannerOf(w *decide.World, now time.Time, without []string) (*Planner, error) {
	there := w.Clusters()
	for _, name := range without {
		if there[name] == nil {
			return nil, fmt.Errorf("there is no cluster %s to leave out; there are %s. Try: hanse clusters", name, strings.Join(slices.Sorted(maps.Keys(there)), ", "))
		}
	}
	p := &Planner{w.Suppose(now, without...)}
	p.as.TakeForBegun()
	return p, nil
}

// take adds the policies and Namespaces among the objects to those that there are already, in the place of such as have the same
// name.
func (p *Planner) take(objects []*unstructured.Unstructured, already []*policy.Policy) error {
	names := maps.Clone(p.as.Namespaces())
	for _, obj := range objects {
		switch {
		case isNamespace(obj):
			names[obj.GetName()] = obj.GetLabels()
		case isPolicy(obj):
			read, err := policy.Parse(obj)
			if err != nil {
				return fmt.Errorf("%s %s: %w", obj.GetKind(), obj.GetName(), err)
			}
			already = slices.DeleteFunc(already, func(p *policy.Policy) bool { return p.String() == read.String() })
			already = append(already, read)
		}
	}
	p.as.Rule(already, names)
	return nil
}

// Steers says whether an object is one that decisions about others depend on, for NewPlanner: a placement policy or a Namespace.
func Steers(obj *unstructured.Unstructured) bool { return isNamespace(obj) || isPolicy(obj) }

func isNamespace(obj *unstructured.Unstructured) bool {
	return obj.GroupVersionKind().GroupKind() == schema.GroupKind{Kind: "Namespace"}
}

func isPolicy(obj *unstructured.Unstructured) bool {
	gvk := obj.GroupVersionKind()
	return gvk.Group == v1alpha1.GroupVersion().Group && (gvk.Kind == "PlacementPolicy" || gvk.Kind == "ClusterPlacementPolicy" || gvk.Kind == policy.KindResidency)
}

// Plan decides about one object. current is how it is divided, nil for an object that is new. stays is why the object would not be
// propagated at all, or empty.
func (p *Planner) Plan(obj *unstructured.Unstructured, current map[string]int32) (d schedule.Decision, stays string) {
	key := keyOf(obj)
	if reason, ok := kinds.NewTable().Stays(key.GR, obj); ok {
		return d, reason
	}
	t, _ := template.Read(key.GR, obj.DeepCopy(), nil, nil)
	t.Recorded = current
	return p.as.Place(t), ""
}

// keyOf is right for all kinds that are divided.
func keyOf(obj *unstructured.Unstructured) template.Key {
	plural, _ := meta.UnsafeGuessKindToResource(obj.GroupVersionKind())
	return template.Key{GR: plural.GroupResource(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

const (
	// plannedObjects bounds how many of the hub's objects a plan of a policy decides about.
	plannedObjects = 200
	// namedMoves is how many of those that would be moved it names.
	namedMoves = 5
)

// Effect says in sentences what a policy selects and does, and of the objects that the Planner knows of, to how many it would apply
// and what would become of them. It is empty for what is no policy.
func (p *Planner) Effect(obj *unstructured.Unstructured) string {
	said, _ := p.effect(context.Background(), obj)
	return said
}

func (p *Planner) effect(ctx context.Context, obj *unstructured.Unstructured) (string, error) {
	if !isPolicy(obj) {
		return "", nil
	}
	read, err := policy.Parse(obj)
	if err != nil {
		return "", nil // NewPlanner has said so
	}
	s := read.Summary()
	said := []string{fmt.Sprintf("selects %s; divides by strategy %s; clusters: %s", cmp.Or(s.Selects, "everything"), s.Strategy, cmp.Or(s.Clusters, "all"))}
	if read.IsResidency() {
		said[0] = fmt.Sprintf("restricts namespaces %s to clusters: %s", s.Selects, s.Clusters)
	}
	if problem := read.Problem(p.as.PolicyClusters()); problem != "" {
		said = append(said, problem)
	}
	atHub, err := p.effectAtHub(ctx, read)
	return strings.Join(append(said, atHub...), ". "), err
}

// effectAtHub is what would become of the hub's objects; nothing, without a hub.
func (p *Planner) effectAtHub(ctx context.Context, read *policy.Policy) ([]string, error) {
	if !p.as.OfHub() {
		return nil, nil
	}
	selected := p.as.Keys(func(a *decide.Assignment) bool {
		if read.IsResidency() { // it holds besides whatever applies
			return read.Selects(policies.ObjectOf(a.Template, p.as.Namespaces()))
		}
		return p.as.PolicyFor(a.Template).String() == read.String()
	})
	if len(selected) == 0 {
		return []string{"It would apply to no object that is at the hub now"}, nil
	}
	said := []string{fmt.Sprintf("It would apply to %s at the hub", objects(len(selected)))}
	var moves []string
	for _, key := range selected[:min(len(selected), plannedObjects)] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a := p.as.At(key)
		if d, _ := p.Plan(a.Object, a.Decision.Division()); d.String() != a.Decision.String() {
			moves = append(moves, fmt.Sprintf("%s: %s, now %s", key, cmp.Or(d.String(), "nowhere"), cmp.Or(a.Decision.String(), "nowhere")))
		}
	}
	switch n := len(moves); {
	case n == 0:
		said = append(said, "All of it stays as it is")
	case n > namedMoves:
		said = append(said, fmt.Sprintf("It changes %s: %s and %d more", objects(n), strings.Join(moves[:namedMoves], "; "), n-namedMoves))
	default:
		said = append(said, fmt.Sprintf("It changes %s: %s", objects(n), strings.Join(moves, "; ")))
	}
	if more := len(selected) - plannedObjects; more > 0 {
		said = append(said, fmt.Sprintf("%s more were not looked at", objects(more)))
	}
	return said, nil
}

func objects(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}
