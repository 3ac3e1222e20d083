// Package tenants has the verbs about who may do what at a hub: hanse org and hanse workspace, which write Organizations and
// Workspaces as kubectl would, and hanse can, which reads RBAC.
package tenants
