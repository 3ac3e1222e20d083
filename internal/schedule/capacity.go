package schedule

import (
	"fmt"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helpers "k8s.io/component-helpers/resource"
)

// Resources is an amount of what pods ask for. In what is free, a resource
// that Extended does not name is not there.
type Resources struct {
	MilliCPU int64
	Memory   int64 // bytes
	Pods     int64
	Extended map[corev1.ResourceName]int64
}

// NewResources reads a list as the API has it, a node's or a pod's.
func NewResources(list corev1.ResourceList) Resources {
	var r Resources
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.MilliCPU = q.MilliValue()
		case corev1.ResourceMemory:
			r.Memory = q.Value()
		case corev1.ResourcePods:
			r.Pods = q.Value()
		default:
			if r.Extended == nil {
				r.Extended = map[corev1.ResourceName]int64{}
			}
			r.Extended[name] = q.Value()
		}
	}
	return r
}

// unlimited is a room that nothing is known of.
const unlimited = math.MaxInt32

// Fit is how many pods of that request go into free, a billion or two at most.
func (request *Resources) Fit(free *Resources) int64 {
	n := min(unlimited, max(0, free.Pods))
	n = fitInto(n, request.MilliCPU, free.MilliCPU)
	n = fitInto(n, request.Memory, free.Memory)
	if len(request.Extended) > 0 { // going over a map that is nil is not free either
		for name, asked := range request.Extended {
			n = fitInto(n, asked, free.Extended[name])
		}
	}
	return n
}

// fitInto is n, or less where there is less of one resource.
func fitInto(n, asked, free int64) int64 {
	if asked <= 0 {
		return n
	}
	return min(n, max(0, free)/asked)
}

func (request *Resources) fitDomain(d *Domain) int64 {
	if len(d.Nodes) == 0 {
		if d.Free == nil {
			return unlimited
		}
		return request.Fit(d.Free)
	}
	var n int64
	for i := range d.Nodes {
		n += int64(max(0, d.Nodes[i].Count)) * request.Fit(&d.Nodes[i].Free)
	}
	return min(unlimited, n)
}

// fitPreempting is how many would fit if pods of lower priority made room. It
// is an estimate: which pods share a node is the member's to know.
func (request *Resources) fitPreempting(d *Domain, priority int32) int64 {
	plain := request.fitDomain(d)
	if d.Free == nil || plain == unlimited {
		return plain
	}
	free, more := *d.Free, false
	free.Extended = make(map[corev1.ResourceName]int64, len(d.Free.Extended))
	for name, n := range d.Free.Extended {
		free.Extended[name] = n
	}
	for _, r := range d.Reclaim {
		if r.Priority >= priority {
			continue
		}
		more = true
		free.MilliCPU += r.Used.MilliCPU
		free.Memory += r.Used.Memory
		free.Pods += r.Used.Pods
		for name, n := range r.Used.Extended {
			free.Extended[name] += n
		}
	}
	if !more {
		return plain
	}
	return max(plain, request.Fit(&free))
}

// RequestOf is what one pod of a template asks for.
func RequestOf(template *corev1.PodTemplateSpec) Resources {
	spec := &template.Spec
	var r Resources
	if len(spec.Containers) == 1 && len(spec.InitContainers) == 0 && spec.Overhead == nil && spec.Resources == nil {
		r = NewResources(spec.Containers[0].Resources.Requests) // as below, without a copy of the pod
	} else {
		r = NewResources(helpers.PodRequests(&corev1.Pod{Spec: *spec}, helpers.PodResourcesOptions{}))
	}
	r.Pods = 1
	return r
}

// String is for people: cpu 500m, memory 1Gi.
func (request *Resources) String() string {
	var parts []string
	if request.MilliCPU > 0 {
		parts = append(parts, "cpu "+resource.NewMilliQuantity(request.MilliCPU, resource.DecimalSI).String())
	}
	if request.Memory > 0 {
		parts = append(parts, "memory "+resource.NewQuantity(request.Memory, resource.BinarySI).String())
	}
	names := make([]string, 0, len(request.Extended))
	for name, n := range request.Extended {
		if n > 0 {
			names = append(names, fmt.Sprintf("%s %d", name, n))
		}
	}
	slices.Sort(names)
	parts = append(parts, names...)
	if len(parts) == 0 {
		return "a pod without requests"
	}
	return strings.Join(parts, ", ")
}

// price is what one pod costs in a cluster: one CPU and one GiB where the pod
// does not say what it needs.
func (request *Resources) price(p Price) float64 {
	if request.MilliCPU == 0 && request.Memory == 0 {
		return p.CPU + p.GiB
	}
	return p.CPU*float64(request.MilliCPU)/1000 + p.GiB*float64(request.Memory)/(1<<30)
}
