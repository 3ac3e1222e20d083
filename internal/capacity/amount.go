package capacity

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/schedule"
)

func copyOf(r schedule.Resources) schedule.Resources {
	r.Extended = maps.Clone(r.Extended)
	return r
}

// subtract takes n times an amount off; with n below zero it adds. What asks
// for a resource that is not there leaves it below zero.
func subtract(from, amount *schedule.Resources, n int64) {
	from.MilliCPU -= n * amount.MilliCPU
	from.Memory -= n * amount.Memory
	from.Pods -= n * amount.Pods
	for name, q := range amount.Extended {
		if q == 0 {
			continue
		}
		if from.Extended == nil {
			from.Extended = map[corev1.ResourceName]int64{}
		}
		from.Extended[name] -= n * q
	}
}

// compare puts amounts in an order, the greater first.
func compare(a, b *schedule.Resources) int {
	if c := cmp.Or(cmp.Compare(b.MilliCPU, a.MilliCPU), cmp.Compare(b.Memory, a.Memory), cmp.Compare(b.Pods, a.Pods)); c != 0 {
		return c
	}
	if len(a.Extended) == 0 && len(b.Extended) == 0 {
		return 0
	}
	for _, name := range slices.Sorted(maps.Keys(union(a.Extended, b.Extended))) {
		if c := cmp.Compare(b.Extended[name], a.Extended[name]); c != 0 {
			return c
		}
	}
	return 0
}

func union(a, b map[corev1.ResourceName]int64) map[corev1.ResourceName]int64 {
	out := maps.Clone(a)
	if out == nil {
		return b
	}
	maps.Copy(out, b)
	return out
}

func sum(nodes []schedule.NodeGroup) *schedule.Resources {
	out := &schedule.Resources{}
	for i := range nodes {
		subtract(out, &nodes[i].Free, -int64(nodes[i].Count))
	}
	return out
}

func addReclaim(d *schedule.Domain, used []schedule.Reclaimable, below int32) {
	for i := range used {
		if used[i].Priority >= below {
			continue
		}
		at := slices.IndexFunc(d.Reclaim, func(r schedule.Reclaimable) bool { return r.Priority == used[i].Priority })
		if at < 0 {
			d.Reclaim = append(d.Reclaim, schedule.Reclaimable{Priority: used[i].Priority, Used: copyOf(used[i].Used)})
			continue
		}
		subtract(&d.Reclaim[at].Used, &used[i].Used, -1)
	}
}
