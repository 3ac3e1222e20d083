// Package overview is pure: Clusters and Placements → what hanse status says. It
// never says that all is well where that is not known, and lists nothing without a
// reason.
package overview
