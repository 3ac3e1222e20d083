// Package nodes gives a local cluster nodes that look like those of a cloud: their names, provider IDs, labels, zones,
// addresses and capacities are the ones that EKS, AKS and GKE set. No machine is behind them: KWOK plays the kubelet, so
// that pods become ready at once and cost nothing.
//
// Describing nodes (Pool.Nodes) is a pure function; Simulator brings them to life in a cluster.
package nodes
