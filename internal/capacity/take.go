package capacity

import (
	"maps"
	"slices"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// Take takes n pods with a request off what domains have free: where most of
// them would fit, as the members' schedulers do by default. It returns what is
// left then, in memory of its own as far as it differs, and for how many there
// was no place.
func Take(domains []schedule.Domain, request *schedule.Resources, n int32) (_ []schedule.Domain, left int32) {
	if n <= 0 {
		return domains, 0
	}
	domains = slices.Clone(domains)
	owned := make([]bool, len(domains))
	for n > 0 {
		d, g := emptiest(domains, request)
		if d < 0 {
			break
		}
		if !owned[d] {
			domains[d].Nodes = slices.Clone(domains[d].Nodes)
			owned[d] = true
		}
		n -= takeFrom(&domains[d], g, request, n)
	}
	for d := range domains {
		if owned[d] {
			domains[d].Nodes = alike(domains[d].Nodes)
			domains[d].Free = sum(domains[d].Nodes)
		}
	}
	return domains, n
}

// emptiest is the group of nodes that most pods fit into; -1: none fits.
func emptiest(domains []schedule.Domain, request *schedule.Resources) (domain, group int) {
	domain = -1
	var most int64
	for d := range domains {
		for g := range domains[d].Nodes {
			if k := request.Fit(&domains[d].Nodes[g].Free); k > most {
				domain, group, most = d, g, k
			}
		}
	}
	return domain, group
}

// takeFrom puts one pod on each of at most n nodes of a group.
func takeFrom(d *schedule.Domain, g int, request *schedule.Resources, n int32) int32 {
	k := min(n, d.Nodes[g].Count)
	less := schedule.NodeGroup{Count: k, Free: d.Nodes[g].Free}
	less.Free.Extended = maps.Clone(less.Free.Extended)
	subtract(&less.Free, request, 1)
	if k == d.Nodes[g].Count {
		d.Nodes[g] = less
		return k
	}
	d.Nodes[g].Count -= k
	d.Nodes = append(d.Nodes, less)
	return k
}
