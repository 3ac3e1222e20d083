// Package hub is how the verbs of the command line reach a hub: the flags that
// name it, its Clusters and other objects, and the paths that it serves beside
// them. Its errors are for the user, and say what to try.
package hub
