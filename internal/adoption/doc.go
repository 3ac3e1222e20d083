// Package adoption says what of a member the hub may take over that it did not make, and what that changes there. It is pure.
//
// That an object has the same name at the hub and in a member does not make the two the same. For a Namespace, that is
// granted by whoever may update the Cluster, since with it goes all that is in it; for a single object, it follows from both
// being equal, or from an annotation at the hub.
package adoption
