// Package workloads is the verbs about what is to run in a federation and where:
// plan, why, survive, scale, rollout and kinds. A verb parses its flags, asks the hub, and
// prints: data on the standard output, progress and errors on the standard error.
package workloads
