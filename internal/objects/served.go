package objects

import (
	"errors"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// Served is what an API server serves that can be written and watched. failed are the groups of which that could not be
// found out, and why; err is that nothing could.
func Served(d discovery.DiscoveryInterface) (found map[schema.GroupVersionResource]bool, failed map[string]error, err error) {
	_, lists, err := d.ServerGroupsAndResources()
	if failed = failedGroups(err); err != nil && failed == nil {
		return nil, nil, err
	}
	found = map[schema.GroupVersionResource]bool{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range list.APIResources {
			if Writable(r) {
				found[gv.WithResource(r.Name)] = true
			}
		}
	}
	return found, failed, nil
}

// failedGroups is what a discovery that ended with err did not read, and why; nil: all, or, if there is an error, nothing.
func failedGroups(err error) map[string]error {
	var partly *discovery.ErrGroupDiscoveryFailed
	if !errors.As(err, &partly) {
		return nil
	}
	failed := map[string]error{}
	for gv, why := range partly.Groups {
		failed[gv.Group] = why
	}
	return failed
}

// Writable says whether objects of a resource can be listed, watched, created, changed and deleted; those of subresources
// cannot.
func Writable(r metav1.APIResource) bool {
	for _, verb := range []string{"list", "watch", "create", "patch", "delete"} {
		if !slices.Contains(r.Verbs, verb) {
			return false
		}
	}
	return !strings.Contains(r.Name, "/")
}
