package room

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// VolumeZones is the zones that claims are bound to in members, or nil if nothing binds them: what is in a volume is in no other
// cluster. Where replicas are already, they stay, also if their claim is not bound yet: current is how they are divided.
func (r *Room) VolumeZones(namespace string, claims []string, current map[string]int32) (zones []string) {
	for _, name := range claims {
		bound, anywhere := r.boundZones(types.NamespacedName{Namespace: namespace, Name: name})
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
	for name, n := range current {
		view := r.views[name]
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

// boundZones is where a claim is bound, over all members. anywhere: nowhere yet, or to a volume that every zone reaches.
func (r *Room) boundZones(claim types.NamespacedName) (zones []string, anywhere bool) {
	for _, view := range r.views {
		in, bound := view.Volume(claim)
		if bound && len(in) == 0 {
			return nil, true
		}
		zones = append(zones, in...)
	}
	return zones, len(zones) == 0
}
