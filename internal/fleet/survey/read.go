package survey

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// pageSize is how many nodes are listed at a time.
const pageSize = 500

// Read reads a cluster's version and goes through its nodes.
func Read(ctx context.Context, client kubernetes.Interface) (Facts, error) {
	body, err := client.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return Facts{}, err
	}
	var info version.Info
	if err := json.Unmarshal(body, &info); err != nil {
		return Facts{}, fmt.Errorf("/version answers something else: %w", err)
	}
	s := newSurvey()
	opts := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := client.CoreV1().Nodes().List(ctx, opts)
		if err != nil {
			return Facts{}, err
		}
		for i := range page.Items {
			s.add(&page.Items[i])
		}
		if opts.Continue = page.Continue; opts.Continue == "" {
			break
		}
	}
	found := s.result()
	found.Version = access.Printable(info.GitVersion, maxVersion)
	return found, nil
}

// Fill writes into a status what the facts say of a Cluster, where its spec says nothing
// else.
func (f Facts) Fill(s *v1alpha1.ClusterStatus, c *v1alpha1.Cluster) {
	f = f.keep(c.Status)
	s.Version, s.Nodes, s.Capacity, s.Allocatable = f.Version, f.Nodes, f.Capacity, f.Allocatable
	s.Provider, s.Region, s.Zones = f.Provider, f.Region, f.Zones
	if c.Spec.Provider != "" {
		s.Provider = c.Spec.Provider
	}
	if c.Spec.Region != "" {
		s.Region = c.Spec.Region
	}
	if len(c.Spec.Zones) > 0 {
		s.Zones = c.Spec.Zones
	}
}

// keep is f where it says something about the place, else what was known: a
// cluster that has scaled to no nodes has not moved.
func (f Facts) keep(old v1alpha1.ClusterStatus) Facts {
	if f.Version == "" {
		f.Version = old.Version
		f.Nodes, f.Capacity, f.Allocatable = old.Nodes, old.Capacity, old.Allocatable
	}
	if f.Provider == "" {
		f.Provider = old.Provider
	}
	if f.Region == "" {
		f.Region = old.Region
	}
	if len(f.Zones) == 0 {
		f.Zones = old.Zones
	}
	return f
}
