package kinds

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// clusterKeys is the prefix of labels that Clusters have and nodes do not.
const clusterKeys = "hanse.dev/"

// Localise takes out of a workload's pod template what it says of clusters
// (hanse.dev/provider and the like), once it is in a cluster with these labels: no
// node has such labels, and the member's scheduler would wait for one that does.
// What the cluster does not fulfil stays, so that no pod runs where it must not.
// ok is false if there is nothing of the kind; else local is a copy.
func Localise(template map[string]any, clusterLabels map[string]string) (local map[string]any, ok bool) {
	spec, ok := template["spec"].(map[string]any)
	if !ok || !speaksOfClusters(spec) {
		return nil, false
	}
	out := runtime.DeepCopyJSON(template)
	spec = out["spec"].(map[string]any)
	localiseSelector(spec, clusterLabels)
	localiseNodeAffinity(spec, clusterLabels)
	for _, kind := range []string{"podAffinity", "podAntiAffinity"} {
		without(spec, isClusterTopology, "affinity", kind, "requiredDuringSchedulingIgnoredDuringExecution")
	}
	without(spec, isClusterTopology, "topologySpreadConstraints")
	return out, true
}

// speaksOfClusters says whether any key in the constraints is a cluster's.
func speaksOfClusters(spec map[string]any) bool {
	for _, field := range []string{"nodeSelector", "affinity", "topologySpreadConstraints"} {
		if mentions(spec[field]) {
			return true
		}
	}
	return false
}

func mentions(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if strings.HasPrefix(k, clusterKeys) || mentions(inner) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if mentions(inner) {
				return true
			}
		}
	case string:
		return strings.HasPrefix(v, clusterKeys)
	}
	return false
}

func localiseSelector(spec map[string]any, labels map[string]string) {
	selector, _ := spec["nodeSelector"].(map[string]any)
	for k, v := range selector {
		if strings.HasPrefix(k, clusterKeys) && labels[k] == v {
			delete(selector, k)
		}
	}
	if selector != nil && len(selector) == 0 {
		delete(spec, "nodeSelector")
	}
}

// localiseNodeAffinity keeps, of the alternatives, those that the cluster fulfils,
// without what it fulfils. If one of them asks for nothing else, nothing is asked.
func localiseNodeAffinity(spec map[string]any, labels map[string]string) {
	path := []string{"affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"}
	terms, found, _ := unstructured.NestedSlice(spec, path...)
	if !found {
		return
	}
	var left []any
	for _, t := range terms {
		term, _ := t.(map[string]any)
		rest, fulfilled := localiseTerm(term, labels)
		if !fulfilled {
			continue
		}
		if len(rest) == 0 {
			unstructured.RemoveNestedField(spec, path[:3]...)
			return
		}
		left = append(left, rest)
	}
	if left != nil { // with none that fits, they stay: nothing may run here
		_ = unstructured.SetNestedSlice(spec, left, path...)
	}
}

// localiseTerm is a term without its expressions about clusters, and whether these
// are true of the cluster.
func localiseTerm(term map[string]any, labels map[string]string) (rest map[string]any, fulfilled bool) {
	var about, others []any
	expressions, _, _ := unstructured.NestedSlice(term, "matchExpressions")
	for _, e := range expressions {
		expression, _ := e.(map[string]any)
		if key, _ := expression["key"].(string); strings.HasPrefix(key, clusterKeys) {
			about = append(about, e)
		} else {
			others = append(others, e)
		}
	}
	if len(about) == 0 {
		return term, true
	}
	var selected corev1.NodeSelectorTerm
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(map[string]any{"matchExpressions": about}, &selected); err != nil {
		return nil, false
	}
	selector, err := nodeaffinity.NewNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{selected}})
	if err != nil || !selector.Match(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: labels}}) {
		return nil, false
	}
	rest = map[string]any{}
	for k, v := range term {
		rest[k] = v
	}
	delete(rest, "matchExpressions")
	if len(others) > 0 {
		rest["matchExpressions"] = others
	}
	return rest, true
}

func isClusterTopology(item map[string]any) bool {
	key, _ := item["topologyKey"].(string)
	return strings.HasPrefix(key, clusterKeys)
}

// without drops the items of a list that are so, and the list if none is left.
func without(spec map[string]any, drop func(map[string]any) bool, path ...string) {
	list, found, _ := unstructured.NestedSlice(spec, path...)
	if !found {
		return
	}
	var left []any
	for _, i := range list {
		if item, ok := i.(map[string]any); !ok || !drop(item) {
			left = append(left, i)
		}
	}
	if left == nil {
		unstructured.RemoveNestedField(spec, path...)
		return
	}
	_ = unstructured.SetNestedSlice(spec, left, path...)
}
