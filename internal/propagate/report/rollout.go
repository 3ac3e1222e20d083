package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
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
	if a.Governed() {
		in = assignment.RolloutInput(a, clusters, facts.PolicyClusters(), cmp.Or(a.Progressed, now), now)
		state, out.Policy = a.Progress.State, a.Policy.String()
	} else {
		in.Clusters = assignment.PlainClusters(clusters)
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
		shown := show(&c, is.State)
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

// rolling is the clusters that have the workload or are to have it, by name.
func rolling(a *decide.Assignment, facts *decide.Facts, members []Member) []assignment.RollingCluster {
	seen := func(cluster string) *decide.Observed {
		if m := memberOf(members, cluster); m != nil {
			return m.Observed(a.Key)
		}
		return nil
	}
	unread := func(cluster string) bool {
		m := memberOf(members, cluster)
		return m != nil && m.Unread(a.Key.GR) != nil
	}
	return assignment.Rolling(a, facts, seen, unread)
}

func memberOf(members []Member, name string) Member {
	at, found := slices.BinarySearchFunc(members, name, func(m Member, name string) int { return strings.Compare(m.Name(), name) })
	if !found {
		return nil
	}
	return members[at]
}

func show(c *assignment.RollingCluster, state *rollout.State) v1alpha1.ClusterRollout {
	out := v1alpha1.ClusterRollout{
		Name: c.Name, Revision: c.Revision, State: v1alpha1.RolloutClusterUpdating,
		Updated: c.Health.Updated, Ready: c.Health.Ready, Total: c.Health.Total,
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
