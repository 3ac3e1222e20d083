package cli

import (
	"context"
	"errors"

	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/demo"
	"github.com/hanse-dev/hanse/internal/fleet"
)

// newDemoMembers keeps the demo's members as hanse local would, but in the
// demo's own directory.
func newDemoMembers(dir, executable string) (demo.Members, error) {
	return nil, errors.New("not there yet")
}

// joinDemo is what hanse join does.
func joinDemo(ctx context.Context, hub *rest.Config, c demo.Cluster, kubeconfig string) error {
	member, err := fleet.LoadKubeconfig(kubeconfig, "")
	if err != nil {
		return err
	}
	_, err = fleet.Join(ctx, fleet.JoinOptions{Name: c.Name, Hub: hub, Member: member})
	return err
}
