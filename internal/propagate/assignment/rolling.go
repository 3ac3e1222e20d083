package assignment

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// RollingCluster is a cluster with how the pods of a workload are doing there.
type RollingCluster struct {
	rollout.Cluster
	Health   rollout.Health
	Revision string
}

// Rolling is the clusters that have a workload or are to have it, by name. seen is what is known of the object in a cluster, nil if
// nothing is; unread says that it is as it was last seen there, because the cluster cannot be read.
func Rolling(a *Assignment, facts *Facts, seen func(cluster string) *Observed, unread func(cluster string) bool) []RollingCluster {
	var out []RollingCluster
	for _, c := range facts.PolicyClusters() {
		o := seen(c.Name)
		if one, part := RollingIn(a, c.Name, o); part {
			one.Away = !facts.Clusters[c.Name].Ready
			if unread(c.Name) {
				one.Ready = false
				one.Updated = a.Governed() && o.Has(a) && o.Revision == a.Content.Revision
			}
			out = append(out, one)
		}
	}
	return out
}

// RollingIn is a cluster's part in a rollout, if it has one.
func RollingIn(a *Assignment, cluster string, o *Observed) (c RollingCluster, part bool) {
	there := o.Has(a)
	if _, placed := a.Shares[cluster]; !placed && !there {
		return c, false
	}
	c.Name = cluster
	if there {
		c.Revision = o.Revision
		synced, spec, wanted := a.Synced(cluster, o), o.Spec, int64(1) // by the API's default
		if o.Replicas != nil {
			wanted = int64(*o.Replicas)
			spec = template.With(spec, "replicas", wanted) // an autoscaler's, perhaps
		}
		c.Health = rollout.HealthOf(rollout.Workload{
			Kind: a.GVK.GroupKind(), Replicas: wanted, Generation: o.Generation, Observed: o.ObservedGeneration, Spec: spec, Status: o.Status,
		})
		c.Updated = synced || a.Governed() && o.Revision == a.Content.Revision
		c.Ready = synced && c.Health.Done
	}
	c.Note = c.Health.String()
	if c.Updated && (o.Outlived == "" || o.Outlived != rollout.SaidAt(o.Status)) {
		c.Failed = c.Health.Failed
	}
	if o != nil && o.Fault != nil {
		c.Note = o.Fault.Message
	}
	return c, true
}

// PlainClusters is what package rollout knows of clusters.
func PlainClusters(clusters []RollingCluster) []rollout.Cluster {
	out := make([]rollout.Cluster, len(clusters))
	for i, c := range clusters {
		out[i] = c.Cluster
	}
	return out
}

// RolloutInput is what the rollout of a depends on, which a policy governs. progressed is Assignment.Progressed, all what policies
// select clusters by.
func RolloutInput(a *Assignment, clusters []RollingCluster, all []policy.Cluster, progressed, now time.Time) rollout.Input {
	p := a.Policy.Rollout
	in := rollout.Input{
		Revision: a.Content.Revision, Clusters: PlainClusters(clusters), Progress: progressed, Now: now,
		Held: a.Progress.Hold != "", Paused: p.Paused || a.Progress.Hold == v1alpha1.RolloutPaused,
		Wait: p.Wait, Deadline: p.ProgressDeadline, Stop: p.Stop,
	}
	if paused, _, _ := unstructured.NestedBool(a.Content.Object, "spec", "paused"); paused {
		in.Progress = now // by kubectl rollout pause, which is in the members too: no pods follow
	}
	for _, s := range p.Steps(all) {
		in.Steps = append(in.Steps, rollout.Step(s))
	}
	return in
}
