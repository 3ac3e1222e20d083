package decide

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Dead says whether the pods of a policy's workloads in a cluster are taken for not ready: it is lost for them,
// or, where they are not to fail over, would be by the hub's own time.
func (f *Facts) Dead(cluster string, p *policy.Policy) bool {
	return f.lost[loss{cluster, cmp.Or(f.afterFor(p), f.settled)}] || f.lost[loss{cluster: cluster}]
}

// afterFor is the failover time of a policy's workloads; 0: never.
func (f *Facts) afterFor(p *policy.Policy) time.Duration {
	switch {
	case !p.Failover.Enabled:
		return 0
	case p.Failover.After > 0:
		return p.Failover.After
	}
	return max(0, f.after)
}

// PolicyClusters is what policies select the clusters by, sorted by name.
func (f *Facts) PolicyClusters() []policy.Cluster {
	out := make([]policy.Cluster, 0, len(f.Clusters))
	for _, name := range slices.Sorted(maps.Keys(f.Clusters)) {
		out = append(out, f.Clusters[name].Facts)
	}
	return out
}

// PolicyObject is what policies select a template by.
func (f *Facts) PolicyObject(t *template.Template) *policy.Object {
	return &policy.Object{
		Kind: t.GVK.GroupKind(), Namespace: t.Key.Namespace, Name: t.Key.Name,
		Labels: t.Object.GetLabels(), NamespaceLabels: f.Namespaces[t.Key.Namespace],
	}
}

// WithLost is f as if clusters were lost, for all workloads.
func (f *Facts) WithLost(clusters ...string) *Facts {
	out := *f
	if out.lost = maps.Clone(f.lost); out.lost == nil {
		out.lost = map[loss]bool{}
	}
	for _, name := range clusters {
		out.lost[loss{cluster: name}] = true
	}
	return &out
}
