package propagate

import (
	"slices"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// close says in s what is not to run, or to go on running, in a cluster.
func (l *losses) close(s *schedule.Cluster, c *cluster, p *policy.Policy) {
	s.Taints = l.taintsOf(c)
	s.Cordoned, s.Drained = c.cordoned, c.drained
	s.Lost = l.isLost(c, p)
}

// bare is a cluster without all that close says.
func bare(c schedule.Cluster) schedule.Cluster {
	c.Taints, c.Cordoned, c.Drained, c.Lost = nil, false, false, false
	return c
}

func isClosed(c schedule.Cluster) bool {
	return len(c.Taints) > 0 || c.Cordoned || c.Drained || c.Lost
}

func anyClosed(all []schedule.Cluster) bool { return slices.ContainsFunc(all, isClosed) }

// unharmed is the clusters as if nothing were wrong with any of them: what rules say.
func unharmed(clusters []schedule.Cluster) []schedule.Cluster {
	out := slices.Clone(clusters)
	for i := range out {
		out[i] = bare(out[i])
		out[i].Ready = true
	}
	return out
}

// undrained is the clusters without drains; those that are drained are cordoned, too.
func undrained(clusters []schedule.Cluster) (out []schedule.Cluster, differ bool) {
	out = slices.Clone(clusters)
	for i := range out {
		differ = differ || out[i].Drained
		out[i].Drained = false
	}
	return out, differ
}

// staysPut says whether what is divided so is never moved once it has begun: work that
// must not be done twice may go on in a cluster that is out of reach, and what has run of
// a Job cannot be taken along. See kept.go.
func staysPut(d kinds.Division) bool { return d == kinds.One || d == kinds.Completions }

// isFirst says whether t is read for the first time since the hub started: it was
// there before. Engine.mu is held at least for reading.
func (e *Engine) isFirst(t *template) bool {
	r := e.resources[t.key.GR]
	return r != nil && !r.synced
}
