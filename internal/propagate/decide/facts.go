package decide

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Facts is what is known beside the objects. It does not change.
type Facts struct {
	Clusters   map[string]*Cluster
	Policies   *policy.Index
	Namespaces map[string]map[string]string // labels by name
	// KnownPolicies are all policies at the hub, for their statuses.
	KnownPolicies []KnownPolicy
	lost          cluster.Lost
	sorted        []policy.Cluster
}

// KnownPolicy is a policy as it was last written, and as it is in effect: where a change makes no sense, as it
// was before that. One that never made sense holds what it selects.
type KnownPolicy struct {
	Object   *unstructured.Unstructured
	InEffect *policy.Policy
	Mistake  string
	source   *unstructured.Unstructured // of InEffect; nil: it never made sense
}

// Earlier is the policy as it is in effect, if that is not as it is written now; else nil.
func (k KnownPolicy) Earlier() *unstructured.Unstructured {
	if k.Mistake == "" {
		return nil
	}
	return k.source
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
		return policyClusters(f.Clusters)
	}
	return f.sorted
}

// PolicyObject is what policies select a template by.
func (f *Facts) PolicyObject(t *template.Template) *policy.Object {
	return policyObject(t, f.Namespaces)
}

// WithLost is f as if clusters were lost, for all workloads.
func (f *Facts) WithLost(clusters ...string) *Facts {
	out := *f
	out.lost = f.lost.With(clusters...)
	return &out
}

// Cluster is what the hub says of a member.
type Cluster = cluster.Cluster
