// Package tenancy keeps at the hub what its Organizations and Workspaces mean: it watches these, the Namespaces, and what it has
// made before, and writes the difference to what package model says. What somebody else changes of that is changed back.
//
// Rights are taken before any are given, and bounds (Residencies, quotas) stand before there are rights in a namespace. Nothing is
// deleted that does not have v1alpha1.LabelTenancy, and never a Namespace. A pass may be cut off anywhere: the next one sees what
// is there. Join takes invitations; it needs no pass.
package tenancy
