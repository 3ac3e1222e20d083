// Package schedule decides where a workload is placed and how many of its
// replicas each cluster is given. It is pure: a snapshot of the clusters and
// one workload in, a Decision out. The same input gives the same Decision
// whatever the order of slices and maps, and nothing is read or written.
package schedule

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Workload is what is to be placed.
type Workload struct {
	// Key is RESOURCE.GROUP/NAMESPACE/NAME. It decides, with the clusters'
	// names, who is given the remainder of a division.
	Key string
	// Total is the number of replicas to divide; below zero counts as zero.
	Total int32
	// Divided is false for what is placed whole in every cluster.
	Divided bool
	// Current is the division until now, cluster to replicas; empty: none. It
	// should say what runs: a cluster that comes back with replicas that have
	// failed over has them here again.
	Current map[string]int32

	Namespace string
	// Template is the pods' template, whose constraints are kept; nil: none.
	Template *corev1.PodTemplateSpec
	// VolumeZones is the zones that bound volumes are in; empty: anywhere.
	VolumeZones []string
	// Policy may be nil.
	Policy *Policy
	// Preferences are as Federation v1's, and take the place of the policy's
	// division; nil: none.
	Preferences *Preferences
	// ByRemainder divides by the preferences' weights as those of a policy are, by
	// largest remainders. Without it they are divided as Federation v1 did.
	ByRemainder bool
	// Selector is Federation v1's cluster selector; nil: every cluster.
	Selector *ClusterSelector
	// Problem is what is wrong with the input as far as the caller knows, an
	// annotation that does not parse for one: nothing new is placed. Warning is
	// the same where there is a way to go on. See Decision.Problem.
	Problem, Warning string
}

// Decision says where a workload goes, and why.
type Decision struct {
	// Divided is the workload's: whether the shares' Replicas mean anything.
	Divided bool
	// Shares is one entry per cluster that is to hold the object, by name.
	Shares []Share
	// Unplaced is how many replicas no cluster could be given.
	Unplaced int32
	// Rejected is the clusters that do not hold the object, by name.
	Rejected []Rejection
	// Reason says in a sentence what is unusual about the whole, or is empty.
	Reason string
	// Unmet is the part of Reason that says which of the policy's spreads there are too
	// few domains or replicas for, and why; empty: none.
	Unmet string
	// Losses is what became of what lost clusters were given, by name.
	Losses []Loss
	// Problem is what is wrong with the input, to be told to whoever wrote it.
	Problem string
	// Hold, with a Problem that leaves no way to go on: leave every member as it
	// is. Shares are what is known of that; surplus is still taken away.
	Hold bool
	// Kept says that nothing was decided: what has begun stays as it was divided.
	Kept bool
	// Waits says that some replicas are where they are only because nothing else can
	// take them: it is to be decided again when there is more room.
	Waits bool
	// Ignored is the labels in the workload's constraints that no cluster has:
	// the members' schedulers look at them.
	Ignored []string
}

// Share is what one cluster is given.
type Share struct {
	Cluster  string
	Replicas int32
	Reason   string
	// Passing says that the reason is the state that the cluster is in, as drained
	// or not ready, and is over when that is.
	Passing bool
}

// AsBefore is the reason of a share that a decision left as it was: why it was given is
// what the decision before said.
const AsBefore = "as before"

// Rejection is why one cluster was not chosen.
type Rejection struct {
	Cluster string
	Reason  string
}

// String is the decision in a word: aws=2,azure=2 for a divided workload,
// aws,azure for one that is not.
func (d Decision) String() string {
	var b strings.Builder
	for i, s := range d.Shares {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s.Cluster)
		if d.Divided {
			b.WriteByte('=')
			b.WriteString(strconv.FormatInt(int64(s.Replicas), 10))
		}
	}
	return b.String()
}

// Division is the shares as a map, fit for the next Workload.Current; nil for
// a workload that is not divided.
func (d Decision) Division() map[string]int32 {
	if !d.Divided {
		return nil
	}
	m := make(map[string]int32, len(d.Shares))
	for _, s := range d.Shares {
		m[s.Cluster] = s.Replicas
	}
	return m
}

// Schedule places a workload.
//
// What is not divided goes to every cluster, ready or not: one that is away
// gets it once it is back.
//
// What is divided keeps to Current as far as it can. Clusters that are not
// ready keep exactly what they have, which counts towards the total; the ready
// ones share the rest: an increment goes to whoever has fewest, a decrement
// comes from whoever has most, and ties are broken by a rank that depends on
// the workload, so that no cluster always wins. Without Current that is an even
// division over the ready clusters. A cluster that once held the object keeps
// it, with 0 replicas if need be: scaling never deletes an object.
//
// Whoever schedules many workloads makes a Snapshot once.
func Schedule(w Workload, clusters []Cluster) Decision {
	return NewSnapshot(clusters, Surroundings{}).Schedule(&w)
}

// Even is the division that Schedule makes of a workload without Current when
// all the given clusters are ready. A division that differs from it has to be
// remembered (see FormatDivision), one that does not can be computed again. It
// is nil for a workload that is not divided.
func Even(w Workload, clusters []Cluster) map[string]int32 {
	w.Current = nil
	ready := slices.Clone(clusters)
	for i := range ready {
		ready[i].Ready = true
	}
	return Schedule(w, ready).Division()
}
