package assignment

import (
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/outlook"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Facts is what is known beside the objects. It does not change.
type Facts struct {
	Clusters   map[string]*cluster.Cluster
	Policies   *policy.Index
	Namespaces map[string]map[string]string // labels by name
	// KnownPolicies are all policies at the hub, for their statuses.
	KnownPolicies []policies.Known
	defaults      policies.Defaults
	lost          cluster.Lost
	sorted        []policy.Cluster
}

// NewFacts is what is known of these clusters, of which those are lost, and policies.
func NewFacts(clusters map[string]*cluster.Cluster, lost cluster.Lost, p *policies.Policies) *Facts {
	return &Facts{
		Clusters: clusters, Policies: p.Index(), Namespaces: p.Namespaces(), KnownPolicies: p.Known(),
		defaults: p.Defaults, lost: lost, sorted: outlook.PolicyClusters(clusters),
	}
}

// Lost says whether a cluster is lost for the workloads of a policy: what they run there fails over.
func (f *Facts) Lost(name string, p *policy.Policy) bool { return f.lost.For(name, p) }

// Dead says whether the pods of a policy's workloads in a cluster that is out of reach are taken for not ready: when it
// is lost for them, or, where they are not to fail over, would be by the hub's own time.
func (f *Facts) Dead(name string, p *policy.Policy) bool {
	return f.Clusters[name] != nil && f.lost.Dead(name, p)
}

// PolicyClusters is what policies select the clusters by, by name.
func (f *Facts) PolicyClusters() []policy.Cluster {
	if f.sorted == nil { // not a World's
		return outlook.PolicyClusters(f.Clusters)
	}
	return f.sorted
}

// PolicyObject is what policies select a template by.
func (f *Facts) PolicyObject(t *template.Template) *policy.Object {
	return policies.ObjectOf(t, f.Namespaces)
}

// Outside is why a Residency does not let an object be in a cluster; empty: none does. It goes by the Residencies as they are, also
// where the object has not been decided about again since.
func (f *Facts) Outside(t *template.Template, c *policy.Cluster) string {
	namespace := policies.NamespaceOf(t.Key)
	if f.Policies == nil || namespace == "" {
		return ""
	}
	return f.Policies.Outside(namespace, f.Namespaces[namespace], c)
}

// KeptOut says whether a Residency does not let what has a key be in a cluster.
func (f *Facts) KeptOut(key template.Key, cluster string) bool {
	c, namespace := f.Clusters[cluster], policies.NamespaceOf(key)
	return c != nil && f.Policies != nil && namespace != "" && f.Policies.Outside(namespace, f.Namespaces[namespace], &c.Facts) != ""
}

// WithLost is f as if clusters were lost, for all workloads.
func (f *Facts) WithLost(clusters ...string) *Facts {
	out := *f
	out.lost = f.lost.With(clusters...)
	return &out
}
