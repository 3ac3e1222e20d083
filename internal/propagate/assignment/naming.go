package assignment

import (
	"maps"
	"slices"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/propagate/needed"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Naming is what an object names in the clusters where it is to run now or in the end, or is to be, with the overrides and the pod templates that are for them.
func Naming(a *Assignment) (groups []needed.Group) {
	if a == nil {
		return nil
	}
	alike := map[string][]string{} // clusters by what is special about them
	clusters := slices.AppendSeq(slices.Collect(maps.Keys(a.Shares)), maps.Keys(a.Now))
	slices.Sort(clusters)
	for _, name := range slices.Compact(clusters) {
		if a.Division == kinds.Everywhere || a.Shares[name].Replicas > 0 || a.Now[name] > 0 {
			special := a.Shapes[name].ID
			if turn := a.Turns[name]; turn.Template != nil {
				special += " " + turn.Revision
			}
			alike[special] = append(alike[special], name)
		}
	}
	for _, special := range slices.Sorted(maps.Keys(alike)) {
		names := a.Names
		if special != "" {
			names = namedIn(a, alike[special][0])
		}
		if len(names) > 0 {
			groups = append(groups, needed.Group{Names: names, Clusters: alike[special]})
		}
	}
	return groups
}

// namedIn is what an object names that a policy changes for a cluster, or that has another pod template there. Where it cannot be
// changed so, it is not written there.
func namedIn(a *Assignment, cluster string) (names []template.Key) {
	object := a.Content.Object
	if pods := a.Turns[cluster].Template; pods != nil {
		if spec, ok := object["spec"].(map[string]any); ok {
			object = template.With(object, "spec", template.With(spec, "template", pods))
		}
	}
	err := guard.Run(func() error {
		changed, _, err := override.Apply(object, a.Shapes[cluster].Overrides)
		if err == nil {
			object = changed
		}
		return err
	})
	if err != nil {
		return a.Names
	}
	return template.NamesOf(a.Key.GR, object)
}
