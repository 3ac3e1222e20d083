package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PlacementPolicy says where objects of its namespace go, how their replicas are
// divided and what is different in which cluster. Without a policy an object goes
// everywhere, divided evenly. What the objects say themselves (node selector,
// affinity, topology spread) holds besides.
//
// Of several policies that select an object one applies: one of its namespace
// before a ClusterPlacementPolicy; then one that selects by name before one by
// labels before one by kind; then the older. A ClusterPlacementPolicy that is
// enforced holds besides.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,path=placementpolicies,singular=placementpolicy,shortName=pp
// +kubebuilder:printcolumn:name="SELECTS",type=string,JSONPath=`.status.summary.selects`
// +kubebuilder:printcolumn:name="STRATEGY",type=string,JSONPath=`.status.summary.strategy`
// +kubebuilder:printcolumn:name="CLUSTERS",type=string,JSONPath=`.status.summary.clusters`
// +kubebuilder:printcolumn:name="OBJECTS",type=integer,JSONPath=`.status.objects`
// +kubebuilder:printcolumn:name="ACCEPTED",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="OVERRULED",type=integer,priority=1,JSONPath=`.status.overruled`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Accepted")].message`
type PlacementPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec PlacementPolicySpec `json:"spec"`
	// status is what the hub has found, and done.
	// +optional
	Status PlacementPolicyStatus `json:"status,omitempty"`
}

// ClusterPlacementPolicy is a PlacementPolicy for objects of many namespaces, and
// for objects that are in none.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=clusterplacementpolicies,singular=clusterplacementpolicy,shortName=cpp
// +kubebuilder:printcolumn:name="SELECTS",type=string,JSONPath=`.status.summary.selects`
// +kubebuilder:printcolumn:name="STRATEGY",type=string,JSONPath=`.status.summary.strategy`
// +kubebuilder:printcolumn:name="CLUSTERS",type=string,JSONPath=`.status.summary.clusters`
// +kubebuilder:printcolumn:name="OBJECTS",type=integer,JSONPath=`.status.objects`
// +kubebuilder:printcolumn:name="ACCEPTED",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="OVERRULED",type=integer,priority=1,JSONPath=`.status.overruled`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Accepted")].message`
type ClusterPlacementPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec ClusterPlacementPolicySpec `json:"spec"`
	// status is what the hub has found, and done.
	// +optional
	Status PlacementPolicyStatus `json:"status,omitempty"`
}

// ClusterPlacementPolicySpec is a PlacementPolicySpec with namespaces.
//
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'Enforced' || !has(self.select) || !(has(self.select.names) || has(self.select.labels))",message="what is enforced selects by kinds and namespaces only: names and labels are chosen by those whom it is to bind"
type ClusterPlacementPolicySpec struct {
	// mode is Default, for what no more specific policy applies to, or Enforced. An
	// enforced policy also holds where another applies: only clusters that both allow
	// are used, of two maxima the lower counts, of the other's tolerations only those
	// that the enforced one has, if it has any, and its overrides come last. Several
	// that are enforced all hold.
	// +kubebuilder:validation:Enum=Default;Enforced
	// +default="Default"
	// +optional
	Mode string `json:"mode,omitempty"`
	// namespaces are those whose objects are selected; empty: all, and also
	// objects that are in no namespace, if select.kinds names their kind.
	// +optional
	Namespaces *NamespaceSelector `json:"namespaces,omitempty"`

	PlacementPolicySpec `json:",inline"`
}

// Modes of a ClusterPlacementPolicy.
const (
	ModeDefault  = "Default"
	ModeEnforced = "Enforced"
)

// NamespaceSelector selects namespaces. All that it says must hold.
//
// +kubebuilder:validation:XValidation:rule="has(self.names) || has(self.labels) || has(self.exclude)",message="namespaces must have names, labels or exclude"
type NamespaceSelector struct {
	// names are those of the namespaces; empty: any.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	Names []string `json:"names,omitempty"`
	// labels of the Namespace.
	// +optional
	Labels *Selector `json:"labels,omitempty"`
	// exclude these.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	Exclude []string `json:"exclude,omitempty"`
}

// PlacementPolicySpec is which objects, where to, how many and with what changes.
//
// +kubebuilder:validation:XValidation:rule="!has(self.fallback) || has(self.clusters)",message="fallback needs clusters: the ones that come first"
// +kubebuilder:validation:XValidation:rule="!has(self.spread) || !has(self.clusters) || !has(self.clusters.names) || has(self.fallback) || self.spread.all(s, s.key.endsWith('zone') || s.atLeast <= size(self.clusters.names))",message="spread asks for more than there are names in clusters: atLeast must not be above their number"
type PlacementPolicySpec struct {
	// select says which objects; empty: all of the namespace. Objects that are in
	// no namespace only where kinds names their kind.
	// +optional
	Select ObjectSelector `json:"select,omitempty"`
	// propagation says whether the objects go to members at all: Everywhere, that is
	// to all clusters that they may be in; Needed, for Secrets and ConfigMaps, to those
	// of them where something goes that names them; None, nowhere. Empty: as the
	// Namespace or the hub says, which is Everywhere if they do not. A policy that is in
	// a namespace, or enforced, only narrows this.
	// +kubebuilder:validation:Enum=Everywhere;Needed;None
	// +optional
	Propagation string `json:"propagation,omitempty"`
	// clusters are where the objects may go; empty: everywhere.
	// +optional
	Clusters *ClusterSelector `json:"clusters,omitempty"`
	// fallback are further groups of clusters, in order: each is used for what
	// those before it cannot take.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Fallback []ClusterGroup `json:"fallback,omitempty"`
	// division says how replicas are divided over the clusters.
	// +optional
	Division Division `json:"division,omitempty"`
	// spread demands that replicas are in several regions, zones, providers, ….
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Spread []Spread `json:"spread,omitempty"`
	// tolerations let objects go to Clusters with taints, besides those of the
	// workload itself.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Tolerations []Toleration `json:"tolerations,omitempty"`
	// failover says what is done when a cluster is lost.
	// +optional
	Failover Failover `json:"failover,omitempty"`
	// rollout says in which order a change goes out; empty: everywhere at once.
	// +optional
	Rollout *Rollout `json:"rollout,omitempty"`
	// overrides change the objects for some of the clusters. Those that are for a
	// cluster are applied in this order.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Overrides []Override `json:"overrides,omitempty"`
}

// ObjectSelector selects objects. All that it says must hold: an object has to
// be of one of the kinds, have one of the names, and the labels.
type ObjectSelector struct {
	// kinds are those of the objects; empty: any.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Kinds []ObjectKind `json:"kinds,omitempty"`
	// names are those of the objects; empty: any.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Names []string `json:"names,omitempty"`
	// labels of the object.
	// +optional
	Labels *Selector `json:"labels,omitempty"`
}

// ObjectKind is a kind of objects, in any of its versions.
type ObjectKind struct {
	// apiVersion is v1 or apps/v1, say. Objects of other versions of the group are
	// the same objects, and meant too.
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[a-z]([-a-z0-9]*[a-z0-9])?$`
	// +required
	APIVersion string `json:"apiVersion"`
	// kind is the objects', such as Deployment.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*$`
	// +required
	Kind string `json:"kind"`
}

// Selector selects by labels, as a LabelSelector of Kubernetes does, but has to
// say something.
//
// +kubebuilder:validation:XValidation:rule="has(self.matchLabels) || has(self.matchExpressions)",message="must have matchLabels or matchExpressions"
type Selector struct {
	// matchLabels are labels that have to be there with these values.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && !format.qualifiedName().validate(k).hasValue())",message="each key must be a label key, as app or example.com/app"
	// +optional
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`
	// matchExpressions all have to hold.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	MatchExpressions []LabelRequirement `json:"matchExpressions,omitempty"`
}

// LabelValue is the value of a label; it may be empty.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`
type LabelValue string

// LabelRequirement is a condition on one label.
//
// +kubebuilder:validation:XValidation:rule="self.operator in ['In', 'NotIn'] ? has(self.values) : !has(self.values)",message="operators In and NotIn need values, Exists and DoesNotExist have none"
type LabelRequirement struct {
	// key of the label.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",message="must be a label key, as app or example.com/app"
	// +required
	Key string `json:"key"`
	// operator is In, NotIn, Exists or DoesNotExist.
	// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
	// +required
	Operator string `json:"operator"`
	// values of In and NotIn.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Values []LabelValue `json:"values,omitempty"`
}

// ClusterSelector selects clusters. All that it says must hold.
//
// +kubebuilder:validation:XValidation:rule="has(self.names) || has(self.labels) || has(self.fields) || has(self.exclude)",message="must have names, labels, fields or exclude"
type ClusterSelector struct {
	// names are those of the Clusters; empty: any.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Names []string `json:"names,omitempty"`
	// labels of the Cluster.
	// +optional
	Labels *Selector `json:"labels,omitempty"`
	// fields of the Cluster.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Fields []FieldRequirement `json:"fields,omitempty"`
	// exclude these.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Exclude []string `json:"exclude,omitempty"`
}

// ClusterGroup is a ClusterSelector with a name.
type ClusterGroup struct {
	// name is what reasons call the group; empty: its place in the list.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Name string `json:"name,omitempty"`

	ClusterSelector `json:",inline"`
}

// FieldRequirement is a condition on what the hub knows of a cluster. A cluster
// with several zones is in a zone if one of them is.
type FieldRequirement struct {
	// key is provider, region, zone or continent.
	// +kubebuilder:validation:Enum=provider;region;zone;continent
	// +required
	Key string `json:"key"`
	// operator is In or NotIn.
	// +kubebuilder:validation:Enum=In;NotIn
	// +required
	Operator string `json:"operator"`
	// values are what the field is compared with, such as aws, eu-west-1, eu-west-1a, EU.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +required
	Values []string `json:"values"`
}

// Keys of a FieldRequirement.
const (
	FieldProvider  = "provider"
	FieldRegion    = "region"
	FieldZone      = "zone"
	FieldContinent = "continent"
)

// PlacementPolicyStatus is how a policy is doing.
type PlacementPolicyStatus struct {
	// observedGeneration is the generation of the spec that this is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// summary is what the columns of kubectl get show.
	// +optional
	Summary PolicySummary `json:"summary,omitempty"`
	// objects is how many objects the policy applies to.
	// +optional
	Objects int32 `json:"objects,omitempty"`
	// overruled is how many more it selects, that another policy applies to.
	// +optional
	Overruled int32 `json:"overruled,omitempty"`
	// inEffect is the spec that is in effect while that of the policy is not valid:
	// the last that was. Nobody but the hub may write it.
	// +optional
	InEffect *PolicyInEffect `json:"inEffect,omitempty"`
	// conditions are Accepted (the spec is valid).
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// PolicyInEffect is an earlier spec of a policy.
type PolicyInEffect struct {
	// generation that it was of.
	// +required
	Generation int64 `json:"generation"`
	// Spec as it was.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:Schemaless
	Spec apiextensionsv1.JSON `json:"spec"`
}

// Reasons of ConditionAccepted of a policy.
const (
	ReasonPolicyAccepted = "InEffect"
	// ReasonPolicyProblem: the message says what is not valid, or not valid now,
	// such as clusters that do not exist. What runs stays where it is. A policy that
	// was never valid holds what it selects: nothing new is placed.
	ReasonPolicyProblem = "Problem"
)

// PolicySummary is a policy in a line.
type PolicySummary struct {
	// selects is the objects, such as Deployment/web or app=web.
	// +optional
	Selects string `json:"selects,omitempty"`
	// strategy of the division.
	// +optional
	Strategy string `json:"strategy,omitempty"`
	// clusters is which clusters, such as aws,azure or region in (eu-west-1).
	// +optional
	Clusters string `json:"clusters,omitempty"`
}

// PlacementPolicyList is a list of PlacementPolicies.
//
// +kubebuilder:object:root=true
type PlacementPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PlacementPolicy `json:"items"`
}

// ClusterPlacementPolicyList is a list of ClusterPlacementPolicies.
//
// +kubebuilder:object:root=true
type ClusterPlacementPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterPlacementPolicy `json:"items"`
}
