package nodes

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// podsPerNode is the usual limit of all three clouds (EKS with prefix delegation).
const podsPerNode = 110

const (
	mebibyte = int64(1) << 20
	gibibyte = int64(1) << 30
	// evictionHard is the memory below which a kubelet evicts pods: the default that all three clouds keep.
	evictionHard = 100 * mebibyte
)

// size is what a machine has. Memory is in bytes.
type size struct{ milliCPU, memory int64 }

// machine is a type of machine that a cloud sells.
type machine struct {
	name string
	size size
}

// machineFor names the smallest machine that has the size, or the largest that there is.
func (c cloud) machineFor(want size) string {
	for _, m := range c.machines {
		if m.size.milliCPU >= want.milliCPU && m.size.memory >= want.memory {
			return m.name
		}
	}
	return c.machines[len(c.machines)-1].name
}

// allocatable is the capacity without what the cloud keeps for the kubelet and the system: never more than half, so
// that even a tiny node takes pods.
func (s size) allocatable(c cloud) corev1.ResourceList {
	reserved := c.reserved(s)
	return size{
		milliCPU: s.milliCPU - min(reserved.milliCPU, s.milliCPU/2),
		memory:   (s.memory - min(reserved.memory+evictionHard, s.memory/2)) &^ (mebibyte - 1),
	}.resources(c)
}

func (s size) resources(c cloud) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewMilliQuantity(s.milliCPU, resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(s.memory, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(podsPerNode, resource.DecimalSI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(c.disk, resource.BinarySI),
		"hugepages-1Gi":                 resource.MustParse("0"),
		"hugepages-2Mi":                 resource.MustParse("0"),
	}
}

// step is one bracket of a progressive rate, like a tax: of the next upTo units, per thousand.
type step struct{ upTo, perMille int64 }

func progressive(amount int64, steps []step) int64 {
	var sum int64
	for _, s := range steps {
		part := min(amount, s.upTo)
		sum += part * s.perMille / 1000
		amount -= part
	}
	return sum
}

// reservedCPU is GKE's formula, which EKS took over: 6 % of the first core, 1 % of the second, 0.5 % of the next two,
// 0.25 % of the rest. Steps are in tenths of a millicore to keep the fractions.
func reservedCPU(milli int64) int64 {
	return progressive(milli*10, []step{{10_000, 60}, {10_000, 10}, {20_000, 5}})/10 +
		max(milli-4000, 0)/400
}
