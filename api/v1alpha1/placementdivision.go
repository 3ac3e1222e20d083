package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Division says how replicas are divided over the clusters.
//
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'Weighted' || (has(self.limits) && self.limits.exists(c, has(self.limits[c].weight)))",message="strategy Weighted needs a weight in limits"
// +kubebuilder:validation:XValidation:rule="!has(self.limits) || !self.limits.exists(c, has(self.limits[c].weight)) || !has(self.strategy) || self.strategy == 'Weighted'",message="limits may have weights with strategy Weighted only"
// +kubebuilder:validation:XValidation:rule="!has(self.limits) || !self.limits.exists(c, has(self.limits[c].weight)) || self.limits.exists(c, has(self.limits[c].weight) && self.limits[c].weight > 0)",message="the weights in limits must not all be 0"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'Duplicate' || !has(self.limits)",message="strategy Duplicate has no limits: every cluster gets all replicas"
type Division struct {
	// strategy is Even, Weighted, FreeCapacity, Pack, Cheapest or Duplicate;
	// empty: Weighted if limits has weights, otherwise Even.
	// +kubebuilder:validation:Enum=Even;Weighted;FreeCapacity;Pack;Cheapest;Duplicate
	// +optional
	Strategy string `json:"strategy,omitempty"`
	// limits are the minimum, maximum and weight by cluster; * stands for the
	// clusters that are not listed.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=256
	// +optional
	Limits map[string]ClusterLimits `json:"limits,omitempty"`
	// rebalance moves running replicas when the division asks for it. Without
	// it what runs stays where it is, and only what is added or removed is
	// divided.
	// +optional
	Rebalance bool `json:"rebalance,omitempty"`
}

// Strategies of a Division.
const (
	DivideEven         = "Even"         // the same number to each
	DivideWeighted     = "Weighted"     // in proportion to limits.CLUSTER.weight
	DivideFreeCapacity = "FreeCapacity" // in proportion to how many more would fit
	DividePack         = "Pack"         // to as few clusters as possible
	DivideCheapest     = "Cheapest"     // to the cheapest as far as they fit there
	DivideDuplicate    = "Duplicate"    // all replicas to each
)

// AnyCluster as a key of Division.Limits stands for clusters that are not listed.
const AnyCluster = "*"

// ClusterLimits bound one cluster's share.
//
// +kubebuilder:validation:XValidation:rule="!has(self.min) || !has(self.max) || self.min <= self.max",message="min must not be above max"
type ClusterLimits struct {
	// min is how many it is given first, as far as there are so many.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	Min int32 `json:"min,omitempty"`
	// max is how many it is given at most; empty: as many as fit.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	Max *int32 `json:"max,omitempty"`
	// weight is its part, compared with the others'; empty: none, where others
	// have weights.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	Weight *int32 `json:"weight,omitempty"`
}

// Spread demands that the replicas are in several domains.
type Spread struct {
	// key is what tells domains apart: cluster, zone, region, provider, continent,
	// or the key of a label of Clusters.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",message="must be cluster, zone, region, provider, continent or a label key"
	// +required
	Key string `json:"key"`
	// atLeast is in how many domains there have to be replicas.
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=256
	// +required
	AtLeast int32 `json:"atLeast"`
}

// Toleration tolerates taints of Clusters, as a pod's does those of nodes.
//
// +kubebuilder:validation:XValidation:rule="!has(self.operator) || self.operator != 'Exists' || !has(self.value)",message="operator Exists has no value"
// +kubebuilder:validation:XValidation:rule="has(self.key) || (has(self.operator) && self.operator == 'Exists')",message="without a key the operator must be Exists"
// +kubebuilder:validation:XValidation:rule="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",message="tolerationSeconds is for effect NoExecute"
type Toleration struct {
	// key of the taint; empty: any.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",message="must be the key of a taint, as example.com/maintenance"
	// +optional
	Key string `json:"key,omitempty"`
	// operator is Equal (the default) or Exists.
	// +kubebuilder:validation:Enum=Equal;Exists
	// +optional
	Operator string `json:"operator,omitempty"`
	// value of the taint, for Equal.
	// +optional
	Value LabelValue `json:"value,omitempty"`
	// effect is NoSchedule, PreferNoSchedule or NoExecute; empty: all.
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	// +optional
	Effect string `json:"effect,omitempty"`
	// tolerationSeconds is how long a NoExecute taint is tolerated; empty:
	// forever.
	// +kubebuilder:validation:Minimum=0
	// +optional
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}

// Failover says when the replicas of a cluster fail over to others.
type Failover struct {
	// enabled says whether replicas fail over; empty: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// after is how long a cluster has to be out of reach; empty: 30s.
	// +kubebuilder:validation:Format=duration
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
	// +kubebuilder:validation:XValidation:rule="self >= duration('1s') && self <= duration('168h')",message="must be from 1s to 168h"
	// +optional
	After *metav1.Duration `json:"after,omitempty"`
	// unschedulableAfter is how long pods may be unschedulable in a cluster before
	// they fail over to others; empty: 5m; 0s: never.
	// +kubebuilder:validation:Format=duration
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
	// +kubebuilder:validation:XValidation:rule="self == duration('0s') || (self >= duration('1s') && self <= duration('168h'))",message="must be from 1s to 168h, or 0s"
	// +optional
	UnschedulableAfter *metav1.Duration `json:"unschedulableAfter,omitempty"`
}

// Rollout lets a change go out step by step: a step begins when everything of
// the step before is ready.
//
// +kubebuilder:validation:XValidation:rule="has(self.by) != has(self.groups)",message="either by or groups must say what the steps are"
// +kubebuilder:validation:XValidation:rule="!has(self.order) || has(self.by)",message="order needs by"
type Rollout struct {
	// by makes a step of each cluster, zone, region, provider or continent. A
	// cluster with several zones is in the first of them.
	// +kubebuilder:validation:Enum=Cluster;Zone;Region;Provider;Continent
	// +optional
	By string `json:"by,omitempty"`
	// order of the steps of by, as names of clusters, regions, …. Those that are
	// not in it come afterwards, by name.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Order []string `json:"order,omitempty"`
	// groups are the steps; clusters in none of them come last, in a step of
	// their own.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Groups []ClusterGroup `json:"groups,omitempty"`
	// paused holds the rollout before its next step.
	// +optional
	Paused bool `json:"paused,omitempty"`
	// wait is how long a step has to be ready before the next begins; empty: 0s.
	// +kubebuilder:validation:Format=duration
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
	// +kubebuilder:validation:XValidation:rule="self <= duration('720h')",message="must be at most 720h"
	// +optional
	Wait *metav1.Duration `json:"wait,omitempty"`
	// onFailure is Stop or Continue, when a step is not ready after its
	// progressDeadline; empty: Stop.
	// +kubebuilder:validation:Enum=Stop;Continue
	// +optional
	OnFailure string `json:"onFailure,omitempty"`
	// progressDeadline is how long a step may make no progress before it has
	// failed; empty: 10m.
	// +kubebuilder:validation:Format=duration
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
	// +kubebuilder:validation:XValidation:rule="self >= duration('1s') && self <= duration('720h')",message="must be from 1s to 720h"
	// +optional
	ProgressDeadline *metav1.Duration `json:"progressDeadline,omitempty"`
}

// Values of Rollout.By.
const (
	RolloutByCluster   = "Cluster"
	RolloutByZone      = "Zone"
	RolloutByRegion    = "Region"
	RolloutByProvider  = "Provider"
	RolloutByContinent = "Continent"
)

// Values of Rollout.OnFailure.
const (
	RolloutStop     = "Stop"
	RolloutContinue = "Continue"
)
