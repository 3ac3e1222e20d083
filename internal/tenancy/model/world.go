package model

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Bounds of what an organization has, and of a workspace.
const (
	MaxWorkspaces = 100
	MaxNamespaces = 256
)

// World is all that Materialize goes by.
type World struct {
	Organizations []*v1alpha1.Organization
	Workspaces    []*v1alpha1.Workspace
	// Namespaces of the hub, by name.
	Namespaces map[string]Namespace
	// UnreadOrganizations and UnreadWorkspaces could not be understood; of those, World has metadata and status. What was
	// made of them stays as it is.
	UnreadOrganizations, UnreadWorkspaces map[string]bool
}

// Namespace is what there is to know of one.
type Namespace struct {
	Labels      map[string]string
	Terminating bool
}

// Outcome is what a World means.
type Outcome struct {
	// Namespaces that are to be made.
	Namespaces          []string
	ClusterRoles        []*rbacv1.ClusterRole
	ClusterRoleBindings []*rbacv1.ClusterRoleBinding
	RoleBindings        []*rbacv1.RoleBinding
	Quotas              []*corev1.ResourceQuota
	Residencies         []*v1alpha1.Residency

	// Organizations and Workspaces are what to say of each, by name.
	Organizations, Workspaces map[string]Verdict
}

// Verdict is what becomes of an Organization or a Workspace.
type Verdict struct {
	// Namespaces that it has.
	Namespaces []string
	// Workspaces is how many an Organization has.
	Workspaces int
	// Reason and Message of the condition Accepted, which is True for v1alpha1.ReasonTenancyAccepted only.
	Reason, Message string
}

// Materialize says what a World means. Equal Worlds have equal Outcomes, in the same order.
func Materialize(w World) Outcome {
	c := settle(w)
	out := Outcome{Organizations: map[string]Verdict{}, Workspaces: map[string]Verdict{}}
	for _, o := range c.organizations {
		out.organization(w, c, o)
	}
	for _, ws := range c.workspaces {
		out.workspace(w, c, ws)
	}
	return out
}

// Reserved says whether a namespace is nobody's to claim.
func Reserved(namespace string) bool {
	return strings.HasPrefix(namespace, "kube-") || strings.HasPrefix(namespace, "hanse-")
}
