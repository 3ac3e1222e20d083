package v1alpha1

// States of a PlacementRollout.
const (
	RolloutStateProgressing = "Progressing" // on its way
	RolloutStateWaiting     = "Waiting"     // a step is ready, and has to be so for a time
	RolloutStatePaused      = "Paused"      // held before the next step
	RolloutStateStopped     = "Stopped"     // a step failed; the other clusters keep what they have
	RolloutStateFailed      = "Failed"      // everywhere, but not ready somewhere, and will not be
	RolloutStateComplete    = "Complete"    // everywhere, and ready
)

// PlacementRollout is how far the pod template of a Deployment, StatefulSet or
// DaemonSet has gone.
type PlacementRollout struct {
	// State is one of the RolloutState… constants.
	State string `json:"state"`
	// Step is the one in progress; empty: none.
	Step string `json:"step,omitempty"`
	// Message says what is waited for, or what failed.
	Message string `json:"message,omitempty"`
	// Revision of the pod template at the hub.
	Revision string `json:"revision"`
	// Policy that says what the steps are; empty: a change goes everywhere at once.
	Policy string `json:"policy,omitempty"`
	// Clusters in the order of their turns.
	// +listType=map
	// +listMapKey=name
	Clusters []ClusterRollout `json:"clusters,omitempty"`
}

// States of a ClusterRollout.
const (
	RolloutClusterDone     = "Done"     // all pods are of the newest revision and ready
	RolloutClusterUpdating = "Updating" // has the newest revision, pods follow
	RolloutClusterHeld     = "Held"     // has an earlier one until its turn
	RolloutClusterFailed   = "Failed"   // will not be ready
	RolloutClusterAway     = "Away"     // does not answer
)

// ClusterRollout is how far a pod template is in one cluster.
type ClusterRollout struct {
	// Name of the Cluster.
	Name string `json:"name"`
	// Step that the cluster is in; empty where there are none.
	Step string `json:"step,omitempty"`
	// State is one of the RolloutCluster… constants.
	State string `json:"state"`
	// Revision that the cluster has; empty where that is not known.
	Revision string `json:"revision,omitempty"`
	// Updated, Ready and Total count pods.
	Updated int64 `json:"updated"`
	Ready   int64 `json:"ready"`
	Total   int64 `json:"total"`
}
