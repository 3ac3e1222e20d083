// Package decide says where every object of the hub goes, and what each cluster is to have of it
// now. It is pure: no lock, no clock, no input or output.
//
// A World is all that decisions depend on: the templates, clusters, policies and Namespaces of the hub, what the
// members' nodes and pods leave free and what was reserved there, which clusters are lost or to be left, what members
// run. Apply is the only thing that changes it: an Input goes in, Effects come out, which the caller carries
// out. What waits for a time is an Effect, too. The same inputs at the same times have the same effects, so that what
// was decided can be recorded and decided again.
//
// Suppose is a World as it would be if things were otherwise, for package question. It cannot change the one that it is of.
//
// One goroutine owns a World. What it has decided is published in immutable values (Assignment, Facts), which
// any goroutine may read.
package decide
