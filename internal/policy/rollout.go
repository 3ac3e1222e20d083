package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Rollout is how a change goes out step by step, with the defaults filled in.
type Rollout struct {
	By     string // empty: by groups
	Paused bool
	// Wait is how long a step has to be ready before the next begins.
	Wait time.Duration
	// Stop at a failure; otherwise go on.
	Stop bool
	// ProgressDeadline is how long a step may make no progress.
	ProgressDeadline time.Duration

	order  []string
	groups []group
}

// Step is one step of a rollout: the clusters that get a change together.
type Step struct {
	// Name is the cluster's, region's, …, or the group's.
	Name     string
	Clusters []string // by name, never empty
}

func (p *Policy) readRollout(in *v1alpha1.Rollout) error {
	if in == nil {
		return nil
	}
	if (in.By != "") == (len(in.Groups) > 0) {
		return fmt.Errorf("spec.rollout: either by or groups must say what the steps are")
	}
	r := &Rollout{By: in.By, Paused: in.Paused, Stop: in.OnFailure != v1alpha1.RolloutContinue, ProgressDeadline: 10 * time.Minute, order: in.Order}
	if in.Wait != nil {
		if r.Wait = in.Wait.Duration; r.Wait < 0 {
			return fmt.Errorf("spec.rollout.wait: %s is below 0", r.Wait)
		}
	}
	if in.ProgressDeadline != nil {
		if r.ProgressDeadline = in.ProgressDeadline.Duration; r.ProgressDeadline <= 0 {
			return fmt.Errorf("spec.rollout.progressDeadline: %s is not above 0", r.ProgressDeadline)
		}
	}
	if _, ok := fieldOf(in.By); in.By != "" && in.By != v1alpha1.RolloutByCluster && !ok {
		return fmt.Errorf("spec.rollout.by: %q is not supported. Try: Cluster, Zone, Region, Provider, Continent", in.By)
	}
	groups, err := newGroups("groups", in.Groups)
	if err != nil {
		return fmt.Errorf("spec.rollout.%w", err)
	}
	r.groups = groups
	p.Rollout = r
	return nil
}

func fieldOf(by string) (string, bool) {
	switch by {
	case v1alpha1.RolloutByZone:
		return v1alpha1.FieldZone, true
	case v1alpha1.RolloutByRegion:
		return v1alpha1.FieldRegion, true
	case v1alpha1.RolloutByProvider:
		return v1alpha1.FieldProvider, true
	case v1alpha1.RolloutByContinent:
		return v1alpha1.FieldContinent, true
	}
	return "", false
}

// Steps are the clusters in the order in which they get a change. Each cluster is
// in exactly one; what a cluster does not have (a region that is not known) puts
// it last. The steps do not depend on the order of clusters.
func (r *Rollout) Steps(clusters []Cluster) []Step {
	members := map[place][]string{}
	for i := range clusters {
		at := r.placeOf(&clusters[i])
		members[at] = append(members[at], clusters[i].Name)
	}
	order := slices.SortedFunc(maps.Keys(members), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name))
	})
	var steps []Step
	for _, at := range order {
		slices.Sort(members[at])
		steps = append(steps, Step{Name: at.name, Clusters: members[at]})
	}
	return steps
}

// place is a step, and where it comes.
type place struct {
	rank int
	name string
}

func (r *Rollout) placeOf(c *Cluster) place {
	last := place{rank: max(len(r.order), len(r.groups)) + 1, name: "others"}
	if r.By == "" {
		if at, _ := placeIn(r.groups, c); at >= 0 {
			return place{at, r.groups[at].name}
		}
		return last
	}
	name := c.Name
	if field, ok := fieldOf(r.By); ok {
		values := c.field(field)
		if len(values) == 0 {
			return last
		}
		name = slices.Min(values)
	}
	if at := slices.Index(r.order, name); at >= 0 {
		return place{at, name}
	}
	return place{len(r.order), name}
}
