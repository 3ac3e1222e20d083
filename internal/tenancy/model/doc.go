// Package model says what Organizations and Workspaces mean: pure functions from these and the Namespaces of a hub to the
// roles, bindings, quotas and Residencies that say the same in Kubernetes' own terms. There is no second authority beside
// RBAC; what is computed here is what the API server goes by.
//
// A Namespace belongs to one Organization, and is in one Workspace: who had it first keeps it (claims.go). Roles that are
// made here have rights to Organizations, Workspaces and claims alone. What people may do in namespaces is upstream's
// ClusterRoles view, edit and admin, by RoleBindings (rights.go).
package model
