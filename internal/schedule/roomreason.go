package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// roomIn says why a cluster has no room for another replica, with what its nodes
// have free.
func (r *run) roomIn(m *member) string {
	text := "no room for " + r.request.String()
	if len(m.Domains) == 0 {
		return text
	}
	var most Resources
	known, closed := false, ""
	for i := range m.Domains {
		d := &m.Domains[i]
		if d.Closed != "" {
			closed = d.Closed
		}
		for n := range d.Nodes {
			known = true
			most.raise(&d.Nodes[n].Free)
		}
	}
	switch {
	case known:
		return fmt.Sprintf("%s; a node has at most %s free", text, most.asked(&r.request))
	case closed != "":
		return closed
	}
	return text
}

// raise makes r the greater of each.
func (r *Resources) raise(other *Resources) {
	r.MilliCPU, r.Memory, r.Pods = max(r.MilliCPU, other.MilliCPU), max(r.Memory, other.Memory), max(r.Pods, other.Pods)
	for name, n := range other.Extended {
		if r.Extended == nil {
			r.Extended = map[corev1.ResourceName]int64{}
		}
		r.Extended[name] = max(r.Extended[name], n)
	}
}

// asked is, for people, how much there is of what a request asks for.
func (r *Resources) asked(request *Resources) string {
	var parts []string
	if request.MilliCPU > 0 {
		parts = append(parts, "cpu "+resource.NewMilliQuantity(r.MilliCPU, resource.DecimalSI).String())
	}
	if request.Memory > 0 {
		parts = append(parts, "memory "+resource.NewQuantity(r.Memory>>20<<20, resource.BinarySI).String())
	}
	for _, name := range slices.Sorted(maps.Keys(request.Extended)) {
		if request.Extended[name] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", name, r.Extended[name]))
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%d places", r.Pods)
	}
	return strings.Join(parts, ", ")
}
