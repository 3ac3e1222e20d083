// Package fleet keeps the hub in touch with its members: it probes them, keeps
// their credentials fresh, writes what it finds out into Cluster.status, and
// lets them go. Package join makes a cluster one of them. Fleet is the only
// package of the hub that dials a member on its own account; whoever else talks
// to one does so with the rest.Config that Propagator.Engage is given.
//
// Each member has a goroutine of its own and connections of its own, so that
// a slow one slows nobody else. What a probe means is decided by pure
// functions (health.go, judge.go); what the nodes tell, too (package survey).
package fleet
