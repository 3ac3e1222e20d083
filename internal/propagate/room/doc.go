// Package room is what members can take: what their nodes and pods leave free, less what is promised to workloads whose pods do
// not exist yet, which workloads wait for more of it, and how much of single ones clusters turned out not to be able to run. It
// is pure.
package room
