package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Residency says in which clusters the objects of namespaces may ever be: the
// Namespaces themselves, and everything in them, Secrets and ConfigMaps too. Nothing
// else widens that: no policy, override, failover, drain, or right in a namespace.
// Of several Residencies that select a namespace all hold, so that only clusters that
// each of them allows are used.
//
// What the hub stores stays at the hub: see ConditionHubOutside.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=residencies,singular=residency
// +kubebuilder:printcolumn:name="NAMESPACES",type=string,JSONPath=`.status.summary.namespaces`
// +kubebuilder:printcolumn:name="CLUSTERS",type=string,JSONPath=`.status.summary.clusters`
// +kubebuilder:printcolumn:name="ENFORCED",type=string,JSONPath=`.status.conditions[?(@.type=="Enforced")].status`
// +kubebuilder:printcolumn:name="OUTSIDE",type=integer,JSONPath=`.status.outside`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Enforced")].message`
type Residency struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is as of every object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is which namespaces, and where they may be.
	// +required
	Spec ResidencySpec `json:"spec"`
	// status is what is known of where the objects are.
	// +optional
	Status ResidencyStatus `json:"status,omitempty"`
}

// ResidencySpec is which namespaces, and which clusters.
//
// +kubebuilder:validation:XValidation:rule="has(self.namespaces) || has(self.namespaceSelector)",message="namespaces or namespaceSelector must say which namespaces are meant"
type ResidencySpec struct {
	// namespaces are selected by name, whether they exist yet or not.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	Namespaces []string `json:"namespaces,omitempty"`
	// namespaceSelector selects further namespaces, by the labels of the Namespaces.
	// Whoever changes these labels such that a Residency selects the namespace no more
	// needs the verb release of residencies, and the verb restrict where one selects
	// it from then on.
	// +optional
	NamespaceSelector *Selector `json:"namespaceSelector,omitempty"`
	// clusters are those where the objects may be. What no Cluster matches is nowhere.
	// +required
	Clusters ClusterSelector `json:"clusters"`
	// serving says which of the clusters may answer which clients, in the global DNS;
	// empty: any of them any client. The first rule that names a client's place
	// counts. A client that no rule names is not answered. One whose place is not
	// known, or not exactly, is answered only with clusters that may answer it wherever
	// it is.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Serving []ServingRule `json:"serving,omitempty"`
}

// ServingRule says which clusters may answer the clients of some places. A rule
// without continents and countries names all clients.
type ServingRule struct {
	// continents are AF, AN, AS, EU, NA, OC or SA.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	// +kubebuilder:validation:items:Enum=AF;AN;AS;EU;NA;OC;SA
	// +optional
	Continents []string `json:"continents,omitempty"`
	// countries are ISO 3166-1 codes of two letters, such as FR.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^[A-Z]{2}$`
	// +optional
	Countries []string `json:"countries,omitempty"`
	// clusters are those of the Residency's that may answer these clients.
	// +required
	Clusters *ClusterSelector `json:"clusters,omitempty"`
}

// ResidencyStatus is what is known of where the objects are.
type ResidencyStatus struct {
	// observedGeneration is the generation of the spec that this is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// summary is what the columns of kubectl get show.
	// +optional
	Summary ResidencySummary `json:"summary,omitempty"`
	// outside is how many objects are in clusters where they may not be, as far as is
	// known.
	// +optional
	Outside int32 `json:"outside"`
	// violations are the clusters that objects are in which may not be there, and
	// those of which that is not known.
	// +listType=map
	// +listMapKey=cluster
	// +kubebuilder:validation:MaxItems=1024
	// +optional
	Violations []ResidencyViolation `json:"violations,omitempty"`
	// inEffect is the spec that is in effect while that of the Residency is not valid:
	// the last that was. Nobody but the hub may write it.
	// +optional
	InEffect *PolicyInEffect `json:"inEffect,omitempty"`
	// conditions are Accepted (the spec is valid), Enforced (nothing is outside),
	// HubOutside.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ResidencySummary is a Residency in a line.
type ResidencySummary struct {
	// namespaces that are selected, such as shop,pay or team in (pay).
	// +optional
	Namespaces string `json:"namespaces,omitempty"`
	// clusters that are allowed, such as aws,azure or continent in (EU).
	// +optional
	Clusters string `json:"clusters,omitempty"`
}

// ResidencyViolation is a cluster that has objects which may not be there, or may
// have them.
type ResidencyViolation struct {
	// cluster is the name of the Cluster.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Cluster string `json:"cluster"`
	// objects is how many there are; 0: it is not known whether there are any.
	// +optional
	Objects int32 `json:"objects,omitempty"`
	// since is when this was first seen.
	// +required
	Since metav1.Time `json:"since"`
	// message names some of them, or says why it is not known.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
}

// Condition types of a Residency, besides ConditionAccepted.
const (
	// ConditionEnforced is True while no member has an object that may not be there.
	// Unknown: a member that may have some cannot be asked. Its reason is one of
	// ReasonResident….
	ConditionEnforced = "Enforced"
	// ConditionHubOutside is True where the hub, which stores every object, is not
	// where the objects may be, by hanse server --provider, --region and --continent. It
	// is Unknown where the hub's place is not declared, or is not enough to say.
	ConditionHubOutside = "HubOutside"
)

// Reasons of ConditionEnforced.
const (
	ReasonResidentEverywhere = "NothingOutside"
	ReasonResidentViolations = "ResidencyViolations" // objects are outside; what is being done is in the message
	ReasonResidentUnknown    = "MembersUnknown"      // members that are not allowed cannot be asked
)

// Reasons of ConditionHubOutside.
const (
	ReasonHubInside     = "HubInside"
	ReasonHubElsewhere  = "HubElsewhere"
	ReasonHubUndeclared = "HubUndeclared"
)

// ResidencyList is a list of Residencies.
//
// +kubebuilder:object:root=true
type ResidencyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Residency `json:"items"`
}
