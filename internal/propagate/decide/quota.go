package decide

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/quota"
)

// quotaDelay is how long it takes at least from what members use to another division of a quota.
const quotaDelay = time.Second

// shapes is how a policy changes a for single clusters, and a quota's parts.
func (w *World) shapes(a *Assignment) map[string]template.Shape {
	return a.QuotaShapes(w.outlook(a.Policy).Shapes)
}

// allot has a quota divided, if need be: a, which then waits until it is, or those of the namespace in which a is to run elsewhere
// than before.
func (w *World) allot(b, a *Assignment) {
	switch {
	case a.Quota != nil:
		a.Undecided = a.Quota.Parts == nil
		if before := w.quotas[a.Key.Namespace]; !slices.Contains(before, a.Key) {
			w.quotas[a.Key.Namespace] = append(slices.Clip(before), a.Key)
		}
		w.alarms.Set(w.now.Add(lookDelay), agenda.Alarm{Key: a.Key})
	case a.Division != kinds.Everywhere && (b == nil || !maps.Equal(a.Shares, b.Shares)):
		for _, key := range w.quotas[a.Key.Namespace] {
			w.alarms.Set(w.now.Add(lookDelay), agenda.Alarm{Key: key})
		}
	}
}

// forgetQuota is for a quota that is gone.
func (w *World) forgetQuota(key template.Key) {
	left := slices.DeleteFunc(slices.Clone(w.quotas[key.Namespace]), func(k template.Key) bool { return k == key })
	if w.quotas[key.Namespace] = left; len(left) == 0 {
		delete(w.quotas, key.Namespace)
	}
}

// divideQuota works out the parts of a quota that the clusters are to have now.
func (w *World) divideQuota(o *object, a *Assignment, r *Recording) {
	runs := w.runsIn(a.Key.Namespace)
	var clusters []quota.Cluster
	for _, name := range w.names {
		c, one := w.clusters[name], a.QuotaIn(name, o.seen[name])
		one.Runs, one.Away, one.Lost = runs[name], !w.shows(name, a.Key.GR), c == nil || w.losses.IsLost(c, a.Policy)
		clusters = append(clusters, one)
	}
	parts := quota.Divide(a.Quota.Totals, clusters)
	if a.Quota.Parts == nil || !quota.Same(parts, a.Quota.Parts) {
		value := quota.Format(parts)
		r.Bounds = &value
	}
}

// runsIn says in which clusters something of a namespace is to run.
func (w *World) runsIn(namespace string) map[string]bool {
	runs := map[string]bool{}
	for gr, r := range w.resources {
		daemons := gr == schema.GroupResource{Group: "apps", Resource: "daemonsets"}
		if !template.Decides(gr) {
			continue
		}
		for name, o := range r.objects {
			if name.Namespace != namespace || o.a == nil || o.a.Division == kinds.Everywhere && !daemons {
				continue
			}
			for cluster, s := range o.a.Shares {
				if daemons || s.Replicas > 0 {
					runs[cluster] = true
				}
			}
		}
	}
	return runs
}
