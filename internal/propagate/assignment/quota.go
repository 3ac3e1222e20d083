package assignment

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/quota"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// QuotaShapes is how the clusters' objects differ where a is a ResourceQuota that is divided: each has its part. shapes is how a policy
// changes them. A resource of which no part is recorded yet is left out: it is as unbounded there as it was before somebody bounded it.
func (a *Assignment) QuotaShapes(shapes map[string]template.Shape) map[string]template.Shape {
	if a.Quota == nil {
		return shapes
	}
	out := maps.Clone(shapes)
	if out == nil {
		out = map[string]template.Shape{}
	}
	for _, s := range a.Decision.Shares {
		before, hard := shapes[s.Cluster], a.Quota.Parts[s.Cluster].Hard
		var change []v1alpha1.JSONPatchOperation
		id := before.ID
		for _, name := range slices.Sorted(maps.Keys(a.Quota.Totals)) {
			op := v1alpha1.JSONPatchOperation{Op: "remove", Path: "/spec/hard/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")}
			if n, has := hard[name]; has {
				raw, _ := json.Marshal(quota.Write(name, n)) // a string cannot fail
				op.Op, op.Value = "add", &apiextensionsv1.JSON{Raw: raw}
				id += fmt.Sprintf(" %s=%d", name, n)
			}
			change = append(change, op)
		}
		part := override.Override{Name: "the cluster's part of the quota", Spec: &v1alpha1.Override{JSONPatch: change}}
		out[s.Cluster] = template.Shape{ID: id, Overrides: append(slices.Clone(before.Overrides), part)} // last, so that no other makes it more
	}
	return out
}

// QuotaIn is what a cluster shows of a quota. Which bounds are in force there counts once it has been told of its part, and its own
// controller has followed.
func (a *Assignment) QuotaIn(cluster string, seen *Observed) quota.Cluster {
	_, permitted := a.Shares[cluster]
	c := quota.Cluster{Name: cluster, Part: a.Quota.Parts[cluster], Permitted: permitted}
	switch {
	case seen.Exists():
		used, _ := seen.Status["used"].(map[string]any)
		hard, _ := seen.Status["hard"].(map[string]any)
		if c.Used = quota.Read(used); a.Synced(cluster, seen) {
			c.Shown = quota.Read(hard)
		}
	case !permitted:
		c.Shown = map[string]quota.Amount{}
		for resource := range a.Quota.Totals {
			c.Shown[resource] = 0
		}
	}
	return c
}

// Allotted is d with what each cluster has of a quota.
func (a *Assignment) Allotted(d schedule.Decision) schedule.Decision {
	names := slices.Sorted(maps.Keys(a.Quota.Totals))
	d.Shares = slices.Clone(d.Shares)
	for i := range d.Shares {
		var said []string
		for _, name := range names {
			part := a.Quota.Parts[d.Shares[i].Cluster].Hard[name]
			said = append(said, fmt.Sprintf("%s of %s %s", quota.Write(name, part), quota.Write(name, a.Quota.Totals[name]), name))
		}
		if a.Quota.Parts == nil {
			said = []string{"its part is being worked out"}
		}
		d.Shares[i].Reason, d.Shares[i].Passing = strings.Join(said, ", "), true
	}
	d.Reason = "it is the total over all clusters, divided by what is used"
	return d
}
