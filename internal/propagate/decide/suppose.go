package decide

import (
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Supposed is a World as it would be if things were otherwise: package question asks it what would be decided. It changes nothing
// of the World that it was made of, to which nothing may be applied as long as it is in use: suppose on a Fork.
type Supposed struct{ world *World }

// Suppose is w as it is, at a time, without some clusters. Before the members have been measured (see Unmeasured) it goes by what their
// nodes are to have.
func (w *World) Suppose(now time.Time, without ...string) *Supposed {
	f := w.asking(now)
	f.clusters = maps.Clone(w.clusters)
	for _, name := range without {
		delete(f.clusters, name)
	}
	f.Measures = w.knows(f.clusters)
	f.surroundingsChanged()
	f.room.Renew(now) // so that no answer begins with forgetting what clusters have free
	return &Supposed{f}
}

// SupposeClusters is a World of which nothing is known but its clusters.
func SupposeClusters(clusters []v1alpha1.Cluster, now time.Time) *Supposed {
	w := NewWorld(Options{})
	w.now = now
	for i := range clusters {
		c := cluster.Read(&clusters[i])
		w.clusters[c.Name] = c
	}
	return &Supposed{w}
}

// Copy is a copy, which may be changed without s.
func (s *Supposed) Copy() *Supposed {
	w := s.world.asking(s.world.now)
	w.room = s.world.room.Granting()
	return &Supposed{w}
}

// TakeForBegun takes all work that is there and stays put for begun.
func (s *Supposed) TakeForBegun() { s.world.members = nil }

// Rule has these policies, and the labels of these Namespaces, be the hub's.
func (s *Supposed) Rule(policies []*policy.Policy, namespaces map[string]map[string]string) {
	s.world.policies.Rule(policies, namespaces)
}

// Lose is s with some clusters lost to all whose replicas fail over, and not ready.
func (s *Supposed) Lose(clusters []string) *Supposed {
	out := s.Copy()
	w, assumed := out.world, map[string]bool{}
	w.clusters = maps.Clone(w.clusters)
	for _, name := range clusters {
		c := w.clusters[name]
		if c == nil {
			continue
		}
		gone := *c
		if gone.Ready {
			gone.Ready, gone.Since = false, w.now
		}
		w.clusters[name], assumed[name] = &gone, true
	}
	w.losses.Assume(assumed)
	w.outlooks.Forget() // what clusters have free is as before
	return out
}

// Clusters are all there are, by name, not to be changed.
func (s *Supposed) Clusters() map[string]*Cluster { return s.world.clusters }

// PolicyClusters is what policies select the clusters by, by name.
func (s *Supposed) PolicyClusters() []policy.Cluster { return s.world.policyClusters() }

// Policies are those in effect.
func (s *Supposed) Policies() []*policy.Policy { return s.world.policies.Index().Policies() }

// Namespaces are the labels of Namespaces by name, not to be changed.
func (s *Supposed) Namespaces() map[string]map[string]string { return s.world.policies.Namespaces() }

// PolicyFor is the policy that applies to a template, and that which says nothing if none does.
func (s *Supposed) PolicyFor(t *template.Template) *policy.Policy { return s.world.policies.For(t) }

// OfHub says whether it is of the World of a hub, which serves resources.
func (s *Supposed) OfHub() bool { return len(s.world.resources) > 0 }

// At is what was decided about a key; nil if there is no template.
func (s *Supposed) At(key template.Key) *Assignment { return s.world.at(key) }

// Keys are the templates that which selects, sorted.
func (s *Supposed) Keys(which func(a *Assignment) bool) []template.Key {
	return s.world.keys(func(o *object) bool { return which(o.a) })
}

// Place is the decision about a template that is not at the hub, or as if it were not.
func (s *Supposed) Place(t *template.Template) schedule.Decision {
	return s.world.decide(&Assignment{Template: t, Policy: s.world.policies.For(t)}, nil)
}

// As is a template as if it were at the hub and decided as d says.
func (s *Supposed) As(t *template.Template, d schedule.Decision) *Assignment {
	a := &Assignment{Template: t, Policy: s.world.policies.For(t)}
	a.SetDecision(d)
	return a
}

// Grant has a be given what it takes, so that others find that much less.
func (s *Supposed) Grant(a *Assignment) { s.world.grant(a) }

// Again is a as it would be decided about again, and has it be given what that takes.
func (s *Supposed) Again(a *Assignment) *Assignment {
	after := *a
	after.SetDecision(s.world.decide(a, a))
	s.world.grant(&after)
	return &after
}

// Rules is why single clusters take none of a although nothing is wrong with any of them.
func (s *Supposed) Rules(a *Assignment) map[string]schedule.Closed {
	o := s.world.outlook(a.Policy)
	wl := s.world.workload(a, a, o)
	rules, _ := o.Unharmed.Closed(&wl)
	return rules
}

// IsLost says whether a cluster is lost for the workloads of a policy, or no member.
func (s *Supposed) IsLost(cluster string, p *policy.Policy) bool {
	c := s.world.clusters[cluster]
	return c == nil || s.Lost()[cluster] || s.world.losses.IsLost(c, p)
}

// Lost are the clusters that Lose was told of. Not to be changed.
func (s *Supposed) Lost() map[string]bool { return s.world.losses.Assumed() }

// FailoverAfter is the failover time of a policy's workloads; 0: never.
func (s *Supposed) FailoverAfter(p *policy.Policy) time.Duration { return s.world.losses.After(p) }

// CutsOff says whether the hub would take itself to be the one that is cut off, if these clusters fell silent at once: then
// nothing fails over until half of the clusters are back, or somebody drains those that are lost.
func (s *Supposed) CutsOff(clusters ...string) bool { return s.world.losses.CutsOff(clusters...) }

// Clusters are all there are, by name, not to be changed.
func (w *World) Clusters() map[string]*Cluster { return w.clusters }

// Demands says whether any workload asks for anything of what members have free.
func (w *World) Demands() bool {
	for _, r := range w.resources {
		for _, o := range r.objects {
			if o.a != nil && o.a.Demand != nil {
				return true
			}
		}
	}
	return false
}

// Unmeasured says whether the nodes and pods of some cluster that answers are not known, although somebody measures.
func (w *World) Unmeasured() bool { return w.Measures && !w.knows(w.clusters) }

// knows says whether the nodes and pods of all clusters that answer have been measured.
func (w *World) knows(clusters map[string]*Cluster) bool {
	for name, c := range clusters {
		if c.Ready && w.room.View(name) == nil {
			return false
		}
	}
	return w.Measures
}

// Standing is what a Cluster's status says of how it is left.
type Standing struct {
	// FailedOver and Drained are the conditions of these types, nil: none.
	FailedOver, Drained *metav1.Condition
}

// Standing says how a cluster is left.
func (w *World) Standing(_ time.Time, cluster string) Standing {
	return Standing{FailedOver: w.losses.FailedOver(cluster), Drained: w.drainedCondition(cluster)}
}
