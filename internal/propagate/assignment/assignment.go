package assignment

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/autoscale"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Assignment is a template with what was decided about it. It does not change.
type Assignment struct {
	*template.Template
	// Policy that applies; policy.NoPolicy where none does.
	Policy   *policy.Policy
	Decision schedule.Decision
	// Shares by cluster: what each is to run in the end; of a Job with how many pods at once now.
	Shares map[string]template.Share
	// Now is how many replicas clusters are to run now where that is not their share, because others are not ready
	// to do without.
	Now map[string]int32
	// Shapes is how the policy changes it for single clusters.
	Shapes map[string]template.Shape
	// Turns is which pod template clusters are to have, where that is not the hub's.
	Turns map[string]template.Turn
	// Undecided: the decision has to be recorded at the hub before anything is written to a member.
	Undecided bool
	// AwaitsNamespace: a policy may select it by the labels of its Namespace, which are not known yet.
	AwaitsNamespace bool
	// FollowsMembers: its total is the sum of what members set, because the object says so or because their
	// autoscalers are the hub's.
	FollowsMembers bool
	// OfItself are the clusters whose share the hub changed of its own accord since somebody last changed what is asked of
	// the object.
	OfItself map[string]bool
	// Progressed is when a rollout that is under way was last seen to come nearer to its goal, for RolloutInput.
	Progressed time.Time
	// Recording is what is to be written on the object at the hub; nil: nothing.
	Recording *Recording
}

// Recording is what is to be written on an object at the hub, in one patch that fails if anybody else has written
// since the Assignment's template. Fields that are nil stay as they are; an empty string takes the annotation off.
type Recording struct {
	Division *string // AnnotationDivision
	Taken    *string // AnnotationTaken
	Bounds   *string // AnnotationBounds
	State    *string // AnnotationRolloutState
	Hold     *string // AnnotationRollout
	Replicas *int32  // spec.replicas
	// Tell are the events once it is written.
	Tell []Event
}

// Event is one about an object at the hub.
type Event struct {
	Template *template.Template
	Type     string // corev1.EventTypeNormal or corev1.EventTypeWarning
	Reason   string
	Message  string
}

// Empty says whether nothing is to be written.
func (r *Recording) Empty() bool {
	return r.Division == nil && r.Taken == nil && r.Bounds == nil && r.State == nil && r.Hold == nil && r.Replicas == nil
}

// Add adds what else is to be recorded.
func (r *Recording) Add(more *Recording) {
	if more.Replicas != nil && r.Division == nil { // else the division is recorded first
		r.Division, r.Taken, r.Replicas = more.Division, more.Taken, more.Replicas
	}
	if more.Bounds != nil {
		r.Bounds = more.Bounds
	}
	r.Tell = append(slices.Clone(r.Tell), more.Tell...)
}

// SameRecording says whether the same is to be written, whatever is told of it.
func SameRecording(a, b *Recording) bool {
	if a == nil || b == nil {
		return a == b
	}
	return same(a.Division, b.Division) && same(a.Taken, b.Taken) && same(a.Bounds, b.Bounds) && same(a.State, b.State) && same(a.Hold, b.Hold) &&
		same(a.Replicas, b.Replicas)
}

func same[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// BoundsOf is the bounds that a cluster's autoscaler is to have.
func (a *Assignment) BoundsOf(cluster string) autoscale.Bounds {
	if a.Scaler == nil {
		return autoscale.Bounds{}
	}
	return a.Scaler.Bounds[cluster]
}

// Placed is how many replicas clusters have been given.
func (a *Assignment) Placed() (n int32) {
	for _, s := range a.Decision.Shares {
		n += s.Replicas
	}
	return n
}

// Runs is how many replicas a cluster is to run in the end, of a Job how many pods at once now.
func (a *Assignment) Runs(cluster string) int32 {
	if a.Division == kinds.Completions {
		return a.Shares[cluster].Parallelism
	}
	return a.Shares[cluster].Replicas
}

// Withheld says whether nobody knows where the object is to be, so that it is left alone where it is. What is divided is
// not: its division goes on as it was.
func (a *Assignment) Withheld() bool {
	return a != nil && a.Decision.Hold && !a.Going && (a.Division == kinds.Everywhere || len(a.Decision.Shares) == 0)
}

// Governed says whether a policy lets changes of the pod template go out step by step. Everything else of the object, its
// replicas above all, goes out at once.
func (a *Assignment) Governed() bool {
	return a.Policy != nil && a.Policy.Rollout != nil && rollout.Rolls(a.Key.GR)
}

// RolloutRevision is the pod template's that all members are to have in the end; empty where that is of no account.
func (a *Assignment) RolloutRevision() string {
	if !a.Governed() {
		return ""
	}
	return a.Content.Revision
}

// Settled says whether the rollout has nothing to do until something changes at the hub.
func (a *Assignment) Settled() bool {
	if !a.Governed() {
		return a.Progress.Kept == "" && a.Progress.Hold != v1alpha1.RolloutStopped
	}
	s := a.Progress.State
	return s != nil && s.Done && s.Revision == a.Content.Revision && a.Progress.Kept != "" && a.Progress.Hold != v1alpha1.RolloutStopped
}

// Target is what the hub wants in a cluster in the end. An object there that is known to be so is in sync.
func (a *Assignment) Target(cluster string) template.Target {
	return template.Target{Content: a.Content, Share: a.Shares[cluster], Shape: a.Shapes[cluster].ID, Revision: a.RolloutRevision()}
}

// Synced says whether the object in a cluster is known to be what the hub wants in the end.
func (a *Assignment) Synced(cluster string, o *Observed) bool {
	return o.Exists() && !o.Deleting && o.Fault == nil && o.InSync && o.Left != nil && *o.Left == a.Target(cluster) && !a.Undecided
}

// Wanted is what one cluster is to have of a template now. It is all that a member needs to know of it, and says
// nothing of other clusters.
type Wanted struct {
	*template.Template
	// Placed: the cluster is one of those that are to have it. A workload that is not placed there any more
	// keeps its object with no replicas.
	Placed bool
	// Share of the cluster now: Replicas is what it is to run now, FinalReplicas in the end.
	Share         template.Share
	FinalReplicas int32
	Shape         template.Shape
	Turn          template.Turn
	// Barred: an enforced policy keeps it out of the cluster, whatever else says that it is to be there. It is not made
	// there; what is there is dealt with as Placed says.
	Barred bool
	// Outside is why a Residency does not let it be in the cluster; empty: none does. What is there has to leave.
	Outside string
	// Stays: it stays at the hub, whatever else is said of it: what is there of it goes.
	Stays bool
	// Needed: it is where something names it; Unnamed: that is why it is not in the cluster.
	Needed, Unnamed bool
	// Waits: nothing is to be written yet, because the decision is not recorded or not made.
	Waits bool
	// Withheld: it is to be left alone where it is.
	Withheld bool
	// FollowsMembers: a number of replicas that the member sets itself may be kept.
	FollowsMembers bool
	// OfItself: the share was changed by the hub of its own accord, and not by whoever changed the object last.
	OfItself bool
	// ClusterLabels are the Cluster's, which the pod template may be about.
	ClusterLabels map[string]string
}

// UIDOf is the UID of the template, empty without one.
func (w *Wanted) UIDOf() types.UID {
	if w == nil {
		return ""
	}
	return w.UID
}

// Target is what is wanted now, in little.
func (w *Wanted) Target() template.Target {
	t := template.Target{Content: w.Content, Share: w.Share, Shape: w.Shape.ID, Revision: w.Turn.Revision}
	return t
}

// For is what one cluster is to have of a now. The Cluster's labels are as in facts.
func (a *Assignment) For(cluster string, facts *Facts) *Wanted {
	share, placed := a.Shares[cluster]
	w := &Wanted{
		Template: a.Template, Placed: placed, Share: share, FinalReplicas: share.Replicas, Shape: a.Shapes[cluster],
		Waits: a.Undecided || a.AwaitsNamespace, Withheld: a.Withheld(), FollowsMembers: a.FollowsMembers, OfItself: a.OfItself[cluster],
	}
	if now, other := a.Now[cluster]; other {
		w.Share.Replicas = now
	}
	if a.Governed() {
		w.Turn = template.Turn{Revision: a.Content.Revision}
		if turn, other := a.Turns[cluster]; other {
			w.Turn = turn
		}
	}
	if c := facts.Clusters[cluster]; c != nil {
		w.ClusterLabels = c.Labels
		w.Outside = facts.Outside(a.Template, &c.Facts)
		w.Barred = w.Outside != "" || a.Policy.Bars(&c.Facts) != ""
	}
	w.propagate(a, cluster, facts.Propagation(a))
	return w
}
