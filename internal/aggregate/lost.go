package aggregate

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Reasons of conditions that a cluster which does not answer decides.
const (
	reasonLost = "ClusterLost"
	reasonAway = "ClusterAway"
)

// heard is the members as far as what they said last is still to be told. A cluster that
// is lost counts as Kubernetes counts nodes that are: its pods are not ready, and those
// that failed over are gone. What is in every cluster is done when it is
// in those that there are: the dead have no nodes to run it, and no addresses. Of one
// that is merely away nobody knows; its numbers stay, and its conditions are Unknown.
func heard(gk schema.GroupKind, members []MemberStatus) []MemberStatus {
	if !slices.ContainsFunc(members, func(s MemberStatus) bool { return s.Lost || !s.Reachable }) {
		return members
	}
	alive := slices.ContainsFunc(members, func(s MemberStatus) bool { return !s.Lost })
	out := make([]MemberStatus, 0, len(members))
	for _, s := range members {
		switch {
		case s.Lost && s.left(gk, alive):
			continue
		case s.Lost:
			s = s.dead(gk)
		case !s.Reachable:
			s.Status = doubted(s.Status, condUnknown, reasonAway, "the cluster is out of reach")
		}
		out = append(out, s)
	}
	return out
}

// left says whether a lost cluster has no part in the object any more. others: there
// are clusters that are not lost.
func (s MemberStatus) left(gk schema.GroupKind, others bool) bool {
	switch gk {
	case schema.GroupKind{Group: "batch", Kind: "Job"}, schema.GroupKind{Group: "batch", Kind: "CronJob"}, schema.GroupKind{Kind: "Pod"}:
		return false // what was done there stays done, and is not done again
	case schema.GroupKind{Kind: "Service"}, schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}:
		return true // nobody is to be sent there, also where there is nowhere else
	}
	if s.Replicas != nil {
		return *s.Replicas <= 0
	}
	return others
}

// dead is a member whose cluster is lost, with what may still be said of it. It never
// has more than it is to have: the rest failed over.
func (s MemberStatus) dead(gk schema.GroupKind) MemberStatus {
	if s.Status == nil {
		return s
	}
	s.Status = doubted(s.Status, condFalse, reasonLost, "the cluster is lost")
	most := number(s.Status, "replicas")
	if s.Replicas != nil {
		most = max(0, int64(*s.Replicas))
	}
	for field := range s.Status {
		switch {
		case field == "ready" || field == "numberReady" || field == "numberAvailable" || field == "currentHealthy" ||
			field == "disruptionsAllowed" || field == "terminatingReplicas" || isReadyReplicas(field):
			s.Status[field] = int64(0)
		case field == "active" && gk.Kind == "CronJob", field == "addresses" && gk.Kind == "Gateway", field == "loadBalancer":
			delete(s.Status, field)
		case isReplicas(field) && gk.Kind != "HorizontalPodAutoscaler":
			s.Status[field] = min(number(s.Status, field), most)
		}
	}
	switch gk.Kind {
	case "Deployment":
		s.Status["unavailableReplicas"] = number(s.Status, "replicas")
	case "DaemonSet":
		s.Status["numberUnavailable"] = number(s.Status, "desiredNumberScheduled")
	}
	return s
}

// isReadyReplicas is true for the counts of those that serve.
func isReadyReplicas(field string) bool {
	return isReplicas(field) && (strings.HasPrefix(field, "ready") || strings.HasPrefix(field, "available"))
}

// doubted is a status of which what was good, and is said by a condition that is True,
// is so no more. A Job's ends are facts, and stay.
func doubted(status map[string]any, to, reason, message string) map[string]any {
	status = maps.Clone(status)
	list, ok := status["conditions"].([]any)
	if !ok {
		return status
	}
	list = slices.Clone(list)
	for i, e := range list {
		c, _ := e.(map[string]any)
		if !isTrue(c) || !perishes(text(c, "type")) {
			continue
		}
		c = maps.Clone(c)
		c["status"], c["reason"], c["message"] = to, reason, message
		list[i] = c
	}
	status["conditions"] = list
	return status
}

// perishes says whether a condition is about how the pods get on at this moment.
func perishes(conditionType string) bool {
	switch conditionType {
	case "Available", "Ready", "ContainersReady", "DisruptionAllowed":
		return true
	}
	return false
}
