// Package outlook is the clusters as the objects of one policy see them: which of them it allows and why not the others, what keeps
// pods out of them, and how it changes objects for single ones. It is pure.
package outlook

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Outlook is the clusters as the objects of one policy see them. It does not change.
type Outlook struct {
	made     time.Time
	Snapshot *schedule.Snapshot
	// Unharmed is the snapshot for what only rules say: nothing is wrong with any cluster.
	Unharmed *schedule.Snapshot
	// Undrained is the snapshot for what a drain is not to move yet.
	Undrained *schedule.Snapshot
	Ready     bool                      // all of them are
	Closed    bool                      // something keeps pods out of one
	Policy    *schedule.Policy          // nil: asks for nothing
	Rejected  map[string]string         // why the policy allows a cluster not, by name
	Shapes    map[string]template.Shape // by cluster
}

// Outlooks are made when they are asked for.
type Outlooks struct {
	all  map[*policy.Policy]*Outlook
	roll *Roll // nil: to be made
}

// Around is what they are made of. Whenever something of it is another, but the time, they have to be forgotten.
type Around struct {
	Clusters   map[string]*cluster.Cluster
	Losses     *cluster.Losses
	Namespaces map[string]map[string]string // labels by name
	Now        time.Time
}

// New is Outlooks of which none is made.
func New() Outlooks { return Outlooks{all: map[*policy.Policy]*Outlook{}} }

// Clone is a copy, which may be changed without o.
func (o *Outlooks) Clone() Outlooks { return Outlooks{maps.Clone(o.all), o.roll} }

// Forget has all be made again: something changed of what they are made of.
func (o *Outlooks) Forget() {
	clear(o.all)
	o.roll = nil
}

// Roll is the clusters' names, in order, and when each joined.
type Roll struct {
	// Names are in order.
	Names  []string
	joined []time.Time
	// Last is when the last of them joined.
	Last time.Time
}

// Roll is that of the clusters.
func (o *Outlooks) Roll(clusters map[string]*cluster.Cluster) *Roll {
	if o.roll != nil {
		return o.roll
	}
	r := &Roll{Names: slices.Sorted(maps.Keys(clusters))}
	for _, name := range r.Names {
		at := clusters[name].Joined
		r.joined = append(r.joined, at)
		if at.After(r.Last) {
			r.Last = at
		}
	}
	o.roll = r
	return r
}

// JoinedBy is the names of those that had joined at a time.
func (r *Roll) JoinedBy(at time.Time) []string {
	if !r.Last.After(at) {
		return r.Names
	}
	var names []string
	for i, name := range r.Names {
		if !r.joined[i].After(at) {
			names = append(names, name)
		}
	}
	return names
}

// oldest bounds how old the time is that an Outlook goes by, while there are taints that are tolerated for some time only.
const oldest = time.Second

// Of is that of the objects that p applies to.
func (o *Outlooks) Of(p *policy.Policy, around Around) *Outlook {
	one := o.all[p]
	if one == nil || around.Losses.Tainted() && around.Now.Sub(one.made) > oldest {
		one = newOutlook(p, around)
		o.all[p] = one
	}
	return one
}

func newOutlook(p *policy.Policy, around Around) *Outlook {
	o := readPolicy(p, PolicyClusters(around.Clusters))
	clusters, surroundings := schedulingClusters(p, around), schedule.Surroundings{Namespaces: around.Namespaces, Now: around.Now}
	o.made, o.Ready, o.Closed = around.Now, allReady(clusters), anyClosed(clusters)
	o.Snapshot = schedule.NewSnapshot(clusters, surroundings)
	o.Unharmed = schedule.NewSnapshot(unharmed(clusters), surroundings)
	o.Undrained = o.Snapshot
	if still, differ := undrained(clusters); differ {
		o.Undrained = schedule.NewSnapshot(still, surroundings)
	}
	return o
}

// PolicyClusters is what policies select the clusters by, by name.
func PolicyClusters(clusters map[string]*cluster.Cluster) []policy.Cluster {
	out := make([]policy.Cluster, 0, len(clusters))
	for _, c := range clusters {
		out = append(out, c.Facts)
	}
	slices.SortFunc(out, func(a, b policy.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Because is why the policy allows a cluster not, in its own words if there are any.
func (o *Outlook) Because(cluster, why string) string {
	if own := o.Rejected[cluster]; own != "" {
		return own
	}
	return why
}

// readPolicy is an Outlook, all but its snapshots.
func readPolicy(p *policy.Policy, clusters []policy.Cluster) *Outlook {
	allowed := p.Allowed(clusters)
	o := &Outlook{Rejected: map[string]string{}, Shapes: map[string]template.Shape{}}
	for _, r := range allowed.Rejected {
		o.Rejected[r.Cluster] = r.Reason
	}
	if !allowed.Everywhere || divides(p) {
		o.Policy = forSchedule(p, allowed, clusters)
	}
	for i := range clusters {
		if overrides := p.Overrides(&clusters[i]); len(overrides) > 0 {
			o.Shapes[clusters[i].Name] = template.Shape{ID: shapeID(p, overrides), Overrides: overrides}
		}
	}
	return o
}

// divides says whether a policy has a say in how replicas are divided over the clusters that it allows.
func divides(p *policy.Policy) bool {
	return p.Strategy != v1alpha1.DivideEven || len(p.Limits) > 0 || p.Rebalance || len(p.Spread) > 0 || len(p.Tolerations) > 0 || p.Caps()
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
	if p.Caps() {
		out.Ceilings = map[string]int32{}
		for _, name := range names {
			if most, ok := p.Ceiling(name); ok {
				out.Ceilings[name] = most
			}
		}
	}
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
	return fmt.Sprintf("%s: %s", p.Version(), strings.Join(names, "; "))
}

// schedulingCluster is a cluster as package schedule knows it: each of its zones is a domain, so that rules about zones count
// those of all clusters.
func schedulingCluster(c *cluster.Cluster, p *policy.Policy, losses *cluster.Losses) schedule.Cluster {
	s := schedule.Cluster{
		Name: c.Name, Ready: c.Ready, Labels: c.Labels, Price: c.Price,
		Taints: losses.TaintsOf(c), Cordoned: c.Cordoned, Drained: c.Drained, Lost: losses.IsLost(c, p),
	}
	for _, zone := range c.Zones {
		s.Domains = append(s.Domains, schedule.Domain{Labels: map[string]string{corev1.LabelTopologyZone: zone}})
	}
	return s
}

// schedulingClusters is all clusters by name.
func schedulingClusters(p *policy.Policy, around Around) []schedule.Cluster {
	all := make([]schedule.Cluster, 0, len(around.Clusters))
	for _, c := range around.Clusters {
		all = append(all, schedulingCluster(c, p, around.Losses))
	}
	slices.SortFunc(all, func(a, b schedule.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func allReady(clusters []schedule.Cluster) bool {
	return !slices.ContainsFunc(clusters, func(c schedule.Cluster) bool { return !c.Ready })
}

// Bare is a cluster without all that keeps pods out of it.
func Bare(c schedule.Cluster) schedule.Cluster {
	c.Taints, c.Cordoned, c.Drained, c.Lost = nil, false, false, false
	return c
}

func anyClosed(all []schedule.Cluster) bool {
	return slices.ContainsFunc(all, func(c schedule.Cluster) bool { return len(c.Taints) > 0 || c.Cordoned || c.Drained || c.Lost })
}

// unharmed is the clusters as if nothing were wrong with any of them: what rules say.
func unharmed(clusters []schedule.Cluster) []schedule.Cluster {
	out := slices.Clone(clusters)
	for i := range out {
		out[i] = Bare(out[i])
		out[i].Ready = true
	}
	return out
}

// undrained is the clusters without drains; those that are drained are cordoned, too.
func undrained(clusters []schedule.Cluster) (out []schedule.Cluster, differ bool) {
	out = slices.Clone(clusters)
	for i := range out {
		differ = differ || out[i].Drained
		out[i].Drained = false
	}
	return out, differ
}
