package cli

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/hanse-dev/hanse/internal/fleet"
)

// findResource reads KIND/NAME as kubectl does, short names and groups
// included: where the hub serves objects of the kind, and the name. example is
// the command that an error shows.
func findResource(cfg *rest.Config, object, example string) (resource schema.GroupVersionResource, name string, err error) {
	kind, name, ok := strings.Cut(object, "/")
	if !ok || kind == "" || name == "" {
		return resource, "", fmt.Errorf("%q is no KIND/NAME. Try: %s", object, example)
	}
	known, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return resource, "", fleet.HubError(cfg.Host, err)
	}
	cached := memory.NewMemCacheClient(known)
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, nil)
	resource, err = mapper.ResourceFor(schema.ParseGroupResource(kind).WithVersion(""))
	if meta.IsNoMatchError(err) {
		return resource, "", fmt.Errorf("the hub has no kind %s. Try: kubectl api-resources", kind)
	}
	if err != nil {
		return resource, "", fleet.HubError(cfg.Host, err)
	}
	return resource, name, nil
}
