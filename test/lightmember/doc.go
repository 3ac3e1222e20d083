// Package lightmember is many clusters in one process, each of which speaks just enough of the Kubernetes API to be a
// member of a federation: TLS, discovery, list, watch with bookmarks and initial events, create, update, patch, delete,
// the status subresource, tokens of service accounts and managedFields. Nothing runs in them: a workload is ready when
// it is written. Their authorizer allows everything; they listen on loopback only.
//
// They exist to measure fleets that no machine could carry as real API servers. What is measured is the hub; a member
// costs a few hundred kilobytes.
//
// Each member is a Cluster: store.go is its database, http.go what it answers, watch.go its streams, write.go its
// writes. Fleet has many of them behind one certificate, and a door for whoever measures: to hang some of them, to
// count writes, and to wait until an object is in so many.
package lightmember
