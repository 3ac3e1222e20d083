// Package cli is hanse's command line: the root, the order of the verbs in its help,
// and what belongs to the binary itself. The verbs are in the packages below, a file
// each; those that link an API server are handed in, so that this package, like all
// below but serve, has unit tests that link in a moment.
package cli
