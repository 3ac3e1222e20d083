package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Workspace is namespaces of an organization, who may do what in them, and which clusters they may use. The hub keeps
// a RoleBinding to view, edit or admin in each of the namespaces, a ResourceQuota, and Residencies. Whoever gives
// access needs the verb grant on the Workspace or its Organization, or has to have in all of its namespaces what they
// give.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=workspaces,singular=workspace,shortName=ws
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63 && !format.dns1123Label().validate(self.metadata.name).hasValue()",message="metadata.name must be at most 63 lower case letters, digits and dashes"
// +kubebuilder:printcolumn:name="ORGANIZATION",type=string,JSONPath=`.spec.organization`
// +kubebuilder:printcolumn:name="NAMESPACES",type=string,JSONPath=`.status.namespaces`
// +kubebuilder:printcolumn:name="ACCEPTED",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Accepted")].message`
type Workspace struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec WorkspaceSpec `json:"spec"`
	// status is what the hub has made of it.
	// +optional
	Status WorkspaceStatus `json:"status,omitempty"`
}

// WorkspaceSpec is which namespaces, whose, and where.
//
// +kubebuilder:validation:XValidation:rule="!has(self.access) || self.access.all(a, a.kind != 'Organization' || a.name == self.organization)",message="access of kind Organization is for the workspace's own organization"
type WorkspaceSpec struct {
	// organization that the workspace is in. It never changes.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a workspace stays in its organization"
	Organization string `json:"organization"`
	// namespaces of the workspace. Adding or removing one takes the verb claim on that Namespace, selecting by labels the
	// verb claim on all of them. A Namespace is in one workspace: who had it first keeps it.
	// +optional
	Namespaces WorkspaceNamespaces `json:"namespaces,omitempty"`
	// clusters that the workspace may use; empty: all. The hub keeps a Residency that says so; writing this takes the rights
	// to write that: restrict, and release where there was one.
	// +optional
	Clusters *ClusterSelector `json:"clusters,omitempty"`
	// residency is where the workspace's objects may be by law or contract, besides what clusters says; empty: anywhere. As
	// clusters, it becomes a Residency.
	// +optional
	Residency *ClusterSelector `json:"residency,omitempty"`
	// quota of each of the namespaces. The hub keeps a ResourceQuota in each of them; writing this takes the right to
	// write that.
	// +optional
	Quota *WorkspaceQuota `json:"quota,omitempty"`
	// access says who may do what in the namespaces.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Access []WorkspaceAccess `json:"access,omitempty"`
}

// WorkspaceNamespaces are namespaces by their names, and by their labels.
type WorkspaceNamespaces struct {
	// names of namespaces. The hub makes those that do not exist, and never deletes one.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self.all(n, !n.startsWith('kube-') && !n.startsWith('hanse-'))",message="namespaces kube-… and hanse-… belong to nobody"
	Names []string `json:"names,omitempty"`
	// labels select Namespaces besides, other than kube-… and hanse-…, up to 256 with the names.
	// +optional
	Labels *Selector `json:"labels,omitempty"`
}

// WorkspaceQuota is the quota of a namespace.
type WorkspaceQuota struct {
	// hard are the limits, as in a ResourceQuota.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	Hard corev1.ResourceList `json:"hard"`
}

// WorkspaceAccess gives somebody a role in the namespaces.
//
// +kubebuilder:validation:XValidation:rule="(!self.name.startsWith('system:') || self.name.startsWith('system:serviceaccount:') && self.kind == 'User') && !self.name.startsWith('hanse:')",message="names of Kubernetes and of the hub, system:… and hanse:…, are nobody's, except for service accounts: kind User, name system:serviceaccount:NAMESPACE:NAME"
type WorkspaceAccess struct {
	// kind is User, Group or Organization: all members of the workspace's own.
	// +required
	// +kubebuilder:validation:Enum=User;Group;Organization
	Kind string `json:"kind"`
	// name of the user, group or organization.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name"`
	// role is View, Edit or Admin: the ClusterRole of that name, in each namespace. Who has Admin may also change the
	// Workspace.
	// +required
	// +kubebuilder:validation:Enum=View;Edit;Admin
	Role string `json:"role"`
}

// Roles in a Workspace, besides RoleAdmin.
const (
	RoleView = "View"
	RoleEdit = "Edit"
)

// WorkspaceStatus is what the hub has made of a Workspace.
type WorkspaceStatus struct {
	// observedGeneration is the generation of the spec that this is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// namespaces that the workspace has. Nobody but the hub may write it: who has a namespace keeps it when another claims it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	Namespaces []string `json:"namespaces,omitempty"`
	// conditions are Accepted (all that the spec says holds), Ready (the roles, bindings, quotas and residencies that it means
	// are there).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Reasons of ConditionAccepted of Organizations and Workspaces.
const (
	ReasonTenancyAccepted = "Accepted"
	// ReasonNamespaceTaken: the message says which namespaces belong to whom. All others are as the spec says.
	ReasonNamespaceTaken = "NamespaceTaken"
	// ReasonNoOrganization: the workspace's organization does not exist, so nobody has any right by it.
	ReasonNoOrganization = "NoOrganization"
	// ReasonTooMany: the organization has 100 older workspaces, or the workspace selects more than 256 namespaces.
	ReasonTooMany = "TooMany"
	// ReasonNotUnderstood: the hub cannot read the spec, and nobody has any right by it.
	ReasonNotUnderstood = "NotUnderstood"
)

// Reasons of ConditionReady of Organizations and Workspaces.
const (
	ReasonMaterialized    = "Materialized"
	ReasonNotMaterialized = "NotMaterialized"
)

// WorkspaceList is a list of Workspaces.
//
// +kubebuilder:object:root=true
type WorkspaceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Workspace `json:"items"`
}
