package report

import (
	"slices"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// fillRollout shows how far the pod template has gone, by the rules by which it goes.
func fillRollout(p *v1alpha1.Placement, a *decide.Assignment, facts *decide.Facts, members []Member, now time.Time) {
	if !rollout.Rolls(a.Key.GR) {
		return
	}
	out := &v1alpha1.PlacementRollout{Revision: a.Content.Revision}
	in := rollout.Input{Revision: a.Content.Revision}
	var state *rollout.State
	clusters := rolling(a, facts, members)
	for _, c := range clusters {
		in.Clusters = append(in.Clusters, c.Cluster)
	}
	if a.Governed() {
		govern(&in, a, facts, now)
		state, out.Policy = a.Progress.State, a.Policy.String()
	}
	is := rollout.Advance(state, in)
	out.State, out.Message, out.Step = is.Phase, is.Message, is.State.Step
	step := map[string]string{}
	for _, s := range in.Steps {
		for _, name := range s.Clusters {
			step[name] = s.Name
		}
	}
	for _, c := range clusters {
		shown := c.show(is.State)
		shown.Step = step[c.Name]
		out.Clusters = append(out.Clusters, shown)
		if shown.State == v1alpha1.RolloutClusterFailed && out.State == rollout.Progressing {
			out.State, out.Message = v1alpha1.RolloutStateFailed, c.Name+": "+c.Failed
		}
	}
	sortByStep(out.Clusters, in.Steps)
	p.Rollout = out
	if p.Summary.Message == "" && out.Policy != "" && out.State != rollout.Complete {
		p.Summary.Message = out.Message
	}
}

// govern adds what a policy says of a rollout. Nobody is late by it: whether deadlines have passed is the World's business.
func govern(in *rollout.Input, a *decide.Assignment, facts *decide.Facts, now time.Time) {
	p := a.Policy.Rollout
	in.Now, in.Progress = now, now
	in.Held = a.Progress.Hold != ""
	in.Paused = p.Paused || a.Progress.Hold == v1alpha1.RolloutPaused
	in.Wait, in.Deadline, in.Stop = p.Wait, p.ProgressDeadline, p.Stop
	for _, s := range p.Steps(facts.PolicyClusters()) {
		in.Steps = append(in.Steps, rollout.Step(s))
	}
}

// rollingCluster is a cluster with how its pods are doing.
type rollingCluster struct {
	rollout.Cluster
	health   rollout.Health
	revision string
}

// rolling is the clusters that have the workload or are to have it, by name.
func rolling(a *decide.Assignment, facts *decide.Facts, members []Member) []rollingCluster {
	var out []rollingCluster
	for _, m := range members {
		o := m.Observed(a.Key)
		there := o.From(a.UID) && o.Ours
		if _, placed := a.Shares[m.Name()]; !placed && !there {
			continue
		}
		c := rollingCluster{Cluster: rollout.Cluster{Name: m.Name(), Away: facts.Clusters[m.Name()] == nil || !facts.Clusters[m.Name()].Ready}}
		o = known(o)
		c.revision = o.Revision
		if s := statusOf(a, facts, m, o); there {
			c.health = rollout.HealthOf(rollout.Workload{
				Kind: a.GVK.GroupKind(), Replicas: replicasOf(o), Generation: s.Generation, Observed: s.ObservedGeneration, Spec: s.Spec, Status: s.Status,
			})
			c.Updated = s.Synced || a.Governed() && o.Revision == a.Content.Revision
			c.Ready = s.Synced && c.health.Done
		}
		c.Note = c.health.String()
		if c.Updated && (o.Outlived == "" || o.Outlived != rollout.SaidAt(o.Status)) {
			c.Failed = c.health.Failed
		}
		if o.Fault != nil {
			c.Note = o.Fault.Message
		}
		out = append(out, c)
	}
	return out
}

// replicasOf is what the member's object asks for, 1 by the API's default.
func replicasOf(o *decide.Observed) int64 {
	if o.Replicas == nil {
		return 1
	}
	return int64(*o.Replicas)
}

func (c rollingCluster) show(state *rollout.State) v1alpha1.ClusterRollout {
	out := v1alpha1.ClusterRollout{
		Name: c.Name, Revision: c.revision, State: v1alpha1.RolloutClusterUpdating,
		Updated: c.health.Updated, Ready: c.health.Ready, Total: c.health.Total,
	}
	failed := slices.Contains(state.Failed, c.Name) || slices.Contains(state.Skipped, c.Name) || c.Failed != ""
	switch {
	case c.Away:
		out.State = v1alpha1.RolloutClusterAway
	case c.Ready:
		out.State = v1alpha1.RolloutClusterDone
	case !c.Updated && !state.Opens(c.Name, state.Revision):
		out.State, out.Updated = v1alpha1.RolloutClusterHeld, 0
	case failed:
		out.State = v1alpha1.RolloutClusterFailed
	}
	return out
}

// sortByStep puts the clusters in the order of their turns.
func sortByStep(clusters []v1alpha1.ClusterRollout, steps []rollout.Step) {
	turn := map[string]int{}
	for i, s := range steps {
		for _, name := range s.Clusters {
			turn[name] = i
		}
	}
	slices.SortStableFunc(clusters, func(a, b v1alpha1.ClusterRollout) int { return turn[a.Name] - turn[b.Name] })
}
