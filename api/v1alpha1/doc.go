// Package v1alpha1 holds the kinds of the API group hanse.dev that users of a
// Hanse federation see: Cluster (a member) and Placement (where a federated
// object is and how it is doing there), with the names of the labels and
// annotations that Hanse reads and writes.
//
// +kubebuilder:object:generate=true
// +groupName=hanse.dev
package v1alpha1
