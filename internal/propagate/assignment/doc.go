// Package assignment is what is decided about an object, and what of it is known in members: an Assignment, and an Observed of
// each. None of them changes once it is made: a World publishes them, and any goroutine may read them. The package says what
// follows from them alone: what one cluster is to have now, what is different between two. It is pure.
package assignment
