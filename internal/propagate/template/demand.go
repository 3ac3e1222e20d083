package template

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// Demand is what a workload's pods ask of what members have free, and of what else runs
// there. Most workloads of a small federation ask for nothing: for them nothing is
// watched, and a decision costs no more.
type Demand struct {
	Template *corev1.PodTemplateSpec // what constraintsOf reads, and what Room and Pods are about
	Request  schedule.Resources      // of one pod
	Room     bool                    // they ask for resources
	Pods     bool                    // pods of others may draw or repel them
	Claims   []string                // PersistentVolumeClaims that all of them use
}

// demandOf reads a pod template; nil if it asks for nothing of the kind.
func demandOf(content map[string]any) *Demand {
	spec := podSpec(content)
	if spec == nil {
		return nil
	}
	d := &Demand{Pods: hasKeyAbove(podAffinities(spec)) || hasKeyAbove(spec["topologySpreadConstraints"])}
	d.Claims = claimsOf(spec)
	if !d.Pods && len(d.Claims) == 0 && !asksForResources(spec) {
		return nil
	}
	d.Template = readTemplate(content, withResources(spec), "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints",
		"containers", "initContainers", "resources", "overhead", "priorityClassName", "priority", "preemptionPolicy")
	if d.Template == nil {
		return nil
	}
	fillRequests(d.Template.Spec.Containers)
	fillRequests(d.Template.Spec.InitContainers)
	d.Request = schedule.RequestOf(d.Template)
	d.Room = d.Request.MilliCPU > 0 || d.Request.Memory > 0 || len(d.Request.Extended) > 0
	if !d.Room && !d.Pods && len(d.Claims) == 0 {
		return nil
	}
	return d
}

// claimsOf is the claims that a pod spec names. Those that a StatefulSet makes for each of
// its pods bind where the pod is.
func claimsOf(spec map[string]any) (claims []string) {
	volumes, _ := spec["volumes"].([]any)
	for _, v := range volumes {
		m, _ := v.(map[string]any)
		if name, found, _ := unstructured.NestedString(m, "persistentVolumeClaim", "claimName"); found {
			claims = append(claims, name)
		}
	}
	return claims
}

func podAffinities(spec map[string]any) []any {
	affinity, _ := spec["affinity"].(map[string]any)
	return []any{affinity["podAffinity"], affinity["podAntiAffinity"]}
}

// asksForResources says whether any field may hold a request. It is quick, because
// every template is asked.
func asksForResources(spec map[string]any) bool {
	if resources, _ := spec["resources"].(map[string]any); len(resources) > 0 {
		return true
	}
	if overhead, _ := spec["overhead"].(map[string]any); len(overhead) > 0 {
		return true
	}
	for _, field := range []string{"containers", "initContainers"} {
		containers, _ := spec[field].([]any)
		for _, c := range containers {
			container, _ := c.(map[string]any)
			if resources, _ := container["resources"].(map[string]any); len(resources) > 0 {
				return true
			}
		}
	}
	return false
}

// withResources is spec with all of its containers left out but what they ask for.
func withResources(spec map[string]any) map[string]any {
	out := spec
	for _, field := range []string{"containers", "initContainers"} {
		containers, _ := spec[field].([]any)
		slim := make([]any, 0, len(containers))
		for _, c := range containers {
			container, _ := c.(map[string]any)
			kept := map[string]any{}
			for _, key := range []string{"name", "resources", "restartPolicy"} {
				if value, ok := container[key]; ok {
					kept[key] = value
				}
			}
			slim = append(slim, kept)
		}
		out = With(out, field, slim)
	}
	return out
}

// fillRequests asks for what is limited and not asked for, as the API server does for
// pods, but not for templates.
func fillRequests(containers []corev1.Container) {
	for i := range containers {
		r := &containers[i].Resources
		for name, limit := range r.Limits {
			if _, asked := r.Requests[name]; asked {
				continue
			}
			if r.Requests == nil {
				r.Requests = corev1.ResourceList{}
			}
			r.Requests[name] = limit
		}
	}
}

// Under is what t asks for under a policy: one that divides by what is free looks at places
// for pods where nothing else is asked for.
func (t *Template) Under(p *schedule.Policy) *Demand {
	if p == nil || p.Strategy != schedule.FreeCapacity && p.Strategy != schedule.Pack || t.Demand != nil && t.Demand.Room {
		return t.Demand
	}
	d := &Demand{Room: true, Template: t.Constraints}
	if t.Demand != nil {
		d.Template, d.Pods, d.Claims = t.Demand.Template, t.Demand.Pods, t.Demand.Claims
	}
	if d.Template == nil {
		d.Template = &corev1.PodTemplateSpec{}
	}
	d.Request = schedule.RequestOf(d.Template)
	return d
}
