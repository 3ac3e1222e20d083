package decide

import (
	"cmp"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Facts is what is known beside the objects. It does not change.
type Facts struct {
	Clusters   map[string]*Cluster
	Policies   *policy.Index
	Namespaces map[string]map[string]string // labels by name
	// KnownPolicies are all policies at the hub, for their statuses.
	KnownPolicies []KnownPolicy
	lost          map[loss]bool
	settled       time.Duration
	after         time.Duration
	sorted        []policy.Cluster
}

// KnownPolicy is a policy as it was last written, and as it is in effect: where a change makes no sense, as it
// was before that.
type KnownPolicy struct {
	Object   *unstructured.Unstructured
	InEffect *policy.Policy // nil: it never made sense
	Mistake  string
}

// Cluster is what the hub says of a member.
type Cluster struct {
	Name    string
	Labels  map[string]string
	Zones   []string
	Joined  time.Time
	Ready   bool
	Since   time.Time      // of Ready
	Facts   policy.Cluster // what policies select it by
	Version string         // of Kubernetes
	// What its spec says of what may run there.
	Taints            []corev1.Taint
	Cordoned, Drained bool
	Elastic           bool // a node autoscaler makes room
	Price             schedule.Price
	size              size
}

// Lost says whether a cluster is lost for the workloads of a policy: what they run there fails over.
func (f *Facts) Lost(cluster string, p *policy.Policy) bool {
	return f.lost[loss{cluster, afterFor(f.after, p)}] || f.lost[loss{cluster: cluster}]
}

// Dead says whether the pods of a policy's workloads in a cluster that is out of reach are taken for not ready: when it
// is lost for them, or, where they are not to fail over, would be by the hub's own time.
func (f *Facts) Dead(cluster string, p *policy.Policy) bool {
	return f.Clusters[cluster] != nil && (f.lost[loss{cluster, cmp.Or(afterFor(f.after, p), f.settled)}] || f.Lost(cluster, p))
}

// PolicyClusters is what policies select the clusters by, by name.
func (f *Facts) PolicyClusters() []policy.Cluster { return f.sorted }

// PolicyObject is what policies select a template by.
func (f *Facts) PolicyObject(t *template.Template) *policy.Object {
	return policyObject(t, f.Namespaces)
}

// loss is a cluster that is lost for workloads with a failover time; 0: for all, because it is to be left.
type loss struct {
	cluster string
	after   time.Duration
}
