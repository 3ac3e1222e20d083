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
	// state is one of the RolloutState… constants.
	// +required
	State string `json:"state"`
	// step is the one in progress; empty: none.
	// +optional
	Step string `json:"step,omitempty"`
	// message says what is waited for, or what failed.
	// +optional
	Message string `json:"message,omitempty"`
	// revision of the pod template at the hub.
	// +required
	Revision string `json:"revision"`
	// policy that says what the steps are; empty: a change goes everywhere at once.
	// +optional
	Policy string `json:"policy,omitempty"`
	// clusters in the order of their turns.
	// +listType=map
	// +listMapKey=name
	// +optional
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
	// name of the Cluster.
	// +required
	Name string `json:"name"`
	// step that the cluster is in; empty where there are none.
	// +optional
	Step string `json:"step,omitempty"`
	// state is one of the RolloutCluster… constants.
	// +required
	State string `json:"state"`
	// revision that the cluster has; empty where that is not known.
	// +optional
	Revision string `json:"revision,omitempty"`
	// updated are the pods of the new template.
	// +required
	Updated int64 `json:"updated"`
	// ready are the pods that are ready.
	// +required
	Ready int64 `json:"ready"`
	// total are all pods.
	// +required
	Total int64 `json:"total"`
}
