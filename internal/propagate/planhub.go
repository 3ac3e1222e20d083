package propagate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// PlanRequest asks where objects would go.
type PlanRequest struct {
	// Objects are manifests. Policies and Namespaces among them are heeded in the place
	// of the hub's of the same name.
	Objects []*unstructured.Unstructured `json:"objects"`
	// Without are clusters to leave out.
	Without []string `json:"without,omitempty"`
	// Current is what runs where now. Nil: as the hub has divided the object, if it has
	// it.
	Current map[string]int32 `json:"current,omitempty"`
}

// Planned is what became of one object of a PlanRequest.
type Planned struct {
	Decision schedule.Decision `json:"decision"`
	// Stays is why the object would not be propagated at all, or empty.
	Stays string `json:"stays,omitempty"`
	// Effect is what a policy would do, empty for all else: see Planner.Effect.
	Effect string `json:"effect,omitempty"`
}

// Plan decides about objects as the Engine itself would now, with what the members have
// free and what runs there, and touches nothing. It blocks for a few seconds at most,
// while members are read for the first time.
func (e *Engine) Plan(ctx context.Context, q PlanRequest) ([]Planned, error) {
	for i, obj := range q.Objects {
		if obj == nil || obj.GetKind() == "" || obj.GetAPIVersion() == "" {
			return nil, fmt.Errorf("object %d has no apiVersion or kind. Try: a manifest as kubectl apply takes it", i+1)
		}
	}
	e.readMembers(ctx)
	e.mu.RLock()
	defer e.mu.RUnlock()
	p, err := e.planner(q.Without)
	if err != nil {
		return nil, err
	}
	if err := p.heed(q.Objects, e.policies.index.Policies()); err != nil {
		return nil, err
	}
	out := make([]Planned, len(q.Objects))
	for i, obj := range q.Objects {
		current := q.Current
		if current == nil {
			current = e.divisionOf(obj)
		}
		out[i].Decision, out[i].Stays = p.Plan(obj, current)
		out[i].Effect = p.Effect(obj)
	}
	return out, nil
}

// planPatience is how long a plan waits for members whose nodes and pods nobody has
// needed so far.
const planPatience = 5 * time.Second

// readMembers waits until what the members that answer have free is known, or for
// planPatience. Without it a plan goes by what their nodes are to have.
func (e *Engine) readMembers(ctx context.Context) {
	if e.around.watcher == nil {
		return
	}
	e.around.watcher.Want()
	_ = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, planPatience, true, func(context.Context) (bool, error) {
		e.mu.RLock()
		defer e.mu.RUnlock()
		return e.around.knows(e.clusters), nil
	})
}

// planner is a Planner that starts from all that the Engine knows. It may be used as long
// as Engine.mu is held for reading.
func (e *Engine) planner(without []string) (*Planner, error) {
	p := newEngine(e.hubUID)
	p.clusters, p.namespaces, p.resources = maps.Clone(e.clusters), e.namespaces, e.resources
	p.losses, p.drains, p.ceilings, p.began, p.clock = e.losses, e.drains, e.ceilings, e.began, e.clock
	for _, name := range without {
		if p.clusters[name] == nil {
			return nil, fmt.Errorf("there is no cluster %s to leave out; there are %s. Try: hanse clusters", name, strings.Join(slices.Sorted(maps.Keys(e.clusters)), ", "))
		}
		delete(p.clusters, name)
	}
	if e.around.knows(p.clusters) {
		p.around = e.around.copied()
	}
	return &Planner{p}, nil
}

// divisionOf is how the hub has divided its object of that name, nil if it has none.
func (e *Engine) divisionOf(obj *unstructured.Unstructured) map[string]int32 {
	plural, _ := meta.UnsafeGuessKindToResource(obj.GroupVersionKind())
	r := e.resources[plural.GroupResource()]
	if r == nil {
		return nil
	}
	t := r.templates[types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}]
	if t == nil {
		return nil
	}
	return t.decision.Division()
}

// knows says whether the nodes and pods of all clusters that answer have been read.
func (s *surroundings) knows(clusters map[string]*cluster) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, c := range clusters {
		if c.ready && s.views[name] == nil {
			return false
		}
	}
	return s.watcher != nil
}

// copied is what is known, for decisions that are not carried out.
func (s *surroundings) copied() *surroundings {
	out := newSurroundings()
	s.mu.Lock()
	defer s.mu.Unlock()
	out.watcher, out.views, out.asked = s.watcher, maps.Clone(s.views), maps.Clone(s.asked)
	for cluster, all := range s.granted {
		out.granted[cluster] = maps.Clone(all)
	}
	return out
}
