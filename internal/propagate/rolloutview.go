package propagate

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// fillRollout shows how far the pod template has gone, by the rules by which it goes.
func (e *Engine) fillRollout(p *v1alpha1.Placement, t *template, kind schema.GroupKind) {
	if !rollout.Rolls(t.key.GR) {
		return
	}
	out := &v1alpha1.PlacementRollout{Revision: t.content.revision}
	in := rollout.Input{Revision: t.content.revision}
	var state *rollout.State
	clusters := e.rolling(t, kind)
	if t.governed() {
		in, state = e.rolloutInput(t, clusters, t.policy.Rollout, time.Now()), t.progress.state
		out.Policy = t.policy.String()
	} else {
		in.Clusters = plainClusters(clusters)
	}
	now := rollout.Advance(state, in)
	out.State, out.Message, out.Step = now.Phase, now.Message, now.State.Step
	step := map[string]string{}
	for _, s := range in.Steps {
		for _, name := range s.Clusters {
			step[name] = s.Name
		}
	}
	for _, c := range clusters {
		shown := c.show(now.State)
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

func plainClusters(clusters []rollingCluster) []rollout.Cluster {
	out := make([]rollout.Cluster, len(clusters))
	for i, c := range clusters {
		out[i] = c.Cluster
	}
	return out
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
