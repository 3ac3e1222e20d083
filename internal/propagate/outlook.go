package propagate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// outlook is the clusters as the objects of one policy see them. It does not change.
type outlook struct {
	snapshot *schedule.Snapshot
	// unharmed is the snapshot for what only rules say: nothing is wrong with any
	// cluster.
	unharmed *schedule.Snapshot
	// undrained is the snapshot for what a drain is not to move so far.
	undrained *schedule.Snapshot
	policy    *schedule.Policy  // nil: asks for nothing
	rejected  map[string]string // why the policy allows a cluster not, by name
	shapes    map[string]shape  // by cluster
}

// shape is how the policy changes objects for one cluster.
type shape struct {
	// id tells shapes apart: the policy with its generation, and which overrides.
	id        string
	overrides []override.Override
}

func sameShapes(a, b map[string]shape) bool {
	return maps.EqualFunc(a, b, func(x, y shape) bool { return x.id == y.id })
}

// outlooks are made when they are asked for.
type outlooks struct {
	mu  sync.Mutex
	all map[*policy.Policy]*outlook
}

func newOutlooks() outlooks { return outlooks{all: map[*policy.Policy]*outlook{}} }

// surroundingsChanged lets outlooks be made again: something changed of what they are
// made of. Engine.mu is held.
func (e *Engine) surroundingsChanged() {
	e.around.forgetAllRooms()
	e.outlooks.mu.Lock()
	defer e.outlooks.mu.Unlock()
	clear(e.outlooks.all)
}

// outlook is that of the objects that p applies to. Engine.mu is held at least for
// reading.
func (e *Engine) outlook(p *policy.Policy) *outlook {
	e.outlooks.mu.Lock()
	defer e.outlooks.mu.Unlock()
	o := e.outlooks.all[p]
	if o == nil {
		o = e.newOutlook(p)
		e.outlooks.all[p] = o
	}
	return o
}

func (e *Engine) newOutlook(p *policy.Policy) *outlook {
	o := readPolicy(p, e.facts())
	clusters, around := e.schedulingClusters(p), e.surroundings()
	o.snapshot = schedule.NewSnapshot(clusters, around)
	o.unharmed = schedule.NewSnapshot(unharmed(clusters), around)
	o.undrained = o.snapshot
	if still, differ := undrained(clusters); differ {
		o.undrained = schedule.NewSnapshot(still, around)
	}
	return o
}

// facts is what policies select the clusters by. Engine.mu is held at least for reading.
func (e *Engine) facts() []policy.Cluster {
	out := make([]policy.Cluster, 0, len(e.clusters))
	for _, c := range e.clusters {
		out = append(out, c.facts)
	}
	slices.SortFunc(out, func(a, b policy.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// surroundings is what scheduling knows beyond the clusters.
func (e *Engine) surroundings() schedule.Surroundings {
	return schedule.Surroundings{Namespaces: e.namespaces.labels, Now: e.clock()}
}

// readPolicy is an outlook, all but its snapshot. It is pure.
func readPolicy(p *policy.Policy, clusters []policy.Cluster) *outlook {
	allowed := p.Allowed(clusters)
	o := &outlook{rejected: map[string]string{}, shapes: map[string]shape{}}
	for _, r := range allowed.Rejected {
		o.rejected[r.Cluster] = r.Reason
	}
	if !allowed.Everywhere || divides(p) {
		o.policy = forSchedule(p, allowed, clusters)
	}
	for i := range clusters {
		if overrides := p.Overrides(&clusters[i]); len(overrides) > 0 {
			o.shapes[clusters[i].Name] = shape{id: shapeID(p, overrides), overrides: overrides}
		}
	}
	return o
}

// divides says whether a policy has a say in how replicas are divided over the
// clusters that it allows.
func divides(p *policy.Policy) bool {
	return p.Strategy != v1alpha1.DivideEven || len(p.Limits) > 0 || p.Rebalance || len(p.Spread) > 0 || len(p.Tolerations) > 0
}

func forSchedule(p *policy.Policy, allowed policy.Allowed, clusters []policy.Cluster) *schedule.Policy {
	names := make([]string, len(clusters))
	for i := range clusters {
		names[i] = clusters[i].Name
	}
	out := &schedule.Policy{
		Name: p.String(), Groups: allowed.Names(), Strategy: schedule.Strategy(p.Strategy),
		Tolerations: p.Tolerations, Rebalance: p.Rebalance,
	}
	out.Weights, out.Min, out.Max = p.Numbers(names)
	for _, s := range p.Spread {
		out.Spread = append(out.Spread, schedule.Spread(s))
	}
	return out
}

func shapeID(p *policy.Policy, overrides []override.Override) string {
	names := make([]string, len(overrides))
	for i, o := range overrides {
		names[i] = o.Name
	}
	return fmt.Sprintf("%s/%d: %s", p.UID, p.Generation, strings.Join(names, "; "))
}
