// Package serve is the verbs that link Kubernetes' API server: hanse server, the
// process of a local cluster, and hanse kubectl, which is of the same version. They
// are apart from all others, which thereby have unit tests that link in a moment.
package serve
