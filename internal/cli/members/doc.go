// Package members is the verbs about the clusters of a federation: join, unjoin,
// clusters, status, cordon, uncordon, drain, prune and kubeconfig. A verb parses
// its flags, asks the hub, and prints: data on the standard output, progress and
// errors on the standard error.
package members
