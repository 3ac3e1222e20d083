// Package demo brings up a whole federation on this machine and takes it down:
// a hub and its member clusters, each a process of its own, with the example
// application spread over them. Everything that belongs to a demo is below its
// directory, so that two demos do not know of each other.
package demo
