package aggregate

import (
	"math"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Ready is how much of the object is ready in one member, and of how much: pods
// of a workload, completions of a Job, else one for the object itself. It is
// not ok for kinds that have no notion of being ready. ready may exceed want
// while a workload is scaled down.
func Ready(gk schema.GroupKind, m MemberStatus) (ready, want int32, ok bool) {
	if m.Lost {
		m = m.dead(gk)
	}
	r, w, ok := m.ready(gk)
	return int32(min(r, math.MaxInt32)), int32(min(w, math.MaxInt32)), ok
}

func (s MemberStatus) ready(gk schema.GroupKind) (ready, want int64, ok bool) {
	switch gk {
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}, schema.GroupKind{Group: "apps", Kind: "ReplicaSet"},
		schema.GroupKind{Group: "apps", Kind: "StatefulSet"}, schema.GroupKind{Kind: "ReplicationController"}:
		return number(s.Status, "readyReplicas"), s.wanted(), true
	case schema.GroupKind{Group: "apps", Kind: "DaemonSet"}:
		return number(s.Status, "numberReady"), number(s.Status, "desiredNumberScheduled"), true
	case schema.GroupKind{Group: "batch", Kind: "Job"}:
		return s.jobReady()
	case schema.GroupKind{Kind: "Pod"}:
		return one(text(s.Status, "phase") == "Succeeded" || s.conditionTrue("Ready"))
	case schema.GroupKind{Kind: "PersistentVolumeClaim"}:
		return one(text(s.Status, "phase") == "Bound")
	case schema.GroupKind{Kind: "Service"}:
		if text(s.Spec, "type") != "LoadBalancer" {
			return 0, 0, false
		}
		return one(len(ingresses(s.Status)) > 0)
	default:
		return s.genericReady(gk)
	}
}

func one(ready bool) (int64, int64, bool) {
	if ready {
		return 1, 1, true
	}
	return 0, 1, true
}

func (s MemberStatus) conditionTrue(conditionType string) bool {
	return isTrue(index(s.Status["conditions"])[conditionType])
}

// jobReady is completions; a Job without a number of them counts as one. What
// is not there yet wants its share.
func (s MemberStatus) jobReady() (ready, want int64, ok bool) {
	if s.Spec == nil && s.Replicas != nil {
		return 0, max(0, int64(*s.Replicas)), true
	}
	if s.Spec["completions"] == nil {
		return one(s.conditionTrue(jobComplete))
	}
	return number(s.Status, "succeeded"), number(s.Spec, "completions"), true
}

// genericReady goes by what custom resources usually have: replicas, or a
// condition that says Ready or Available.
func (s MemberStatus) genericReady(gk schema.GroupKind) (ready, want int64, ok bool) {
	if ownedByHub(gk) {
		return 0, 0, false
	}
	if s.Spec["replicas"] != nil && s.Status["readyReplicas"] != nil {
		return number(s.Status, "readyReplicas"), s.wanted(), true
	}
	conditions := index(s.Status["conditions"])
	for _, t := range []string{"Ready", "Available"} {
		if conditions[t] != nil {
			return one(isTrue(conditions[t]))
		}
	}
	return 0, 0, false
}
