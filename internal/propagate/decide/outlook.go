package decide

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// outlook is the clusters as the objects of one policy see them. It does not change.
type outlook struct {
	made     time.Time
	snapshot *schedule.Snapshot
	// unharmed is the snapshot for what only rules say: nothing is wrong with any cluster.
	unharmed *schedule.Snapshot
	// undrained is the snapshot for what a drain is not to move yet.
	undrained *schedule.Snapshot
	ready     bool                      // all of them are
	closed    bool                      // something keeps pods out of one
	policy    *schedule.Policy          // nil: asks for nothing
	rejected  map[string]string         // why the policy allows a cluster not, by name
	shapes    map[string]template.Shape // by cluster
}

// outlooks are made when they are asked for.
type outlooks struct {
	all  map[*policy.Policy]*outlook
	roll *roll // nil: to be made
}

// roll is the clusters' names, in order, and when each joined.
type roll struct {
	names  []string
	joined []time.Time
	last   time.Time
}

func (w *World) roll() *roll {
	if w.outlooks.roll != nil {
		return w.outlooks.roll
	}
	r := &roll{names: slices.Sorted(maps.Keys(w.clusters))}
	for _, name := range r.names {
		at := w.clusters[name].Joined
		r.joined = append(r.joined, at)
		if at.After(r.last) {
			r.last = at
		}
	}
	w.outlooks.roll = r
	return r
}

// joinedBy is the names of those that had joined at a time.
func (r *roll) joinedBy(at time.Time) []string {
	if !r.last.After(at) {
		return r.names
	}
	var names []string
	for i, name := range r.names {
		if !r.joined[i].After(at) {
			names = append(names, name)
		}
	}
	return names
}

// oldestOutlook bounds how old the time is that an outlook goes by, while there are taints that are tolerated for some time
// only.
const oldestOutlook = time.Second

func sameShapes(a, b map[string]template.Shape) bool {
	return maps.EqualFunc(a, b, func(x, y template.Shape) bool { return x.ID == y.ID })
}

// surroundingsChanged lets outlooks be made again: something changed of what they are made of.
func (w *World) surroundingsChanged() {
	w.room.Changed()
	clear(w.outlooks.all)
	w.outlooks.roll = nil
}

// outlook is that of the objects that p applies to.
func (w *World) outlook(p *policy.Policy) *outlook {
	o := w.outlooks.all[p]
	if o == nil || w.losses.Tainted() && w.now.Sub(o.made) > oldestOutlook {
		o = w.newOutlook(p)
		w.outlooks.all[p] = o
	}
	return o
}

func (w *World) newOutlook(p *policy.Policy) *outlook {
	o := readPolicy(p, w.policyClusters())
	clusters, around := w.schedulingClusters(p), schedule.Surroundings{Namespaces: w.namespaces, Now: w.now}
	o.made, o.ready, o.closed = w.now, allReady(clusters), anyClosed(clusters)
	o.snapshot = schedule.NewSnapshot(clusters, around)
	o.unharmed = schedule.NewSnapshot(unharmed(clusters), around)
	o.undrained = o.snapshot
	if still, differ := undrained(clusters); differ {
		o.undrained = schedule.NewSnapshot(still, around)
	}
	return o
}

// policyClusters is what policies select the clusters by, by name.
func (w *World) policyClusters() []policy.Cluster { return policyClusters(w.clusters) }

func policyClusters(clusters map[string]*Cluster) []policy.Cluster {
	out := make([]policy.Cluster, 0, len(clusters))
	for _, c := range clusters {
		out = append(out, c.Facts)
	}
	slices.SortFunc(out, func(a, b policy.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// because is why the policy allows a cluster not, in its own words if there are any.
func (o *outlook) because(cluster, why string) string {
	if own := o.rejected[cluster]; own != "" {
		return own
	}
	return why
}

// readPolicy is an outlook, all but its snapshots.
func readPolicy(p *policy.Policy, clusters []policy.Cluster) *outlook {
	allowed := p.Allowed(clusters)
	o := &outlook{rejected: map[string]string{}, shapes: map[string]template.Shape{}}
	for _, r := range allowed.Rejected {
		o.rejected[r.Cluster] = r.Reason
	}
	if !allowed.Everywhere || divides(p) {
		o.policy = forSchedule(p, allowed, clusters)
	}
	for i := range clusters {
		if overrides := p.Overrides(&clusters[i]); len(overrides) > 0 {
			o.shapes[clusters[i].Name] = template.Shape{ID: shapeID(p, overrides), Overrides: overrides}
		}
	}
	return o
}

// divides says whether a policy has a say in how replicas are divided over the clusters that it allows.
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
