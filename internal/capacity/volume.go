package capacity

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// volume is what is kept of a PersistentVolume that is bound.
type volume struct {
	claim types.NamespacedName
	zones []string // that it can be reached from; empty: any
}

// readVolume is what matters of a volume; bound is false for one without a claim.
func readVolume(v *corev1.PersistentVolume) (_ volume, bound bool) {
	if v.Spec.ClaimRef == nil || v.Status.Phase != corev1.VolumeBound {
		return volume{}, false
	}
	return volume{claim: types.NamespacedName{Namespace: v.Spec.ClaimRef.Namespace, Name: v.Spec.ClaimRef.Name}, zones: zonesOf(v)}, true
}

// zonesOf is the zones that a volume's node affinity names; where it has none, that of its
// label, by which zones were said before there was an affinity.
func zonesOf(v *corev1.PersistentVolume) []string {
	var zones []string
	if v.Spec.NodeAffinity != nil && v.Spec.NodeAffinity.Required != nil {
		for _, term := range v.Spec.NodeAffinity.Required.NodeSelectorTerms {
			inTerm := zonesIn(term)
			if len(inTerm) == 0 {
				return nil // by this term it is reached from any zone
			}
			zones = append(zones, inTerm...)
		}
	}
	if len(zones) == 0 {
		for _, key := range zoneKeys() {
			if zone := v.Labels[key]; zone != "" {
				return []string{zone}
			}
		}
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

func zonesIn(term corev1.NodeSelectorTerm) (zones []string) {
	for _, e := range term.MatchExpressions {
		if e.Operator == corev1.NodeSelectorOpIn && slices.Contains(zoneKeys(), e.Key) {
			zones = append(zones, e.Values...)
		}
	}
	return zones
}

// zoneKeys are the labels that say zones; those of the clouds' CSI drivers too, which
// write no other.
func zoneKeys() []string {
	return []string{corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone,
		"topology.ebs.csi.aws.com/zone", "topology.disk.csi.azure.com/zone", "topology.gke.io/zone"}
}

func (s *state) setVolume(name string, v volume, bound bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, there := s.volumes[name]
	switch {
	case !bound && !there, bound && there && before.claim == v.claim && slices.Equal(before.zones, v.zones):
		return false
	case bound:
		s.volumes[name] = v
	default:
		delete(s.volumes, name)
	}
	s.view = nil
	return true
}

func (s *state) replaceVolumes(all map[string]volume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volumes, s.volumesRead, s.view = all, true, nil
}

// Volume is the zones that a claim's volume can be reached from in the cluster, empty for
// any. bound is false where the claim has none yet.
func (v *View) Volume(claim types.NamespacedName) (zones []string, bound bool) {
	zones, bound = v.volumes[claim]
	return zones, bound
}

// Volumes says whether the cluster's volumes have been read: see Watcher.WantVolumes.
func (v *View) Volumes() bool { return v.volumesRead }

// Zones are those of the cluster's nodes.
func (v *View) Zones() []string {
	var out []string
	for _, d := range v.domains {
		if d.zone != "" {
			out = append(out, d.zone)
		}
	}
	return out
}
