// Package apitest is what models of API servers in tests have in common: paths, discovery, merge patches and refusals.
package apitest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kinds are what a server serves, by the path of the collection without namespaces.
type Kinds map[string]schema.GroupVersionKind

// Resources are the kinds as discovery has them, by the path of their group and version.
func (k Kinds) Resources() map[string][]metav1.APIResource {
	all := map[string][]metav1.APIResource{}
	for path, gvk := range k {
		at := path[:strings.LastIndex(path, "/")]
		all[at] = append(all[at], metav1.APIResource{Name: path[len(at)+1:], Kind: gvk.Kind, Namespaced: gvk.Kind != "Namespace",
			Verbs: metav1.Verbs{"list", "watch", "create", "patch", "delete"}})
	}
	return all
}

// Discover is the answer to a request for discovery, nil if path is for something else.
func (k Kinds) Discover(path string) any {
	resources := k.Resources()
	switch {
	case path == "/api":
		return metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case path == "/apis":
		groups := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for at := range resources {
			if parts := strings.Split(at, "/"); parts[1] == "apis" {
				gv := metav1.GroupVersionForDiscovery{GroupVersion: parts[2] + "/" + parts[3], Version: parts[3]}
				groups.Groups = append(groups.Groups, metav1.APIGroup{Name: parts[2], Versions: []metav1.GroupVersionForDiscovery{gv}, PreferredVersion: gv})
			}
		}
		return groups
	case resources[path] != nil:
		gv := strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"), "/api/")
		return metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv, APIResources: resources[path]}
	}
	return nil
}

// Split is the collection over all namespaces and, if there is a name, the path as objects are kept by.
func Split(path string) (collection, object string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	prefix := 2
	if parts[0] == "apis" {
		prefix = 3
	}
	if len(parts) <= prefix {
		return path, ""
	}
	head, rest := parts[:prefix], parts[prefix:]
	if rest[0] == "namespaces" && len(rest) > 2 {
		rest = rest[2:]
	}
	if len(rest) > 1 {
		object = path
	}
	return "/" + strings.Join(append(slices.Clone(head), rest[0]), "/"), object
}

// Refuse answers with an error.
func Refuse(w http.ResponseWriter, code int, reason string) {
	w.WriteHeader(code)
	fmt.Fprint(w, Status(code, reason))
}

// Status is an error as an API server says it.
func Status(code int, reason string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":%q,"code":%d}`, reason, "refused: "+reason, code)
}

// WholeNumbers has whole numbers of decoded JSON as int64, as DeepCopyJSON wants them. It changes v.
func WholeNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = WholeNumbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = WholeNumbers(v[i])
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

// Merge is a JSON merge patch. It changes obj.
func Merge(obj, patch map[string]any) {
	for k, v := range patch {
		below, isMap := v.(map[string]any)
		there, wasMap := obj[k].(map[string]any)
		switch {
		case v == nil:
			delete(obj, k)
		case isMap && wasMap:
			Merge(there, below)
		case isMap:
			there = map[string]any{}
			Merge(there, below)
			obj[k] = there
		default:
			obj[k] = v
		}
	}
}
