// Package aggregate merges the statuses that an object has in the members into
// the one status that a single cluster would show, so that kubectl rollout
// status, kubectl wait and helm --wait, asked at the hub, end when all placed
// clusters are done, and not before.
//
// It is pure: nothing is read, written, or taken from the clock. The result
// shares no memory with the arguments, consists of what encoding/json decodes
// into (with int64 for whole numbers), depends neither on the order of the
// members nor on that of any map, and is a fixed point: with the result as the
// hub's status, the same members give the same result.
package aggregate

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// MemberStatus is the object as it is in one cluster where it is placed.
type MemberStatus struct {
	Cluster string
	// Replicas is the cluster's share; nil where the kind is not divided.
	Replicas *int32
	// Generation and ObservedGeneration are those of the member's object.
	Generation, ObservedGeneration int64
	// Synced is that the member's spec is what the hub wants now.
	Synced bool
	// Reachable is that the cluster answers; if not, the rest is as last seen.
	Reachable bool
	// Lost is that it has not answered for so long that what was made of it is not
	// counted on any more: see heard.
	Lost bool
	// Spec and Status are the member's, nil where there is none (yet).
	Spec, Status map[string]any
}

// Status merges what the members say into a status for the hub's object, of
// which hub is the whole content. Nil means that the hub's status is to be left
// alone. Members that have no status yet count as zero.
func Status(gk schema.GroupKind, hub map[string]any, members []MemberStatus) map[string]any {
	if ownedByHub(gk) {
		return nil
	}
	m := newMerger(hub, heard(gk, members))
	switch gk {
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}:
		return m.deployment()
	case schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}, schema.GroupKind{Kind: "ReplicationController"}:
		return m.replicaSet()
	case schema.GroupKind{Group: "apps", Kind: "StatefulSet"}:
		return m.statefulSet()
	case schema.GroupKind{Group: "apps", Kind: "DaemonSet"}:
		return m.daemonSet()
	case schema.GroupKind{Group: "batch", Kind: "Job"}:
		return m.job()
	case schema.GroupKind{Group: "batch", Kind: "CronJob"}:
		return m.cronJob()
	case schema.GroupKind{Kind: "Service"}:
		return m.service()
	case schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}:
		return m.ingress()
	case schema.GroupKind{Kind: "ResourceQuota"}:
		return m.quota()
	case schema.GroupKind{Kind: "PersistentVolumeClaim"}:
		return m.claim()
	case schema.GroupKind{Group: "policy", Kind: "PodDisruptionBudget"}:
		return m.disruptionBudget()
	case schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:
		return m.autoscaler()
	case schema.GroupKind{Kind: "Pod"}:
		return m.pod()
	default:
		return m.generic()
	}
}

// ownedByHub is true for kinds whose status the hub's own controllers write,
// and which would mean something else when read as the members'.
func ownedByHub(gk schema.GroupKind) bool {
	switch gk.Group {
	case "":
		return gk.Kind == "Namespace" || gk.Kind == "Node"
	case "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io",
		"certificates.k8s.io", "flowcontrol.apiserver.k8s.io", "hanse.dev":
		return true
	default:
		return false
	}
}

// merger is one call of Status.
type merger struct {
	hub, spec, prev map[string]any // the hub's object, its spec and its status as it is now
	members         []MemberStatus // by name of the cluster
	quorum          int            // how many members have to agree: all
	generation      int64          // the hub's
	synced          bool           // every member has the hub's current spec; true of none
	observed        bool           // and its controllers have seen it; false of none
}

func newMerger(hub map[string]any, members []MemberStatus) *merger {
	m := &merger{
		hub: hub, spec: object(hub, "spec"), prev: object(hub, "status"),
		members:    slices.SortedStableFunc(slices.Values(members), func(a, b MemberStatus) int { return cmp.Compare(a.Cluster, b.Cluster) }),
		quorum:     len(members),
		generation: number(object(hub, "metadata"), "generation"),
		synced:     true,
		observed:   len(members) > 0,
	}
	for _, s := range members {
		m.synced = m.synced && s.Synced
		m.observed = m.observed && s.Synced && s.ObservedGeneration >= s.Generation
	}
	return m
}

// observedGeneration is the hub's generation once every placed cluster has
// observed it, and what it was before until then.
func (m *merger) observedGeneration() int64 {
	if m.observed {
		return m.generation
	}
	return min(m.generation, number(m.prev, "observedGeneration"))
}

func (m *merger) setObservedGeneration(out map[string]any) {
	if g := m.observedGeneration(); g > 0 {
		out["observedGeneration"] = g
	}
}

// reported is true when any member has a status.
func (m *merger) reported() bool {
	return slices.ContainsFunc(m.members, func(s MemberStatus) bool { return len(s.Status) > 0 })
}

// says is true when any member's status has the field.
func (m *merger) says(field string) bool {
	return slices.ContainsFunc(m.members, func(s MemberStatus) bool { _, ok := s.Status[field]; return ok })
}

// sum sets each field to the sum of the members', where any has it.
func (m *merger) sum(out map[string]any, fields ...string) {
	for _, f := range fields {
		var sum int64
		for _, s := range m.members {
			sum += number(s.Status, f)
		}
		if m.says(f) {
			out[f] = sum
		}
	}
}

// highest is the greatest of the members' and the hub's own numbers: for what
// must never be decremented. It is left out where nobody has it.
func (m *merger) highest(out map[string]any, field string) {
	highest := number(m.prev, field)
	for _, s := range m.members {
		highest = max(highest, number(s.Status, field))
	}
	if m.says(field) || m.prev[field] != nil {
		out[field] = highest
	}
}

// latest sets a field to the latest of the members' times.
func (m *merger) latest(out map[string]any, field string) {
	var times []any
	for _, s := range m.members {
		times = append(times, s.Status[field])
	}
	if t := latestTime(times); t != "" {
		out[field] = t
	}
}

// setConditions sets the merged conditions, if there are any.
func (m *merger) setConditions(out map[string]any, rules map[string]rule) {
	var lists []value
	for i, s := range m.members {
		if l, ok := s.Status["conditions"].([]any); ok {
			lists = append(lists, value{i, l})
		}
	}
	if merged := m.conditions(m.prev["conditions"], lists, rules); len(merged) > 0 {
		out["conditions"] = merged
	}
}
