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
