package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Organization is people, and the namespaces that are theirs. The hub keeps ClusterRoles, RoleBindings and
// ClusterRoleBindings that say the same, so that kubectl auth can-i is true of it. Whoever adds or removes a member,
// or an invitation, needs the verb grant on the Organization, which its owners and admins have; where that concerns an
// owner, the verb own, which its owners have.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=organizations,singular=organization,shortName=org
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63 && !format.dns1123Label().validate(self.metadata.name).hasValue()",message="metadata.name must be at most 63 lower case letters, digits and dashes"
// +kubebuilder:printcolumn:name="WORKSPACES",type=integer,JSONPath=`.status.workspaces`
// +kubebuilder:printcolumn:name="ACCEPTED",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Accepted")].message`
type Organization struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +optional
	Spec OrganizationSpec `json:"spec,omitempty"`
	// status is what the hub has made of it.
	// +optional
	Status OrganizationStatus `json:"status,omitempty"`
}

// OrganizationSpec is who belongs to an organization, and what belongs to it.
type OrganizationSpec struct {
	// members are people, one by one or by a group.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Members []OrganizationMember `json:"members,omitempty"`
	// namespaces belong to the organization: its workspaces may have them, and no other organization's. The hub
	// makes those that do not exist, and never deletes one. Adding or removing one takes the verb claim on that Namespace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self.all(n, !n.startsWith('kube-') && !n.startsWith('hanse-'))",message="namespaces kube-… and hanse-… belong to nobody"
	Namespaces []string `json:"namespaces,omitempty"`
	// clusters that the namespaces of the organization may be in, and those of its workspaces; empty: all. The hub keeps a
	// Residency that says so; writing this takes the rights to write that: restrict, and release where there was one.
	// +optional
	Clusters *ClusterSelector `json:"clusters,omitempty"`
	// invitations let whoever has the token, and has logged in, become a member, once. An invitation goes when it is
	// taken or has expired. hanse org invite makes them.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Invitations []OrganizationInvitation `json:"invitations,omitempty"`
}

// OrganizationMember is somebody, or a group, in an organization.
type OrganizationMember struct {
	Subject `json:",inline"`
	// role is Owner, Admin, Auditor or Member. A Member sees the Organization and its Workspaces, and may do in these
	// what their access says. An Auditor also sees what is in their namespaces, without Secrets. An Admin has the
	// ClusterRole admin there, makes and changes Workspaces, and adds and removes members other than owners. An Owner
	// may do all of that, adds and removes owners, and may delete the Organization.
	// +required
	// +kubebuilder:validation:Enum=Owner;Admin;Auditor;Member
	Role string `json:"role"`
}

// Subject is a person or a group, as the hub's authentication names them.
//
// +kubebuilder:validation:XValidation:rule="(!self.name.startsWith('system:') || self.name.startsWith('system:serviceaccount:') && self.kind == 'User') && !self.name.startsWith('hanse:')",message="names of Kubernetes and of the hub, system:… and hanse:…, are nobody's, except for service accounts: kind User, name system:serviceaccount:NAMESPACE:NAME"
type Subject struct {
	// kind is User or Group.
	// +required
	// +kubebuilder:validation:Enum=User;Group
	Kind string `json:"kind"`
	// name of the user or group.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name"`
}

// Kinds of a Subject, and of who has access to a Workspace.
const (
	SubjectUser         = "User"
	SubjectGroup        = "Group"
	SubjectOrganization = "Organization"
)

// Roles in an Organization.
const (
	RoleOwner   = "Owner"
	RoleAdmin   = "Admin"
	RoleAuditor = "Auditor"
	RoleMember  = "Member"
)

// OrganizationInvitation lets one person become a member.
type OrganizationInvitation struct {
	// name of the invitation.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// role that the person will have.
	// +required
	// +kubebuilder:validation:Enum=Owner;Admin;Auditor;Member
	Role string `json:"role"`
	// tokenHash is the SHA-256 of the token, in hexadecimal digits. The token has 256 random bits and is stored nowhere.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	TokenHash string `json:"tokenHash"`
	// expiresAt is when it is no longer good. One that is good for more than 30 days is not good at all.
	// +required
	ExpiresAt metav1.Time `json:"expiresAt"`
}

// OrganizationStatus is what the hub has made of an Organization.
type OrganizationStatus struct {
	// observedGeneration is the generation of the spec that this is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// namespaces that belong to the organization, by its own spec or a Workspace's. Nobody but the hub may write it:
	// who has a namespace keeps it when another claims it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4096
	// +kubebuilder:validation:items:MaxLength=63
	Namespaces []string `json:"namespaces,omitempty"`
	// workspaces is how many it has.
	// +optional
	Workspaces int32 `json:"workspaces,omitempty"`
	// conditions are Accepted (all that the spec says holds), Ready (the roles and bindings that it means are there).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// OrganizationList is a list of Organizations.
//
// +kubebuilder:object:root=true
type OrganizationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Organization `json:"items"`
}

// Verbs on Organizations, Workspaces and Namespaces beside those of every API.
const (
	// VerbGrant on an Organization or Workspace is the right to say who else is in it, as what.
	VerbGrant = "grant"
	// VerbOwn on an Organization is VerbGrant with regard to its owners.
	VerbOwn = "own"
	// VerbClaim on a Namespace is the right to give it to an Organization or a Workspace.
	VerbClaim = "claim"
)

// Labels of what the hub makes of Organizations and Workspaces: which one it was made of. What has LabelTenancy is
// the hub's: it changes back what somebody else changes, and deletes what no Organization or Workspace says.
const (
	LabelTenancy      = "hanse.dev/tenancy"
	LabelOrganization = "hanse.dev/organization"
	LabelWorkspace    = "hanse.dev/workspace"
)
