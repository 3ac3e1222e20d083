package v1alpha1

// Names that Hanse gives to things it makes, in the hub and in the members.
const (
	// SystemNamespace holds what belongs to Hanse itself: at the hub the
	// members' credentials, in a member the service account that the hub uses.
	// Nothing in it is ever propagated.
	SystemNamespace = "hanse-system"
	// FieldManager is the one field manager under which members are written,
	// so that the owner of every field can be read from managedFields.
	FieldManager = "hanse"
	// ServiceAccount is the name of the hub's service account, ClusterRole and
	// ClusterRoleBinding in a member.
	ServiceAccount = "hanse-hub"
)

// Labels.
const (
	// LabelManaged is on each object in a member that a hub put there or adopted, with
	// the value "true". It selects what is watched, and proves nothing: controllers
	// copy labels.
	LabelManaged = "hanse.dev/managed"
	// LabelProvider is the cloud of a Cluster: aws, azure, google, …
	LabelProvider = "hanse.dev/provider"
	// LabelContinent is the continent of a Cluster's region, as a two-letter
	// code: AF, AN, AS, EU, NA, OC, SA.
	LabelContinent = "hanse.dev/continent"
	// LabelPropagation on a Namespace says how its Secrets and ConfigMaps propagate, as
	// spec.propagation of a policy does. Whoever sets or removes it needs the right to
	// write a ClusterPlacementPolicy, which could say the same.
	LabelPropagation = "hanse.dev/propagation"
	// LabelClusterName is the name of the Cluster, so that selectors can use it.
	LabelClusterName = "hanse.dev/cluster"
)

// Annotations on objects.
const (
	// AnnotationOrigin is written once, on each object in a member: which hub,
	// which object there, a revision of the hub at which that object existed, and
	// on which object in the member it stands: a copy of it on any other says
	// nothing. See package lineage for its form and what it is for. Whoever may
	// write objects in the member may write it; all that they can reach is that an
	// object of theirs is held (ConditionDeletionsHeld) or taken for the hub's own
	// of that very name.
	AnnotationOrigin = "hanse.dev/origin"
	// AnnotationAdopted marks an object in a member that was there before the
	// hub managed it. An adopted Namespace or CRD is released, not deleted, when the
	// hub's is deleted.
	AnnotationAdopted = "hanse.dev/adopted"
	// AnnotationConflict is set by the user on the hub's object to say what to
	// do with an object of the same name that was in a member before:
	// ConflictAdopt or ConflictOverwrite. Without it, it is left alone and
	// reported.
	AnnotationConflict = "hanse.dev/conflict"
	// AnnotationDivision is written by the hub on its own object when the
	// replicas are not divided as the formula alone would: JSON, cluster name
	// to count. It is what makes a division survive a restart of the hub while
	// a member is away. Of Jobs and bare Pods it is always written, and stays as it
	// is once they have begun: whoever edits it moves work.
	AnnotationDivision = "hanse.dev/division"
	// AnnotationPreferences says how an object's replicas are divided: minima,
	// maxima and weights by cluster, in the JSON of Federation v1's preferences.
	// hanse scale writes it. It goes before Federation v1's own annotations, and
	// these before a policy's division.
	AnnotationPreferences = "hanse.dev/preferences"
	// AnnotationReplicas with the value ReplicasMember lets members set their
	// own number of replicas: the object's total follows the sum.
	AnnotationReplicas = "hanse.dev/replicas"
	// AnnotationTaken is written by the hub on its own object beside a division
	// that follows the members: JSON, cluster name to the number that the hub
	// last took over from there. It tells a number that a member set while the
	// hub was not there from one that the hub has not replaced yet.
	AnnotationTaken = "hanse.dev/taken-replicas"
	// AnnotationBounds is written by the hub on its own HorizontalPodAutoscaler:
	// which bounds the autoscaler has in each cluster; and on its own ResourceQuota:
	// which part of it. See packages autoscale and quota.
	AnnotationBounds = "hanse.dev/bounds"
	// AnnotationQuota with the value QuotaEach on a ResourceQuota has each cluster have
	// all of it, instead of a part.
	AnnotationQuota = "hanse.dev/quota"
)

// QuotaEach as AnnotationQuota: the quota is not divided.
const QuotaEach = "each"

// ReplicasMember as AnnotationReplicas: what a member, a person there or an
// autoscaler, sets is kept.
const ReplicasMember = "member"

// Annotations on workloads whose changes go out step by step.
const (
	// AnnotationRollout is set by the user on the hub's object to RolloutPaused, and
	// by the hub to RolloutStopped when a step has failed. Taking it off resumes.
	AnnotationRollout = "hanse.dev/rollout"
	RolloutPaused     = "paused"
	RolloutStopped    = "stopped"
	// AnnotationRolloutState is written by the hub on its own object: how far a
	// change has gone, as JSON. It is what makes a rollout survive a restart.
	AnnotationRolloutState = "hanse.dev/rollout-state"
	// AnnotationRevision is written on the object in a member: which of the
	// revisions of the pod template it has.
	AnnotationRevision = "hanse.dev/revision"
	// LabelRevisionOf marks a ControllerRevision at the hub with the UID of the
	// workload whose earlier pod template it holds.
	LabelRevisionOf = "hanse.dev/revision-of"
)

// Annotations that make and steer GlobalRoutes.
const (
	// AnnotationGlobal, "true" on an Ingress, a Service of type LoadBalancer or a
	// Gateway at the hub, has a GlobalRoute made for it.
	AnnotationGlobal = "hanse.dev/global"
	// LabelDerivedFrom marks a GlobalRoute or DNSZone that the hub made by itself,
	// and keeps in step or removes: with the kind of what it was made for.
	LabelDerivedFrom = "hanse.dev/derived-from"
)

// How objects propagate.
const (
	// PropagateEverywhere is to all clusters that an object may be in.
	PropagateEverywhere = "Everywhere"
	// PropagateNeeded is to those of them where something goes that names it.
	PropagateNeeded = "Needed"
	// PropagateNone is nowhere: the object stays at the hub.
	PropagateNone = "None"
)

// Values of AnnotationConflict.
const (
	// ConflictAdopt takes the member's object over: the fields that the hub's
	// object sets are set, all others stay as they are.
	ConflictAdopt = "adopt"
	// ConflictOverwrite replaces the member's object: fields that the hub's
	// object does not set are removed.
	ConflictOverwrite = "overwrite"
)

// Annotations on a Cluster.
const (
	// AnnotationOnUnjoin says what becomes of the workloads in the member when
	// the Cluster is deleted: OnUnjoinDelete, or anything else to leave them.
	AnnotationOnUnjoin = "hanse.dev/on-unjoin"
	// OnUnjoinDelete as AnnotationOnUnjoin deletes what the hub manages there.
	OnUnjoinDelete = "delete"
)

// FinalizerUnjoin lets the hub take its service account out of a member before
// the Cluster goes.
const FinalizerUnjoin = "hanse.dev/unjoin"
