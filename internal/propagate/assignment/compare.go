package assignment

import (
	"maps"
	"reflect"
	"slices"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// ConcernsMembers says whether members have to look at an object again: not for what was changed at the hub only, as its
// status, and not before its decision is recorded.
func ConcernsMembers(b, a *Assignment) bool {
	switch {
	case b == a:
		return false
	case b == nil || a == nil:
		return b != nil || !a.Undecided
	case a.Undecided:
		return false
	}
	return b.Undecided || b.UID != a.UID || b.AwaitsNamespace != a.AwaitsNamespace || b.Content != a.Content || b.Going != a.Going ||
		b.FollowsMembers != a.FollowsMembers || b.Withheld() != a.Withheld() || b.RolloutRevision() != a.RolloutRevision() ||
		!SameMap(b.Shares, a.Shares) || !maps.Equal(b.Now, a.Now) || !SameShapes(b.Shapes, a.Shapes) || !SameTurns(b.Turns, a.Turns) ||
		b.Decision.Divided != a.Decision.Divided || !sameNeed(b, a) || b.Finished() != a.Finished() || !sameMetadata(b, a, "annotations", v1alpha1.AnnotationConflict)
}

// ConcernsPlacement says whether a Placement may be another, beyond what concerns members.
func ConcernsPlacement(b, a *Assignment) bool {
	if b == a {
		return false
	}
	if b == nil || a == nil || b.Undecided != a.Undecided || b.Policy != a.Policy || b.Progress != a.Progress || b.Progressed != a.Progressed {
		return true
	}
	return b.Object.GetGeneration() != a.Object.GetGeneration() || !sameMetadata(b, a, "labels") ||
		!SameDecision(&b.Decision, &a.Decision) || !sameSlice(b.Decision.Shares, a.Decision.Shares) || !sameSlice(b.Decision.Rejected, a.Decision.Rejected)
}

// ConcernsPolicies says whether what policies apply to may have changed.
func ConcernsPolicies(b, a *Assignment) bool {
	return b != a && (b == nil || a == nil || b.UID != a.UID || b.Policy != a.Policy || !sameMetadata(b, a, "labels"))
}

// SameMap compares maps that are the same one more often than not.
func SameMap[V comparable](a, b map[string]V) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer() || maps.Equal(a, b)
}

// sameSlice compares slices that are the same one more often than not.
func sameSlice[V comparable](a, b []V) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// sameMetadata compares the labels or annotations of two objects, only those with some names if any are given, without a copy of
// either.
func sameMetadata(a, b *Assignment, field string, names ...string) bool {
	if a.Object == b.Object {
		return true
	}
	x, y := metadata(a, field), metadata(b, field)
	if len(names) == 0 {
		return maps.EqualFunc(x, y, func(v, w any) bool { return v == w })
	}
	return !slices.ContainsFunc(names, func(name string) bool { return x[name] != y[name] })
}

func metadata(a *Assignment, field string) map[string]any {
	m, _ := a.Object.Object["metadata"].(map[string]any)
	all, _ := m[field].(map[string]any)
	return all
}

// SameTurns compares what Assignment.Turns may be.
func SameTurns(a, b map[string]template.Turn) bool {
	return maps.EqualFunc(a, b, func(x, y template.Turn) bool {
		return x.Revision == y.Revision && x.AsIs == y.AsIs && x.Waits == y.Waits && (x.Template == nil) == (y.Template == nil)
	})
}

// SameShapes compares what Assignment.Shapes may be.
func SameShapes(a, b map[string]template.Shape) bool {
	return maps.EqualFunc(a, b, func(x, y template.Shape) bool { return x.ID == y.ID })
}

// SameAsRecorded compares a decision with what is recorded; a cluster with 0 is as one without.
func SameAsRecorded(d *schedule.Decision, recorded map[string]int32) bool {
	if !d.Divided {
		return SameDivision(nil, recorded)
	}
	some := 0
	for i := range d.Shares {
		if d.Shares[i].Replicas != recorded[d.Shares[i].Cluster] {
			return false
		}
		if d.Shares[i].Replicas != 0 {
			some++
		}
	}
	for _, n := range recorded {
		if n != 0 {
			some--
		}
	}
	return some == 0
}

// SameDivision compares two divisions; a cluster with 0 is as one without.
func SameDivision(a, b map[string]int32) bool {
	return within(a, b) && within(b, a)
}

func within(a, b map[string]int32) bool {
	for cluster, n := range a {
		if n != b[cluster] {
			return false
		}
	}
	return true
}

// SameDecision compares what is told about decisions as a whole, and what is done.
func SameDecision(a, b *schedule.Decision) bool {
	return SameShares(a, b) && a.Reason == b.Reason && a.Unplaced == b.Unplaced && a.Problem == b.Problem &&
		a.Hold == b.Hold && a.Kept == b.Kept && a.Waits == b.Waits
}

// SameShares compares how much decisions give to which clusters.
func SameShares(a, b *schedule.Decision) bool {
	if a.Divided == b.Divided && len(a.Shares) > 0 && len(a.Shares) == len(b.Shares) && &a.Shares[0] == &b.Shares[0] {
		return true
	}
	return a.Divided == b.Divided && slices.EqualFunc(a.Shares, b.Shares, func(x, y schedule.Share) bool {
		return x.Cluster == y.Cluster && x.Replicas == y.Replicas
	})
}

// SameStates compares the reasons that are states of clusters. Others are not compared: a decision that is made again finds all "as
// before", and why it came to be so is the reason that was found first.
func SameStates(a, b []schedule.Share) bool {
	return slices.EqualFunc(a, b, func(x, y schedule.Share) bool {
		return x.Passing == y.Passing && (!x.Passing || x.Reason == y.Reason)
	})
}

// LastingReasons is after, with the reasons of before where a share is as it was, and was not given because of a state that is
// over. Both are by cluster.
func LastingReasons(before, after []schedule.Share) []schedule.Share {
	out := slices.Clone(after)
	for i := range out {
		for len(before) > 0 && before[0].Cluster < out[i].Cluster {
			before = before[1:]
		}
		if len(before) > 0 && before[0].Cluster == out[i].Cluster && out[i].Reason == schedule.AsBefore && before[0].Replicas == out[i].Replicas && !before[0].Passing {
			out[i].Reason = before[0].Reason
		}
	}
	return out
}
