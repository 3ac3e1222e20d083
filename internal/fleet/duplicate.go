package fleet

import (
	"fmt"

	"k8s.io/client-go/tools/cache"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// Join admits a cluster once. Two Clusters can have one UID all the same: who
// writes Clusters may copy one, and a cluster that was restored from the backup
// of another has its UID. Only the first is used, by when they were made and then
// by name; so that all that is counted is there once.

// first is the name of the Cluster that is used instead of c, "" if that is c.
func (f *Fleet) first(c *v1alpha1.Cluster) string {
	first := c
	for _, o := range f.namesakes(c) {
		if before(o, first) {
			first = o
		}
	}
	if first == c {
		return ""
	}
	return first.Name
}

// keeper is the name of a Cluster that still needs what join made in the member
// when c has left; "" if none does. Of several that leave at once the last takes
// it away, which is the first of them.
func (f *Fleet) keeper(c *v1alpha1.Cluster) string {
	for _, o := range f.namesakes(c) {
		if o.DeletionTimestamp == nil || before(o, c) {
			return o.Name
		}
	}
	return ""
}

// namesakes are the other Clusters with c's UID.
func (f *Fleet) namesakes(c *v1alpha1.Cluster) (all []*v1alpha1.Cluster) {
	if c.Spec.UID == "" {
		return nil
	}
	same, err := f.clusters.ByIndex(byUID, c.Spec.UID)
	if err != nil {
		return nil // there is no such index: a bug that tests show
	}
	for _, o := range same {
		if o := o.(*v1alpha1.Cluster); o.Name != c.Name {
			all = append(all, o)
		}
	}
	return all
}

// byUID finds Clusters by the cluster that they are, without going through all of them
// at each look at each.
const byUID = "uid"

func clusterIndex() cache.Indexers {
	return cache.Indexers{byUID: func(o any) ([]string, error) {
		c, ok := o.(*v1alpha1.Cluster)
		if !ok || c.Spec.UID == "" {
			return nil, nil
		}
		return []string{c.Spec.UID}, nil
	}}
}

func before(a, b *v1alpha1.Cluster) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}

// duplicate is the verdict on a Cluster that is not used because of another.
func duplicate(c *v1alpha1.Cluster, first string) verdict {
	return verdict{reason: v1alpha1.ReasonDuplicate, sure: true, message: fmt.Sprintf(
		"it is the same cluster as %s (UID %s), which was created first and is used. Try: hanse unjoin %s; if it was restored from a backup of the other, it needs a kube-system Namespace of its own to be a cluster of its own",
		first, access.OneLine(c.Spec.UID), c.Name)}
}
