package local

import (
	"context"
	"errors"
	"io/fs"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/demo"
	"github.com/hanse-dev/hanse/internal/fleet/join"
	"github.com/hanse-dev/hanse/internal/localcluster"
)

// demoMembers are local clusters like any others, in the demo's own directory.
type demoMembers struct{ manager localcluster.Manager }

func newDemoMembers(dir string) (demo.Members, error) {
	manager, err := newManager(demo.MembersDir(dir))
	if err != nil {
		return nil, err
	}
	return demoMembers{manager}, nil
}

func (m demoMembers) Up(ctx context.Context, c demo.Cluster) (string, error) {
	cluster, err := m.manager.Start(ctx, c.Name)
	if errors.Is(err, fs.ErrNotExist) {
		cluster, err = m.manager.Create(ctx, localcluster.Spec{Name: c.Name, Provider: c.Provider, Region: c.Region, Nodes: c.Nodes})
	}
	if err != nil {
		return "", err
	}
	return cluster.KubeconfigPath(), nil
}

func (m demoMembers) Running(name string) bool {
	cluster, err := m.manager.Get(name)
	return err == nil && cluster.Phase == localcluster.Running
}

func (m demoMembers) Stop(ctx context.Context, name string) error {
	return ignoreMissing(m.manager.Stop(ctx, name))
}

func (m demoMembers) Delete(ctx context.Context, name string) error {
	return ignoreMissing(m.manager.Delete(ctx, name))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// joinDemo is what hanse join --role full does: the demo's clusters are its own.
func joinDemo(ctx context.Context, hub *rest.Config, c demo.Cluster, kubeconfig string) error {
	member, err := join.LoadKubeconfig(kubeconfig, "")
	if err != nil {
		return err
	}
	_, err = join.Run(ctx, clock.RealClock{}, join.Options{Name: c.Name, Hub: hub, Member: member, Role: v1alpha1.RoleFull})
	return err
}
