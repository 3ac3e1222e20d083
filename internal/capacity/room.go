package capacity

import (
	"maps"
	"math/bits"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// maxGroups is how many sizes of nodes a domain is described by at most. Where
// there are more, what is free is rounded down to its first digits.
const maxGroups = 64

// matchless is what a domain is closed by.
const matchless = "no node that is ready matches its nodeSelector, affinity and tolerations"

// Room is the parts of the cluster, which has these labels, with what they have
// free for pods of a profile. What waits for a node there is taken off.
func (v *View) Room(p *Profile, cluster map[string]string) []schedule.Domain {
	places := v.places(cluster)
	out := make([]schedule.Domain, len(v.domains))
	for i := range out {
		out[i] = schedule.Domain{Labels: v.labelsOf(i, places), Closed: matchless}
	}
	for i := range v.nodes {
		n := &v.nodes[i]
		if !p.fits(n.node, places) {
			continue
		}
		d := &out[n.domain]
		d.Closed = ""
		d.Nodes = append(d.Nodes, schedule.NodeGroup{Count: 1, Free: n.free})
		addReclaim(d, n.used, p.priority)
	}
	for i := range out {
		out[i].Nodes = alike(out[i].Nodes)
		out[i].Free = sum(out[i].Nodes)
	}
	for i := range v.waiting {
		out, _ = Take(out, &v.waiting[i].request, v.waiting[i].count)
	}
	return out
}

// labelsOf is what a domain has beside its cluster's labels, which go before
// what all its nodes say: a person may have corrected it there.
func (v *View) labelsOf(i int, places map[string]string) map[string]string {
	d := v.domains[i]
	out := map[string]string{}
	if d.zone != "" && places[corev1.LabelTopologyZone] == "" {
		out[corev1.LabelTopologyZone] = d.zone
	}
	if d.region != "" && places[corev1.LabelTopologyRegion] == "" {
		out[corev1.LabelTopologyRegion] = d.region
	}
	return out
}

// places is the cluster's labels without the zone or region that only some of
// its nodes are in.
func (v *View) places(cluster map[string]string) map[string]string {
	several := func(of func(domain) string) bool {
		return slices.ContainsFunc(v.domains, func(d domain) bool { return of(d) != of(v.domains[0]) })
	}
	zones, regions := several(func(d domain) string { return d.zone }), several(func(d domain) string { return d.region })
	if !zones && !regions {
		return cluster
	}
	out := maps.Clone(cluster)
	if zones {
		delete(out, corev1.LabelTopologyZone)
	}
	if regions {
		delete(out, corev1.LabelTopologyRegion)
	}
	return out
}

// alike puts nodes with the same free together, in an order that depends on
// nothing but what is free.
func alike(nodes []schedule.NodeGroup) []schedule.NodeGroup {
	out := grouped(nodes)
	if len(out) <= maxGroups {
		return out
	}
	for i := range out {
		free := &out[i].Free
		free.MilliCPU, free.Memory, free.Pods = firstDigits(free.MilliCPU), firstDigits(free.Memory), firstDigits(free.Pods)
	}
	return grouped(out)
}

func grouped(nodes []schedule.NodeGroup) []schedule.NodeGroup {
	slices.SortFunc(nodes, func(a, b schedule.NodeGroup) int { return compare(&a.Free, &b.Free) })
	var out []schedule.NodeGroup
	for _, n := range nodes {
		if last := len(out) - 1; last >= 0 && compare(&out[last].Free, &n.Free) == 0 {
			out[last].Count += n.Count
			continue
		}
		out = append(out, n)
	}
	return out
}

// firstDigits rounds down to three binary digits.
func firstDigits(n int64) int64 {
	if n <= 0 {
		return n
	}
	drop := max(0, bits.Len64(uint64(n))-3)
	return n >> drop << drop
}
