package template

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/references"
)

// Key names an object of a propagated resource, the same at the hub and in every member.
type Key struct {
	GR        schema.GroupResource
	Namespace string
	Name      string
}

// String is RESOURCE.GROUP/NAMESPACE/NAME; ParseKey reads it.
func (k Key) String() string { return k.GR.String() + "/" + k.Namespace + "/" + k.Name }

// Label is the name of an object as messages have it.
func (k Key) Label() string {
	if k.Namespace == "" {
		return k.GR.String() + " " + k.Name
	}
	return k.GR.String() + " " + k.Namespace + "/" + k.Name
}

// NamespacedName is k within its resource.
func (k Key) NamespacedName() types.NamespacedName {
	return types.NamespacedName{Namespace: k.Namespace, Name: k.Name}
}

// Object is k in the terms of package lineage.
func (k Key) Object() lineage.Object {
	return lineage.Object{Resource: k.GR, Namespace: k.Namespace, Name: k.Name}
}

// Compare orders keys by resource, group, namespace and name.
func (k Key) Compare(other Key) int {
	if c := strings.Compare(k.GR.Resource, other.GR.Resource); c != 0 {
		return c
	}
	if c := strings.Compare(k.GR.Group, other.GR.Group); c != 0 {
		return c
	}
	if c := strings.Compare(k.Namespace, other.Namespace); c != 0 {
		return c
	}
	return strings.Compare(k.Name, other.Name)
}

// ParseKey reads what String wrote. It is false for anything else.
func ParseKey(s string) (Key, bool) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return Key{}, false
	}
	return Key{GR: schema.ParseGroupResource(parts[0]), Namespace: parts[1], Name: parts[2]}, true
}

// SortKeys puts keys in order.
func SortKeys(keys []Key) { slices.SortFunc(keys, Key.Compare) }

// SortedKeys is the keys of a map, in order.
func SortedKeys[V any](all map[Key]V) []Key { return slices.SortedFunc(maps.Keys(all), Key.Compare) }

// KeyNames is the keys of a set as strings, in order.
func KeyNames(set map[Key]bool) (names []string) {
	for key, is := range set {
		if is {
			names = append(names, key.String())
		}
	}
	slices.Sort(names)
	return names
}

// KeySet is the set of which KeyNames is all.
func KeySet(names []string) map[Key]bool {
	out := make(map[Key]bool, len(names))
	for _, name := range names {
		if key, ok := ParseKey(name); ok {
			out[key] = true
		}
	}
	return out
}

// NamesOf is the Secrets and ConfigMaps that an object names, each once.
func NamesOf(gr schema.GroupResource, object map[string]any) []Key {
	var keys []Key
	for _, n := range references.Of(gr, object) {
		keys = append(keys, Key(n))
	}
	return keys
}

// Resources that are more than one of many to propagation.

// Namespaces is the resource of Namespaces.
func Namespaces() schema.GroupResource { return schema.GroupResource{Resource: "namespaces"} }

// CRDs is the resource of CustomResourceDefinitions.
func CRDs() schema.GroupResource {
	return schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
}

// Jobs is the resource of Jobs.
func Jobs() schema.GroupResource { return schema.GroupResource{Group: "batch", Resource: "jobs"} }

// Budgets is the resource of PodDisruptionBudgets.
func Budgets() schema.GroupResource {
	return schema.GroupResource{Group: "policy", Resource: "poddisruptionbudgets"}
}

// PriorityClasses is the resource of PriorityClasses.
func PriorityClasses() schema.GroupResource {
	return schema.GroupResource{Group: "scheduling.k8s.io", Resource: "priorityclasses"}
}

// Autoscalers is the resource of HorizontalPodAutoscalers, in the version that is read.
func Autoscalers() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
}

// Scalable are the resources whose spec.replicas an autoscaler may set.
func Scalable() []schema.GroupResource {
	return []schema.GroupResource{
		{Group: "apps", Resource: "deployments"}, {Group: "apps", Resource: "replicasets"},
		{Group: "apps", Resource: "statefulsets"}, {Resource: "replicationcontrollers"},
	}
}

// Decides says whether what members show of a resource's objects decides something: it is divided, scales what is, bounds it, or
// rolls out step by step.
func Decides(gr schema.GroupResource) bool {
	switch gr {
	case Jobs(), Autoscalers().GroupResource(), Quotas(), schema.GroupResource{Group: "apps", Resource: "daemonsets"},
		schema.GroupResource{Group: "batch", Resource: "cronjobs"}, schema.GroupResource{Resource: "pods"}:
		return true
	}
	return IsScalable(gr)
}

// IsScalable says whether an autoscaler may set the replicas of a resource's objects.
func IsScalable(gr schema.GroupResource) bool {
	for _, one := range Scalable() {
		if one == gr {
			return true
		}
	}
	return false
}
