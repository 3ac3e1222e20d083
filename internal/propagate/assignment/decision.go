package assignment

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// SetDecision has a be decided as d says, and fills in the shares that follow.
func (a *Assignment) SetDecision(d schedule.Decision) {
	a.Decision = d
	a.Shares = make(map[string]template.Share, len(d.Shares))
	var total, before int32
	for _, s := range d.Shares {
		total += s.Replicas
	}
	for _, s := range d.Shares {
		a.Shares[s.Cluster] = template.Share{Replicas: s.Replicas, Before: before, Total: total}
		before += s.Replicas
	}
	if a.Division == kinds.Completions {
		a.cutWork()
	}
	if a.Scaler == nil {
		return
	}
	for cluster, b := range a.Scaler.Bounds {
		if _, in := a.Shares[cluster]; in {
			a.Shares[cluster] = template.Share{Least: b.Min, Most: b.Max}
		}
	}
}

// ToRecord is the division as it is recorded: that of work which has begun is the one that it began with.
func (a *Assignment) ToRecord() map[string]int32 {
	if a.Decision.Kept {
		return a.Recorded
	}
	return a.Decision.Division()
}

// cutWork has the shares of a Job cut its completions as they were when it was made.
func (a *Assignment) cutWork() {
	division := a.ToRecord()
	for name := range a.Shares {
		s := CutOf(division, name)
		s.Parallelism = s.Replicas
		a.Shares[name] = s
	}
}

// CutOf is the share of a cluster in the division by which a Job was made: clusters that left since count, or the pieces would not
// add up.
func CutOf(division map[string]int32, cluster string) (s template.Share) {
	for _, name := range slices.Sorted(maps.Keys(division)) {
		if name == cluster {
			s.Replicas, s.Before = division[name], s.Total
		}
		s.Total += division[name]
	}
	if s.Total == 0 && len(division) > 0 { // made while nothing was to run: one has it all
		if s.Total = 1; slices.Min(slices.Collect(maps.Keys(division))) == cluster {
			s.Replicas = 1
		} else {
			s.Before = 1
		}
	}
	return s
}

// PartOf is what a cluster was given of a, for people.
func (a *Assignment) PartOf(cluster string) string {
	all := a.Completions()
	switch {
	case a.Division == kinds.One:
		return "its work"
	case all == nil:
		return "its part of the work"
	}
	return fmt.Sprintf("%d of %d completions, less those that are done", CutOf(a.Recorded, cluster).OfKind().Cut(int64(*all)), *all)
}

// Asked copies a with another number to divide, and another division.
func (a *Assignment) Asked(total int32, division map[string]int32) *Assignment {
	t := *a.Template
	t.Total, t.Recorded = total, division
	asked := *a
	asked.Template = &t
	return &asked
}

// RunsIn says whether a has replicas in one of some clusters.
func (a *Assignment) RunsIn(clusters map[string]bool) bool {
	return a.Decision.Divided && slices.ContainsFunc(a.Decision.Shares, func(s schedule.Share) bool { return s.Replicas > 0 && clusters[s.Cluster] })
}

// WouldMoveTo says whether a change of what is lost may change where a goes although it runs nothing there.
func (a *Assignment) WouldMoveTo() bool {
	return a.Decision.Divided && (a.Decision.Unplaced > 0 || a.Policy.Rebalance || a.Object.GetAnnotations()[template.FederationPreferences(a.Key.GR)] != "")
}

// Reserves is how many replicas a cluster is to run of a.
func (a *Assignment) Reserves(cluster string) int32 {
	if a.Going || a.Finished() {
		return 0
	}
	return a.Runs(cluster)
}

// HoldAfter is what AnnotationRollout has to say: the hub sets and takes off its own value only.
func (a *Assignment) HoldAfter(state *rollout.State) string {
	switch {
	case state != nil && state.Stopped != "":
		return v1alpha1.RolloutStopped
	case a.Progress.Hold == v1alpha1.RolloutStopped:
		return ""
	}
	return a.Progress.Hold
}

// Concern is what somebody has to be told about where an object is; the zero Concern is none.
type Concern struct{ Reason, Message string }

// Concern of an object: something that makes no sense, or replicas without a place.
func (a *Assignment) Concern() Concern {
	d := &a.Decision
	switch {
	case d.Problem != "":
		return Concern{v1alpha1.ReasonPlacementProblem, d.Problem}
	case d.Hold:
		return Concern{} // until members have been read, in a moment
	case d.Unplaced > 0:
		return Concern{v1alpha1.ReasonUnplaced, d.Reason}
	case d.Unmet != "":
		return Concern{v1alpha1.ReasonSpreadUnmet, d.Unmet}
	}
	return Concern{}
}

// Notice is what somebody may want to know about work that stays where it has begun; empty if that is nothing, or a concern.
func (a *Assignment) Notice() string {
	if !a.Decision.Kept || a.Concern() != (Concern{}) {
		return ""
	}
	return a.Decision.Reason
}
