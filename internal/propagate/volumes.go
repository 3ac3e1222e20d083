package propagate

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// volumeZones is the zones that the claims of t are bound to in members, or nil if nothing
// binds it: what is in a volume is in no other cluster. Where replicas are already, they
// stay, also if their claim is not bound so far. s.mu is held.
func (s *surroundings) volumeZones(t *template, current map[string]int32) (zones []string) {
	for _, name := range t.demand.claims {
		bound, anywhere := s.boundZones(types.NamespacedName{Namespace: t.key.Namespace, Name: name})
		if anywhere {
			continue
		}
		if zones == nil {
			zones = bound
			continue
		}
		common := slices.DeleteFunc(slices.Clone(zones), func(zone string) bool { return !slices.Contains(bound, zone) })
		if len(common) > 0 { // else it runs nowhere, and the member says so
			zones = common
		}
	}
	if zones == nil {
		return nil
	}
	for cluster, n := range current {
		view := s.views[cluster]
		if n <= 0 || view == nil {
			continue
		}
		own := view.Zones()
		if len(own) == 0 {
			return nil // it could not be told from the others
		}
		zones = append(zones, own...)
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

// boundZones is where a claim is bound, over all members. anywhere: nowhere so far, or to a
// volume that every zone reaches.
func (s *surroundings) boundZones(claim types.NamespacedName) (zones []string, anywhere bool) {
	for _, view := range s.views {
		in, bound := view.Volume(claim)
		if bound && len(in) == 0 {
			return nil, true
		}
		zones = append(zones, in...)
	}
	return zones, len(zones) == 0
}

// useVolumes adds to w what its claims say. s.mu is held.
func (s *surroundings) useVolumes(t *template, w *schedule.Workload) {
	if t.demand == nil || len(t.demand.claims) == 0 {
		return
	}
	w.VolumeZones = s.volumeZones(t, w.Current)
}
