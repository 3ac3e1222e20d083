package question

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// plannedLosses bounds how many decisions about workloads that are at the hub a plan makes, to say what would not survive the loss
// of a cluster.
const plannedLosses = 20_000

// lose says of the workloads that were planned what would not survive the loss of a cluster in which they would run, all of
// them being there as planned, and what else runs there failing over, too.
func (p *Planner) lose(ctx context.Context, objects []*unstructured.Unstructured, planned []Planned) error {
	f := p.as.Copy()
	at, instead := map[template.Key]int{}, map[template.Key]*decide.Assignment{}
	clusters := map[string]bool{}
	for i, obj := range objects {
		if planned[i].Stays != "" || !planned[i].Decision.Divided {
			continue
		}
		a := p.planned(obj, &planned[i])
		if !mayBeLost(a) || a.StaysPut() || f.FailoverAfter(a.Policy) <= 0 {
			continue
		}
		at[a.Key], instead[a.Key] = i, a
		f.Grant(a)
		for _, s := range a.Decision.Shares {
			clusters[s.Cluster] = clusters[s.Cluster] || s.Replicas > 0
		}
	}
	l, decisions := losing(f, instead), 0
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		if decisions += len(l.in[name]); !clusters[name] || decisions > plannedLosses {
			continue
		}
		all, err := l.Of(ctx, name)
		if err != nil {
			return err
		}
		for i := range all {
			if where, ours := at[all[i].Before.Key]; ours && all[i].Lost() > 0 {
				planned[where].WouldNotSurvive = append(planned[where].WouldNotSurvive, fmt.Sprintf("the loss of %s: %s", name, all[i].Said()))
			}
		}
	}
	return nil
}

// planned is a workload as if it were at the hub, divided as planned.
func (p *Planner) planned(obj *unstructured.Unstructured, as *Planned) *decide.Assignment {
	key := keyOf(obj)
	t, _ := template.Read(key.GR, obj.DeepCopy(), nil, nil)
	t.GVK = obj.GroupVersionKind()
	t.Recorded = as.Decision.Division()
	return p.as.As(t, as.Decision)
}
