// Package served is which resources the simulator's API servers have, and how they tell that.
package served

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is a resource that a server has.
type Kind struct {
	GVR        schema.GroupVersionResource
	Kind       string
	Namespaced bool
	Status     bool // a subresource
}

func of(group, version, resource, name string, namespaced, status bool) Kind {
	return Kind{GVR: schema.GroupVersionResource{Group: group, Version: version, Resource: resource}, Kind: name, Namespaced: namespaced, Status: status}
}

// Hub is what the hub serves.
func Hub() []Kind {
	return []Kind{
		of("", "v1", "namespaces", "Namespace", false, true),
		of("", "v1", "configmaps", "ConfigMap", true, false),
		of("", "v1", "events", "Event", true, false),
		of("apps", "v1", "deployments", "Deployment", true, true),
		of("apps", "v1", "controllerrevisions", "ControllerRevision", true, false),
		of("batch", "v1", "jobs", "Job", true, true),
		of("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, true), // without which no drain begins
		of("hanse.dev", "v1alpha1", "clusters", "Cluster", false, true),
		of("hanse.dev", "v1alpha1", "placementpolicies", "PlacementPolicy", true, true),
		of("hanse.dev", "v1alpha1", "clusterplacementpolicies", "ClusterPlacementPolicy", false, true),
		of("hanse.dev", "v1alpha1", "residencies", "Residency", false, true),
	}
}

// Member is what a member serves.
func Member() []Kind {
	return []Kind{
		of("", "v1", "namespaces", "Namespace", false, true),
		of("", "v1", "configmaps", "ConfigMap", true, false),
		of("", "v1", "events", "Event", true, false),
		of("", "v1", "nodes", "Node", false, true),
		of("", "v1", "pods", "Pod", true, true),
		of("", "v1", "persistentvolumes", "PersistentVolume", false, true),
		of("apps", "v1", "deployments", "Deployment", true, true),
		of("batch", "v1", "jobs", "Job", true, true),
		of("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, true),
		of("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true, true),
	}
}

// MediaType is that of what Discovery returns.
const MediaType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// Discovery is aggregated discovery of some of the kinds, as an API server has it.
func Discovery(kinds []Kind, has func(Kind) bool) []byte {
	groups := map[string][]Kind{}
	var order []string
	for _, k := range kinds {
		if has(k) {
			if groups[k.GVR.Group] == nil {
				order = append(order, k.GVR.Group)
			}
			groups[k.GVR.Group] = append(groups[k.GVR.Group], k)
		}
	}
	var b strings.Builder
	b.WriteString(`{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[`)
	for i, group := range order {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"metadata":{"name":%q},"versions":[{"version":%q,"freshness":"Current","resources":[`, group, groups[group][0].GVR.Version)
		for j, k := range groups[group] {
			if j > 0 {
				b.WriteByte(',')
			}
			scope := "Cluster"
			if k.Namespaced {
				scope = "Namespaced"
			}
			fmt.Fprintf(&b, `{"resource":%q,"responseKind":{"group":%q,"version":%q,"kind":%q},"scope":%q,"singularResource":%q,"verbs":["create","delete","get","list","patch","update","watch"]}`,
				k.GVR.Resource, group, k.GVR.Version, k.Kind, scope, strings.ToLower(k.Kind))
		}
		b.WriteString(`]}]}`)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

// OpenAPI says of each group which schema it has.
func OpenAPI(kinds []Kind) []byte {
	var parts []string
	for _, k := range kinds {
		path := "apis/" + k.GVR.GroupVersion().String()
		if k.GVR.Group == "" {
			path = "api/v1"
		}
		one := fmt.Sprintf(`%q:{"serverRelativeURL":"/openapi/v3/%s?hash=1"}`, path, path)
		if len(parts) == 0 || parts[len(parts)-1] != one {
			parts = append(parts, one)
		}
	}
	return []byte(`{"paths":{` + strings.Join(parts, ",") + `}}`)
}
