package hub

import (
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/hanse-dev/hanse/internal/objects"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

// served is what the hub serves and lets one list, watch, create, patch and delete, in its preferred version; nil: nobody
// knows. complete says whether a group was read.
func served(d discovery.DiscoveryInterface) (found map[schema.GroupResource]decide.Served, complete func(group string) bool, err error) {
	lists, err := discovery.ServerPreferredResources(d)
	failed := map[string]bool{}
	if err != nil {
		var partly *discovery.ErrGroupDiscoveryFailed
		if !errors.As(err, &partly) {
			return nil, nil, err
		}
		for gv := range partly.Groups {
			failed[gv.Group] = true
		}
	}
	found = map[schema.GroupResource]decide.Served{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range list.APIResources {
			if objects.Writable(r) {
				found[schema.GroupResource{Group: gv.Group, Resource: r.Name}] = decide.Served{GVR: gv.WithResource(r.Name), GVK: gv.WithKind(r.Kind)}
			}
		}
	}
	return found, func(group string) bool { return !failed[group] }, err
}

// customResource is the group and resource that a CustomResourceDefinition defines, and whether the hub serves them already.
func customResource(crd *unstructured.Unstructured) (gr schema.GroupResource, established bool) {
	gr.Group, _, _ = unstructured.NestedString(crd.Object, "spec", "group")
	gr.Resource, _, _ = unstructured.NestedString(crd.Object, "spec", "names", "plural")
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "Established" && m["status"] == "True" {
			return gr, true
		}
	}
	return gr, false
}
