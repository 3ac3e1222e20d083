// Package kinds is what Hanse knows of single Kubernetes kinds, as data: what
// stays at the hub and why (stays.go), which fields belong to a member's own
// controllers (template.go), which kinds have a number to divide (share.go),
// in which order kinds are written (order.go), and what the hub may do in a
// member (rules.go). Everything here is pure; nothing else in the project may
// name a kind in order to treat it differently, except package aggregate,
// which merges statuses.
package kinds
