package overview

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet"
)

// Federation is how a hub, its clusters and the objects in them are.
type Federation struct {
	Hub      Hub       `json:"hub"`
	Clusters []Cluster `json:"clusters"`
	// NotInSync are the objects that are not everywhere as the hub wants them.
	NotInSync []Object `json:"notInSync"`
}

// Hub is how the hub itself is.
type Hub struct {
	Endpoint string `json:"endpoint"`
	Version  string `json:"version"`
	Ready    bool   `json:"ready"`
	// Problem is what /readyz says fails.
	Problem string `json:"problem,omitempty"`
	// Certificates are the hub's own; nil: it does not say.
	Certificates *Certificates `json:"certificates,omitempty"`
}

// Certificates is how the hub's own certificates are.
type Certificates struct {
	// First is the one that expires first.
	First   string    `json:"first"`
	Expires time.Time `json:"expires"`
	// Problem is what cannot be read, or was not renewed.
	Problem string `json:"problem,omitempty"`
}

// Cluster is how a member is.
type Cluster struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	// Synced is True, False or Unknown.
	Synced string `json:"synced"`
	Held   int32  `json:"held"`
	// Message is never empty if Synced is not True.
	Message string `json:"message,omitempty"`
}

// Object is one that is not everywhere as the hub wants it.
type Object struct {
	Namespace string `json:"namespace,omitempty"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Clusters  string `json:"clusters"`
	// Message is why, never empty.
	Message string `json:"message"`
}

// Of sums up what was read.
func Of(hub Hub, clusters []v1alpha1.Cluster, placements []v1alpha1.Placement) Federation {
	f := Federation{Hub: hub, Clusters: []Cluster{}, NotInSync: []Object{}}
	for i := range clusters {
		f.Clusters = append(f.Clusters, clusterOf(&clusters[i]))
	}
	for i := range placements {
		if p := &placements[i]; p.Summary.Synced != metav1.ConditionTrue {
			f.NotInSync = append(f.NotInSync, Object{p.Object.Namespace, p.Object.Kind, p.Object.Name, p.Summary.Clusters, reasonOf(p)})
		}
	}
	return f
}

// unsynced names the clusters that are not known to be in sync.
func (f Federation) unsynced() []string {
	var names []string
	for _, c := range f.Clusters {
		if c.Synced != string(metav1.ConditionTrue) {
			names = append(names, c.Name)
		}
	}
	return names
}

func clusterOf(c *v1alpha1.Cluster) Cluster {
	out := Cluster{Name: c.Name, Status: c.Status.Phase, Synced: string(metav1.ConditionUnknown), Held: c.Status.Held, Message: ClusterMessage(c)}
	synced := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionSynced)
	if synced != nil {
		out.Synced = string(synced.Status)
	}
	if out.Message == "" && out.Synced != string(metav1.ConditionTrue) {
		out.Message = "the hub has not compared its objects yet"
		if synced != nil && synced.Message != "" {
			out.Message = synced.Message
		}
	}
	return out
}

// ClusterMessage is what there is to know about a cluster, the most important
// first; "" if all is well.
func ClusterMessage(c *v1alpha1.Cluster) string {
	condition := func(kind string) metav1.Condition {
		if found := meta.FindStatusCondition(c.Status.Conditions, kind); found != nil {
			return *found
		}
		return metav1.Condition{}
	}
	if leaving := condition(fleet.ConditionLeaving); leaving.Message != "" {
		return leaving.Message
	}
	switch ready := condition(v1alpha1.ConditionReady); {
	case ready.Status == "":
		return "the hub has not looked at it yet"
	case ready.Status != metav1.ConditionTrue:
		return ready.Message
	}
	var say []string
	if synced := condition(v1alpha1.ConditionSynced); synced.Status == metav1.ConditionFalse {
		say = append(say, synced.Message)
	}
	if held := condition(v1alpha1.ConditionDeletionsHeld); held.Status == metav1.ConditionTrue {
		say = append(say, held.Message)
	}
	switch drained := condition(v1alpha1.ConditionDrained); {
	case drained.Message != "":
		say = append(say, drained.Message)
	case c.Spec.Unschedulable:
		say = append(say, "cordoned: it is given nothing new. Try: hanse uncordon "+c.Name)
	}
	return strings.Join(say, "; ")
}

// reasonOf is why an object is not everywhere as the hub wants it: what its
// Placement says, or else what follows from its state in each cluster.
func reasonOf(p *v1alpha1.Placement) string {
	if p.Summary.Message != "" {
		return oneLine(p.Summary.Message)
	}
	var reasons []string
	if p.Unplaced > 0 {
		reasons = append(reasons, fmt.Sprintf("%s without a place", Replicas(p.Unplaced)))
	}
	var states []string
	in := map[string][]string{}
	for _, c := range p.Clusters {
		switch {
		case c.State == v1alpha1.StateSynced:
		case c.LastError != "":
			reasons = append(reasons, c.Name+": "+oneLine(c.LastError))
		default:
			if !slices.Contains(states, c.State) {
				states = append(states, c.State)
			}
			in[c.State] = append(in[c.State], c.Name)
		}
	}
	for _, state := range states {
		reasons = append(reasons, meaning(state)+" "+strings.Join(in[state], ", "))
	}
	if len(p.Clusters) == 0 {
		for _, r := range p.Rejected {
			reasons = append(reasons, r.Name+": "+oneLine(r.Reason))
		}
	}
	if len(reasons) == 0 {
		return "in no cluster yet"
	}
	return strings.Join(reasons, "; ")
}

// meaning of a state, to be followed by the clusters that it is true of.
func meaning(state string) string {
	switch state {
	case v1alpha1.StateAway:
		return "as last seen, because the hub cannot reach"
	case v1alpha1.StatePending:
		return "still to be written in"
	case v1alpha1.StateDeleting:
		return "still to be deleted in"
	case v1alpha1.StateConflict:
		return "another object has its name in"
	case v1alpha1.StateError:
		return "refused by"
	}
	return state + " in"
}

// Replicas is n with its noun.
func Replicas(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
