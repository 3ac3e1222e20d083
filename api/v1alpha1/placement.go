package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Placement says where one federated object is and how it is doing there. It
// is computed when it is read and cannot be written. The Placement of an
// object is in the object's namespace (that of a cluster-scoped object in
// SystemNamespace) and is called RESOURCE[.GROUP].NAME: deployments.apps.whoami,
// services.whoami.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,path=placements,singular=placement
// +kubebuilder:printcolumn:name="KIND",type=string,JSONPath=`.object.kind`
// +kubebuilder:printcolumn:name="CLUSTERS",type=string,JSONPath=`.summary.clusters`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.summary.ready`
// +kubebuilder:printcolumn:name="SYNCED",type=string,JSONPath=`.summary.synced`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.summary.message`
type Placement struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// object is the federated object at the hub.
	// +required
	Object ObjectReference `json:"object"`
	// summary is what the columns of kubectl get show.
	// +required
	Summary PlacementSummary `json:"summary"`
	// clusters has one entry for each cluster that the object is placed in or
	// still has something to be removed from, by name.
	// +listType=map
	// +listMapKey=name
	// +optional
	Clusters []ClusterPlacement `json:"clusters,omitempty"`
	// policy is the placement policy that applies to the object; empty: none.
	// +optional
	Policy *PolicyMatch `json:"policy,omitempty"`
	// unplaced is how many replicas no cluster could be given; the summary says why.
	// +optional
	Unplaced int32 `json:"unplaced,omitempty"`
	// rejected is the clusters that were not chosen, by name.
	// +listType=map
	// +listMapKey=name
	// +optional
	Rejected []ClusterRejection `json:"rejected,omitempty"`
	// rollout of the object's pod template, for kinds whose pods follow it.
	// +optional
	Rollout *PlacementRollout `json:"rollout,omitempty"`
}

// ConditionReached, on a workload at the hub, is there while a cluster that is to run
// something of it does not answer: Unknown, with what was seen last counted on, and False
// once the cluster is lost and its pods count as not ready.
const ConditionReached = "hanse.dev/Reached"

// Reasons of ConditionReached.
const (
	ReasonClusterAway = "ClusterAway"
	ReasonClusterLost = "ClusterLost"
)

// ConditionPlaced, on a workload at the hub, is False while replicas have no place,
// a policy's spread is not met, or something about where it is to go is not valid; it
// is absent otherwise. Events with the same reasons say so too.
const ConditionPlaced = "hanse.dev/Placed"

// Reasons of ConditionPlaced, and of events about it.
const (
	// ReasonPlacementProblem: an annotation, policy or constraint is not valid. What
	// runs stays where it is.
	ReasonPlacementProblem = "PlacementProblem"
	// ReasonUnplaced: no cluster could be given some of the replicas.
	ReasonUnplaced = "Unplaced"
	// ReasonSpreadUnmet: all replicas have a place, in fewer domains than the policy
	// wants.
	ReasonSpreadUnmet = "SpreadUnmet"
	// ReasonOverrideFailed is of the event about an override of a policy that cannot be
	// applied to the object: for that cluster, it stays as it is there.
	ReasonOverrideFailed = "OverrideFailed"
	// ReasonPlaced is of the event that says that it is over.
	ReasonPlaced = "Placed"
	// ReasonFailedOver is of the event that says where the replicas of a lost cluster
	// fail over to, ReasonFailoverIncomplete where some of them fit nowhere.
	ReasonFailedOver         = "FailedOver"
	ReasonFailoverIncomplete = "FailoverIncomplete"
)

// PolicyMatch is the placement policy that applies to an object.
type PolicyMatch struct {
	// name is the policy's, such as PlacementPolicy shop/web or ClusterPlacementPolicy eu.
	// +required
	Name string `json:"name"`
	// reason is what it selects the object by, in a sentence.
	// +required
	Reason string `json:"reason"`
	// overruled is why others that select the object do not apply to it.
	// +listType=atomic
	// +optional
	Overruled []string `json:"overruled,omitempty"`
}

// ClusterRejection is why a cluster was not chosen.
type ClusterRejection struct {
	// name of the Cluster.
	// +required
	Name string `json:"name"`
	// reason in a sentence.
	// +required
	Reason string `json:"reason"`
}

// ObjectReference names an object at the hub.
type ObjectReference struct {
	// apiVersion is the object's.
	// +required
	APIVersion string `json:"apiVersion"`
	// kind is the object's.
	// +required
	Kind string `json:"kind"`
	// namespace is the object's; empty: it is in none.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// name is the object's.
	// +required
	Name string `json:"name"`
	// uid is the object's at the hub.
	// +required
	UID types.UID `json:"uid"`
}

// PlacementSummary is a Placement in a line.
type PlacementSummary struct {
	// clusters is the clusters with their replicas, such as aws=2,azure=2, or just
	// their names where there are no replicas to divide.
	// +required
	Clusters string `json:"clusters"`
	// ready is ready/wanted over all clusters, empty where the kind has no
	// notion of ready.
	// +required
	Ready string `json:"ready"`
	// synced is True, or False when any cluster is not as the hub wants it.
	// +required
	Synced metav1.ConditionStatus `json:"synced"`
	// message is the first cluster's error, or else why it is not Synced, or why the
	// object is placed nowhere.
	// +optional
	Message string `json:"message,omitempty"`
}

// States of a ClusterPlacement.
const (
	StateSynced   = "Synced"   // as the hub wants it
	StatePending  = "Pending"  // not written (or deleted) yet, nothing has failed yet
	StateError    = "Error"    // the member refused it; see lastError
	StateConflict = "Conflict" // another object of that name existed before; see AnnotationConflict
	StateAway     = "Away"     // the member does not answer; its status is as last seen
	StateDeleting = "Deleting" // no longer wanted, deletion not finished
	StateUnknown  = "Unknown"  // objects of its kind cannot be read there; its status is as last seen
	// StateFieldsDropped: it was written, and the member did not keep some of the fields. Its
	// version or its CRD may not have them, or a webhook removes them; Message names them.
	StateFieldsDropped = "FieldsDropped"
)

// ClusterPlacement is a federated object in one member.
type ClusterPlacement struct {
	// name of the Cluster.
	// +required
	Name string `json:"name"`
	// state is one of the State… constants.
	// +required
	State string `json:"state"`
	// replicas is the share that this cluster is given, nil where the kind is
	// not divided.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// readyReplicas is how many are ready there, nil where the kind has no
	// notion of it.
	// +optional
	ReadyReplicas *int32 `json:"readyReplicas,omitempty"`
	// lastError is what the member answered to the last attempt that failed,
	// with what to do about it. It never holds any of the object's data.
	// +optional
	LastError string `json:"lastError,omitempty"`
	// message is why the object is not Synced where that is no error of the last attempt:
	// what it waits for. It never holds any of the object's data.
	// +optional
	Message string `json:"message,omitempty"`
	// since is when State became what it is.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// reason is why the cluster was given this share.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// PlacementList is a list of Placements.
//
// +kubebuilder:object:root=true
type PlacementList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Placement `json:"items"`
}
