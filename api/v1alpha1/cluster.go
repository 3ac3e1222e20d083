package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Cluster is a member of the federation.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=clusters,singular=cluster
// +kubebuilder:printcolumn:name="STATUS",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="PROVIDER",type=string,JSONPath=`.status.provider`
// +kubebuilder:printcolumn:name="REGION",type=string,JSONPath=`.status.region`
// +kubebuilder:printcolumn:name="VERSION",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="NODES",type=integer,JSONPath=`.status.nodes`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="ZONES",type=string,priority=1,JSONPath=`.status.zones`
// +kubebuilder:printcolumn:name="CORDONED",type=boolean,priority=1,JSONPath=`.spec.unschedulable`
// +kubebuilder:printcolumn:name="ENDPOINT",type=string,priority=1,JSONPath=`.spec.endpoint`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Cluster struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec ClusterSpec `json:"spec"`
	// status is what the hub has found, and done.
	// +optional
	Status ClusterStatus `json:"status,omitempty"`
}

// ClusterSpec says how the hub reaches a member, and what may run there.
type ClusterSpec struct {
	// endpoint is the URL of the member's API server. It, CABundle and TLSServerName belong to
	// the credential, which is sent by no other way: hanse join changes them.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://`
	// +required
	Endpoint string `json:"endpoint"`
	// caBundle is the PEM bundle that signs the member's serving certificate;
	// empty means the hub's system roots.
	// +kubebuilder:validation:MaxLength=1048576
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`
	// tlsServerName overrides the name that the serving certificate is checked
	// against.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	TLSServerName string `json:"tlsServerName,omitempty"`
	// credentialSecret names a Secret in SystemNamespace at the hub whose key
	// "token" is the bearer token of the hub's service account in the member,
	// and whose key "expires" says until when (RFC 3339).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +required
	CredentialSecret string `json:"credentialSecret"`
	// uid is the UID of the member's kube-system Namespace: its identity, by
	// which a cluster that is joined twice is known.
	// +kubebuilder:validation:MaxLength=128
	// +required
	UID string `json:"uid"`
	// namespaces says which namespaces of the member are the hub's to write in. That
	// a namespace has the same name at the hub and in the member does not make the
	// two the same: a Namespace in the member that the hub did not make is left
	// alone, and everything of the hub's that is to be in it is held, unless its name
	// is allowed here.
	// +optional
	// +default={}
	Namespaces ClusterNamespaces `json:"namespaces,omitzero"`
	// access says what the hub's account may do in the member. hanse join sets it, by
	// the rights of whoever joins the cluster; the member's own API server enforces
	// it. Widening it here alone gives no right: the hub then tries, and is refused.
	// +optional
	// +default={}
	Access ClusterAccess `json:"access,omitzero"`
	// provider overrides, as region and zones do, what is discovered from the nodes.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Provider string `json:"provider,omitempty"`
	// region overrides that of the nodes.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Region string `json:"region,omitempty"`
	// zones override those of the nodes.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	// +optional
	Zones []string `json:"zones,omitempty"`
	// taints keep workloads away that do not tolerate them, as a node's taints do.
	// +listType=map
	// +listMapKey=key
	// +listMapKey=effect
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Taints []ClusterTaint `json:"taints,omitempty"`
	// unschedulable keeps new replicas away; what runs stays. See hanse cordon.
	// +optional
	Unschedulable bool `json:"unschedulable,omitempty"`
	// drain moves what runs here to other clusters as far as they can take it, one
	// PodDisruptionBudget at a time, and keeps new replicas away. See hanse drain.
	// +optional
	Drain bool `json:"drain,omitempty"`
	// price is what resources cost here, for the strategy Cheapest. If empty, the
	// price is unknown, and counts as higher than any known one.
	// +optional
	Price *ClusterPrice `json:"price,omitempty"`
	// elastic clusters add nodes when pods wait for one: what their nodes have
	// free does not limit what they are given.
	// +optional
	Elastic bool `json:"elastic,omitempty"`
}

// ClusterNamespaces says in which namespaces of a member the hub writes. Who may
// update the Cluster sets it, which by default is cluster-admin alone: whoever allows
// a namespace gives everybody who may write in it at the hub what is in it in the
// member, its service accounts above all.
type ClusterNamespaces struct {
	// allow are the namespaces of the member that the hub may take over although it
	// did not make them: names, or patterns in which * stands for any characters. If
	// it is not set, that is default alone, which every cluster has.
	// +optional
	// +listType=set
	// +default=["default"]
	// +kubebuilder:validation:MaxItems=256
	Allow []NamespacePattern `json:"allow,omitempty,omitzero"`
	// deny are the namespaces that the hub never writes in, whoever made them. It goes
	// before Allow. The hub's own namespace in the member, hanse-system, is always
	// denied.
	// +optional
	// +listType=set
	// +default=["kube-*","hanse-system"]
	// +kubebuilder:validation:MaxItems=256
	Deny []NamespacePattern `json:"deny,omitempty,omitzero"`
}

// ClusterAccess is what the hub's account may do in a member.
type ClusterAccess struct {
	// role is Full (every kind that is propagated; with it, whoever controls the hub
	// is an administrator of the member) or Namespaced (what is in namespaces, and
	// Namespaces).
	// +optional
	// +kubebuilder:validation:Enum=Full;Namespaced
	// +default="Full"
	Role AccessRole `json:"role,omitempty"`
	// rbac is Propagated (roles and bindings are written) or None.
	// +optional
	// +kubebuilder:validation:Enum=Propagated;None
	// +default="Propagated"
	RBAC AccessRBAC `json:"rbac,omitempty"`
	// namespaces are all that the account may write in, and read Secrets of; if
	// empty, it may in any. With the role Namespaced only.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespaces []string `json:"namespaces,omitempty"`
	// guard is Enforced where hanse join has made a ValidatingAdmissionPolicy in the
	// member that bounds what the account does with its rights, and None where not.
	// +optional
	// +kubebuilder:validation:Enum=Enforced;None
	// +default="None"
	Guard AccessGuard `json:"guard,omitempty"`
}

// AccessRole is a role of the hub's account in a member.
type AccessRole string

// Roles.
const (
	RoleFull       AccessRole = "Full"
	RoleNamespaced AccessRole = "Namespaced"
)

// AccessRBAC says whether roles and bindings are written in a member.
type AccessRBAC string

// Values of ClusterAccess.RBAC.
const (
	RBACPropagated AccessRBAC = "Propagated"
	RBACNone       AccessRBAC = "None"
)

// AccessGuard says whether a policy in the member bounds the hub's account.
type AccessGuard string

// Values of ClusterAccess.Guard.
const (
	GuardEnforced AccessGuard = "Enforced"
	GuardNone     AccessGuard = "None"
)

// NamespacePattern is the name of a namespace, or a pattern of names, in which *
// stands for any characters, also for none.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$`
type NamespacePattern string

// ClusterPrice is what resources cost in a cluster, per hour and in any currency
// that is the same for all clusters.
//
// +kubebuilder:validation:XValidation:rule="has(self.cpu) || has(self.memoryGiB)",message="a price needs cpu, memoryGiB or both"
type ClusterPrice struct {
	// cpu is the price of one core, such as "0.0316".
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : isQuantity(self) && quantity(self).compareTo(quantity('0')) >= 0",message="must not be below 0"
	// +optional
	CPU *resource.Quantity `json:"cpu,omitempty"`
	// memoryGiB is the price of one GiB of memory, such as "0.0042".
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : isQuantity(self) && quantity(self).compareTo(quantity('0')) >= 0",message="must not be below 0"
	// +optional
	MemoryGiB *resource.Quantity `json:"memoryGiB,omitempty"`
}

// ClusterTaint is a taint of a whole cluster. Tolerations of pods, and of a
// PlacementPolicy, are compared with it as with a node's.
type ClusterTaint struct {
	// key is the taint's, such as example.com/maintenance.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",message="must be a taint key, such as maintenance or example.com/maintenance"
	// +required
	Key string `json:"key"`
	// value may be empty.
	// +optional
	Value LabelValue `json:"value,omitempty"`
	// effect is NoSchedule (nothing new), PreferNoSchedule (others first) or
	// NoExecute (what runs is moved away, too).
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	// +required
	Effect corev1.TaintEffect `json:"effect"`
	// timeAdded is what tolerationSeconds of a NoExecute taint count from; empty:
	// when the hub first saw it, again after a restart of the hub.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`
	// +optional
	TimeAdded *metav1.Time `json:"timeAdded,omitempty"`
}

// Phases of a Cluster, the STATUS column.
const (
	ClusterJoining     = "Joining"
	ClusterReady       = "Ready"
	ClusterUnreachable = "Unreachable"
	ClusterLeaving     = "Leaving"
	ClusterDenied      = "Denied" // reached, but it refuses the hub's credential or its rights; or joined twice
)

// Condition types of a Cluster.
const (
	// ConditionReady is True while the member answers and accepts the hub's
	// credential. Its reason is one of the Reason… constants.
	ConditionReady = "Ready"
	// ConditionDeletionsHeld is True while the member has objects of a hub for which
	// this hub has no template, and cannot be sure that it deleted it: its database has
	// never known them, or they were restored in the member from a backup. They are
	// neither changed nor deleted until somebody approves.
	ConditionDeletionsHeld = "DeletionsHeld"
	// ConditionDisengaged is True while the hub neither watches nor writes the member
	// although it answers: what it has with the hub's marks is more than the hub will
	// keep in memory of one member. Its reason is ReasonTooLarge. It is tried again
	// from time to time.
	ConditionDisengaged = "Disengaged"
	// ReasonTooLarge of ConditionDisengaged.
	ReasonTooLarge = "TooLarge"
	// ConditionRestricted is True where the hub's account in the member may not write
	// all that is propagated: its message says what not. False: the account is an
	// administrator of the member. Its reason is the Cluster's spec.access.role.
	ConditionRestricted = "Restricted"
	// ConditionSynced is True while everything that is placed in the member is
	// there as the hub wants it.
	ConditionSynced = "Synced"
	// ConditionFailedOver is there while the cluster is out of reach. True: it
	// counts as lost, and its replicas fail over to others. Its message says
	// since when, or why not.
	ConditionFailedOver = "FailedOver"
	// ConditionDrained is there while spec.drain is set: True once no pods of
	// managed workloads remain. Its message says what is being moved, or what
	// cannot be moved and why.
	ConditionDrained = "Drained"
	// ConditionFailoverReady is True while everything that runs in the cluster would
	// have a place elsewhere if the cluster were lost. False: its message says what
	// would not, and why. It is a minute or more behind, and is not there while
	// the cluster is not ready.
	ConditionFailoverReady = "FailoverReady"
)

// Reasons of ConditionFailoverReady. Where several are so, the first counts.
const (
	ReasonPlaceElsewhere   = "PlaceElsewhere"
	ReasonNoPlaceElsewhere = "NoPlaceElsewhere" // replicas would have no place
	ReasonQuorumLost       = "QuorumLost"       // of a StatefulSet, until the rest has failed over
	ReasonUnanswered       = "Unanswered"       // a Service or hostname
)

// Reasons of ConditionFailedOver.
const (
	ReasonLost    = "Lost"          // for longer than its failover time
	ReasonWaiting = "Waiting"       // its failover time is not over
	ReasonCutOff  = "HubIsCutOff"   // so many are out of reach that it must be the hub
	ReasonOff     = "FailoverIsOff" // --failover-after=0
)

// Reasons of ConditionDrained.
const (
	ReasonEmpty    = "Empty"
	ReasonDraining = "Draining"
	ReasonBlocked  = "Blocked" // what is left fits nowhere else, or is not moved
)

// ReasonUnreadable is of ConditionSynced, when it is False because something cannot be
// read in the member: its message names it. Placements there are in StateUnknown.
const ReasonUnreadable = "Unreadable"

// Reasons of ConditionReady.
const (
	ReasonReachable            = "Reachable"
	ReasonConnecting           = "Connecting"
	ReasonNetworkUnreachable   = "NetworkUnreachable"
	ReasonCertificateInvalid   = "CertificateInvalid"
	ReasonAuthenticationFailed = "AuthenticationFailed"
	ReasonPermissionDenied     = "PermissionDenied"
	ReasonNotReady             = "NotReady" // it answers, but /readyz says no, or it answers errors
	ReasonIdentityChanged      = "IdentityChanged"
	ReasonCredentialForOther   = "CredentialForOther" // endpoint, caBundle or tlsServerName are not those that the credential was given for
	ReasonDuplicate            = "DuplicateCluster"   // another Cluster, made earlier, is the same cluster: that one is used
	ReasonInternalFault        = "InternalFault"      // the hub's own code fails over what it answers
)

// ClusterStatus is what the hub has found out about a member.
type ClusterStatus struct {
	// phase is one of the Cluster… constants, derived from the conditions.
	// +optional
	Phase string `json:"phase,omitempty"`
	// provider is, as region and zones, as found from the nodes, or overridden.
	// +optional
	Provider string `json:"provider,omitempty"`
	// region is where the nodes are.
	// +optional
	Region string `json:"region,omitempty"`
	// zones are those of the nodes.
	// +listType=atomic
	// +optional
	Zones []string `json:"zones,omitempty"`
	// version is the member's Kubernetes version, such as v1.37.1.
	// +optional
	Version string `json:"version,omitempty"`
	// nodes is the number of nodes.
	// +optional
	Nodes int32 `json:"nodes,omitempty"`
	// capacity and Allocatable are sums over the ready nodes.
	// +optional
	Capacity corev1.ResourceList `json:"capacity,omitempty"`
	// allocatable is what the nodes have for pods.
	// +optional
	Allocatable corev1.ResourceList `json:"allocatable,omitempty"`
	// held is the number of objects that ConditionDeletionsHeld is about.
	// +optional
	Held int32 `json:"held,omitempty"`
	// conditions say how the cluster is.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ClusterList is a list of Clusters.
//
// +kubebuilder:object:root=true
type ClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Cluster `json:"items"`
}
