package override

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Guarded says whether objects of a kind say what others may do in a namespace, or hold what proves who somebody is. Who may
// write policies in a namespace need not be one who may write these, so a PlacementPolicy's overrides leave them alone.
func Guarded(gk schema.GroupKind) bool {
	switch gk.Group {
	case "rbac.authorization.k8s.io":
		return true
	case "networking.k8s.io":
		return gk.Kind == "NetworkPolicy"
	case "":
		return gk.Kind == "ResourceQuota" || gk.Kind == "LimitRange" || gk.Kind == "ServiceAccount" || gk.Kind == "Secret"
	}
	return false
}

// Reach is the kinds that an override can change, of whatever a policy selects; open: of all kinds, because neither it nor
// what it changes says of which.
func Reach(o *v1alpha1.Override) (kinds []schema.GroupKind, open bool) {
	for _, k := range o.Kinds {
		if gv, err := schema.ParseGroupVersion(k.APIVersion); err == nil {
			kinds = append(kinds, schema.GroupKind{Group: gv.Group, Kind: k.Kind})
		}
	}
	if len(o.Kinds) > 0 {
		return kinds, false
	}
	if o.Replicas != nil || o.Labels != nil || o.Annotations != nil || len(o.JSONPatch) > 0 || o.StrategicMerge != nil {
		return nil, true
	}
	kinds = []schema.GroupKind{ // those that podPath knows
		{Kind: "Pod"}, {Kind: "PodTemplate"}, {Kind: "ReplicationController"},
		{Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "StatefulSet"}, {Group: "apps", Kind: "DaemonSet"}, {Group: "apps", Kind: "ReplicaSet"},
		{Group: "batch", Kind: "Job"}, {Group: "batch", Kind: "CronJob"},
	}
	if o.StorageClass != "" {
		kinds = append(kinds, schema.GroupKind{Kind: "PersistentVolumeClaim"})
	}
	return kinds, false
}
