package hub

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// List lists one of Hanse's resources in all namespaces: as the hub sends it, and
// its items decoded. It blocks for Timeout at most.
func List[T any](ctx context.Context, f *Flags, resource string) (raw *unstructured.UnstructuredList, items []T, err error) {
	cfg, err := f.RestConfig()
	if err != nil {
		return nil, nil, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, nil, access.HubError(cfg.Host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	raw, err = client.Resource(v1alpha1.Resource(resource)).List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, fmt.Errorf("the hub at %s has no %s. Try: the same version of hanse for both", cfg.Host, resource)
	case err != nil:
		return nil, nil, access.HubError(cfg.Host, err)
	}
	items = make([]T, len(raw.Items))
	for i := range raw.Items {
		if err := Decode(&raw.Items[i], &items[i]); err != nil {
			return nil, nil, fmt.Errorf("cannot read the %s of the hub: %w", resource, err)
		}
	}
	return raw, items, nil
}

// Decode reads an object of the API.
func Decode(from *unstructured.Unstructured, into any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(from.Object, into)
}

// FindResource reads KIND/NAME as kubectl does, short names and groups
// included: where the hub serves objects of the kind, and the name. example is
// the command that an error shows.
func FindResource(cfg *rest.Config, object, example string) (resource schema.GroupVersionResource, name string, err error) {
	kind, name, ok := strings.Cut(object, "/")
	if !ok || kind == "" || name == "" {
		return resource, "", fmt.Errorf("%q is not KIND/NAME. Try: %s", object, example)
	}
	known, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return resource, "", access.HubError(cfg.Host, err)
	}
	cached := memory.NewMemCacheClient(known)
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, nil)
	resource, err = mapper.ResourceFor(schema.ParseGroupResource(kind).WithVersion(""))
	if meta.IsNoMatchError(err) {
		return resource, "", fmt.Errorf("the hub has no kind %s. Try: kubectl api-resources", kind)
	}
	if err != nil {
		return resource, "", access.HubError(cfg.Host, err)
	}
	return resource, name, nil
}
