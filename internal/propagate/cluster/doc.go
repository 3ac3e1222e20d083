// Package cluster is what the hub knows of members as a whole: what their Cluster objects say, which of them are lost, and since
// when they have taints. It is pure.
package cluster
