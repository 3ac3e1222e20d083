package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// Clusters is the way to the Clusters of a hub.
type Clusters struct {
	*access.ClusterClient
	At string // the hub's address, for errors
}

// Clusters makes one. It does not ask the hub yet.
func (f *Flags) Clusters() (Clusters, error) {
	cfg, err := f.RestConfig()
	if err != nil {
		return Clusters{}, err
	}
	client, err := access.NewClusterClient(cfg)
	return Clusters{client, cfg.Host}, err
}

// All are the Clusters, by name.
func (c Clusters) All(ctx context.Context) ([]v1alpha1.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	list, err := c.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, access.HubError(c.At, err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return list.Items, nil
}

// One is the Cluster of a name.
func (c Clusters) One(ctx context.Context, name string) (*v1alpha1.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	cluster, err := c.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no cluster %s. Try: hanse clusters", name)
	}
	if err != nil {
		return nil, access.HubError(c.At, err)
	}
	return cluster, nil
}

// Named are the Clusters of these names. The error names those that there are.
func (c Clusters) Named(ctx context.Context, names []string) ([]*v1alpha1.Cluster, error) {
	items, err := c.All(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for i := range items {
		all = append(all, items[i].Name)
	}
	var named []*v1alpha1.Cluster
	for _, name := range names {
		i := slices.Index(all, name)
		switch {
		case i < 0 && len(all) == 0:
			return nil, fmt.Errorf("there is no cluster %s: none has joined. Try: hanse join %s --kubeconfig FILE", name, name)
		case i < 0:
			return nil, fmt.Errorf("there is no cluster %s, only %s. Try: hanse clusters", name, strings.Join(all, ", "))
		}
		named = append(named, &items[i])
	}
	return named, nil
}

// Placements are all that the hub tells of.
func (c Clusters) Placements(ctx context.Context) ([]v1alpha1.Placement, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var list v1alpha1.PlacementList
	if err := c.GetClient().Get().Resource("placements").Do(ctx).Into(&list); err != nil {
		return nil, access.HubError(c.At, err)
	}
	return list.Items, nil
}
