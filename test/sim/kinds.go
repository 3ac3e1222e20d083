package sim

import "k8s.io/apimachinery/pkg/runtime/schema"

var (
	namespaces  = schema.GroupResource{Resource: "namespaces"}
	configMaps  = schema.GroupResource{Resource: "configmaps"}
	pods        = schema.GroupResource{Resource: "pods"}
	nodes       = schema.GroupResource{Resource: "nodes"}
	deployments = schema.GroupResource{Group: "apps", Resource: "deployments"}
	jobs        = schema.GroupResource{Group: "batch", Resource: "jobs"}
	autoscalers = schema.GroupResource{Group: "autoscaling", Resource: "horizontalpodautoscalers"}
	clusters    = schema.GroupResource{Group: "hanse.dev", Resource: "clusters"}
	policies    = schema.GroupResource{Group: "hanse.dev", Resource: "placementpolicies"}
	residencies = schema.GroupResource{Group: "hanse.dev", Resource: "residencies"}
)

func kindOf(group, version, resource, name string, namespaced, status bool) kind {
	return kind{gvr: schema.GroupVersionResource{Group: group, Version: version, Resource: resource}, kind: name, namespaced: namespaced, status: status}
}

// hubKinds is what the hub serves.
func hubKinds() []kind {
	return []kind{
		kindOf("", "v1", "namespaces", "Namespace", false, true),
		kindOf("", "v1", "configmaps", "ConfigMap", true, false),
		kindOf("", "v1", "events", "Event", true, false),
		kindOf("apps", "v1", "deployments", "Deployment", true, true),
		kindOf("apps", "v1", "controllerrevisions", "ControllerRevision", true, false),
		kindOf("batch", "v1", "jobs", "Job", true, true),
		kindOf("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, true), // without which no drain begins
		kindOf("hanse.dev", "v1alpha1", "clusters", "Cluster", false, true),
		kindOf("hanse.dev", "v1alpha1", "placementpolicies", "PlacementPolicy", true, true),
		kindOf("hanse.dev", "v1alpha1", "clusterplacementpolicies", "ClusterPlacementPolicy", false, true),
		kindOf("hanse.dev", "v1alpha1", "residencies", "Residency", false, true),
	}
}

// memberKinds is what a member serves.
func memberKinds() []kind {
	return []kind{
		kindOf("", "v1", "namespaces", "Namespace", false, true),
		kindOf("", "v1", "configmaps", "ConfigMap", true, false),
		kindOf("", "v1", "events", "Event", true, false),
		kindOf("", "v1", "nodes", "Node", false, true),
		kindOf("", "v1", "pods", "Pod", true, true),
		kindOf("", "v1", "persistentvolumes", "PersistentVolume", false, true),
		kindOf("apps", "v1", "deployments", "Deployment", true, true),
		kindOf("batch", "v1", "jobs", "Job", true, true),
		kindOf("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, true),
		kindOf("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true, true),
	}
}
