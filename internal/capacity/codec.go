package capacity

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// encodedView is a View as JSON, for recordings that only this program reads.
type encodedView struct {
	Domains       [][2]string              `json:"domains,omitempty"` // zone, region
	Nodes         []encodedNode            `json:"nodes,omitempty"`
	Running       []schedule.PodGroup      `json:"running,omitempty"`
	Repelling     []int                    `json:"repelling,omitempty"` // of running
	Waiting       []encodedPods            `json:"waiting,omitempty"`
	Count         map[string]int32         `json:"count,omitempty"`
	Unschedulable map[string]Unschedulable `json:"unschedulable,omitempty"`
	Volumes       map[string][]string      `json:"volumes,omitempty"`
	VolumesRead   bool                     `json:"volumesRead,omitempty"`
}

type encodedNode struct {
	Name         string                 `json:"name"`
	Labels       map[string]string      `json:"labels,omitempty"`
	Zone, Region string                 `json:",omitempty"`
	Taints       []corev1.Taint         `json:"taints,omitempty"`
	Closed       bool                   `json:"closed,omitempty"`
	Allocatable  schedule.Resources     `json:"allocatable"`
	Domain       int                    `json:"domain,omitempty"`
	Free         schedule.Resources     `json:"free"`
	Used         []schedule.Reclaimable `json:"used,omitempty"`
}

type encodedPods struct {
	Workload     string                   `json:"workload,omitempty"`
	Namespace    string                   `json:"namespace"`
	Labels       map[string]string        `json:"labels,omitempty"`
	AntiAffinity []corev1.PodAffinityTerm `json:"antiAffinity,omitempty"`
	Priority     int32                    `json:"priority,omitempty"`
	Request      schedule.Resources       `json:"request"`
	Domain       int                      `json:"domain,omitempty"`
	Count        int32                    `json:"count"`
}

// MarshalJSON encodes v; UnmarshalJSON makes of it a View that says the same.
func (v *View) MarshalJSON() ([]byte, error) {
	out := encodedView{Count: v.count, Unschedulable: v.unschedulable, VolumesRead: v.volumesRead, Running: v.running}
	for _, d := range v.domains {
		out.Domains = append(out.Domains, [2]string{d.zone, d.region})
	}
	for _, n := range v.nodes {
		out.Nodes = append(out.Nodes, encodedNode{
			Name: n.name, Labels: n.labels, Zone: n.zone, Region: n.region, Taints: n.taints, Closed: n.closed,
			Allocatable: n.allocatable, Domain: n.domain, Free: n.free, Used: n.used,
		})
	}
	for i := range v.running {
		if len(v.running[i].AntiAffinity) > 0 {
			out.Repelling = append(out.Repelling, i)
		}
	}
	for _, p := range v.waiting {
		out.Waiting = append(out.Waiting, encodedPods{
			Workload: p.workload, Namespace: p.namespace, Labels: p.labels, AntiAffinity: p.antiAffinity, Priority: p.priority,
			Request: p.request, Domain: p.domain, Count: p.count,
		})
	}
	if len(v.volumes) > 0 {
		out.Volumes = make(map[string][]string, len(v.volumes))
		for claim, zones := range v.volumes {
			out.Volumes[claim.String()] = zones
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *View) UnmarshalJSON(data []byte) error {
	var in encodedView
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("a recorded view of a cluster: %w", err)
	}
	*v = View{running: in.Running, count: in.Count, unschedulable: in.Unschedulable, volumesRead: in.VolumesRead}
	for _, d := range in.Domains {
		v.domains = append(v.domains, domain{d[0], d[1]})
	}
	for _, n := range in.Nodes {
		if n.Domain < 0 || n.Domain >= len(v.domains) {
			return fmt.Errorf("a recorded view of a cluster: node %s is in no domain", n.Name)
		}
		v.nodes = append(v.nodes, nodeView{
			node: &node{
				name: n.Name, labels: n.Labels, zone: n.Zone, region: n.Region, taints: n.Taints, closed: n.Closed, allocatable: n.Allocatable,
			},
			domain: n.Domain, free: n.Free, used: n.Used,
		})
	}
	for _, i := range in.Repelling {
		if i < 0 || i >= len(v.running) {
			return fmt.Errorf("a recorded view of a cluster: there are no pods %d", i)
		}
		v.repelling = append(v.repelling, v.running[i])
	}
	for _, p := range in.Waiting {
		s := &shape{
			workload: p.Workload, namespace: p.Namespace, labels: p.Labels, antiAffinity: p.AntiAffinity, priority: p.Priority, request: p.Request,
		}
		s.id = s.identity()
		v.waiting = append(v.waiting, pods{shape: s, domain: p.Domain, count: p.Count})
	}
	if len(in.Volumes) > 0 {
		v.volumes = make(map[types.NamespacedName][]string, len(in.Volumes))
		for claim, zones := range in.Volumes {
			v.volumes[parseClaim(claim)] = zones
		}
	}
	return nil
}

// parseClaim reads what NamespacedName.String wrote.
func parseClaim(s string) (claim types.NamespacedName) {
	for i := range s {
		if s[i] == types.Separator {
			return types.NamespacedName{Namespace: s[:i], Name: s[i+1:]}
		}
	}
	return types.NamespacedName{Name: s}
}
