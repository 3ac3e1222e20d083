// Package placement serves the kind Placement, which is computed when it is read: a filter in the hub's handler chain
// answers get, list and watch from a Source in memory and refuses every write.
//
// The kind's CustomResourceDefinition is there for discovery, OpenAPI and kubectl explain; its storage stays empty.
package placement

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Source knows the Placements of the moment. Its methods may be called at the same time and must not wait for a member.
type Source interface {
	// List returns the Placements of a namespace, or all for "", in any order.
	List(namespace string) []v1alpha1.Placement
	// Get returns one Placement.
	Get(namespace, name string) (v1alpha1.Placement, bool)
	// Subscribe tells which Placements have changed or vanished since it was called, until ctx ends; then the channel
	// is closed. Somebody who reads slowly misses no Placement, but may get one notice for several changes of it.
	Subscribe(ctx context.Context) <-chan types.NamespacedName
}

// Name is the name of the Placement of an object: deployments.apps.whoami, services.whoami.
func Name(gr schema.GroupResource, name string) string {
	return gr.String() + "." + name
}
