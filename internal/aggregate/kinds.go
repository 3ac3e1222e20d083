package aggregate

import "slices"

// claim merges PersistentVolumeClaims: lost if lost anywhere, bound when bound
// everywhere.
func (m *merger) claim() map[string]any {
	out := m.fields("phase", "accessModes")
	if modes, ok := m.equal("accessModes"); ok {
		out["accessModes"] = modes
	}
	phase := "Pending"
	bound := len(m.members) > 0
	for _, s := range m.members {
		p := text(s.Status, "phase")
		bound = bound && p == "Bound"
		if p == "Lost" {
			phase = p
		}
	}
	if bound {
		phase = "Bound"
	}
	out["phase"] = phase
	return out
}

// disruptionBudget merges PodDisruptionBudgets: a pod may be disrupted
// somewhere as long as one may be in any cluster.
func (m *merger) disruptionBudget() map[string]any {
	out := map[string]any{}
	m.setObservedGeneration(out)
	counts := []string{"currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"}
	m.sum(out, counts...)
	keepZero(out, counts...)
	pods := map[string]any{}
	for _, s := range m.members {
		for name, since := range object(s.Status, "disruptedPods") {
			if pods[name] == nil {
				pods[name] = clone(since)
			}
		}
	}
	if len(pods) > 0 {
		out["disruptedPods"] = pods
	}
	m.setConditions(out, map[string]rule{"DisruptionAllowed": {wins: condTrue}})
	return out
}

// autoscaler merges HorizontalPodAutoscalers. Averages cannot be added up:
// metrics are shown only where all clusters have the same.
func (m *merger) autoscaler() map[string]any {
	out := m.fields("currentReplicas", "desiredReplicas", "lastScaleTime", "observedGeneration", "conditions", "currentMetrics")
	m.setObservedGeneration(out)
	m.sum(out, "currentReplicas", "desiredReplicas")
	dropZero(out, "currentReplicas")
	keepZero(out, "desiredReplicas")
	m.latest(out, "lastScaleTime")
	if metrics, ok := m.equal("currentMetrics"); ok {
		out["currentMetrics"] = metrics
	} else if m.says("currentMetrics") {
		out["currentMetrics"] = nil // as the API server writes none
	}
	m.setConditions(out, map[string]rule{"ScalingLimited": {wins: condTrue}})
	return out
}

// cronJob names the Jobs that run in any cluster, without what identifies them
// there: the hub's garbage collector knows nothing of a member's UIDs.
func (m *merger) cronJob() map[string]any {
	out := map[string]any{}
	var active []any
	for _, s := range m.members {
		jobs, _ := s.Status["active"].([]any)
		for _, j := range jobs {
			if job, ok := clone(j).(map[string]any); ok {
				delete(job, "uid")
				delete(job, "resourceVersion")
				active = append(active, job)
			}
		}
	}
	if len(active) > 0 {
		out["active"] = unique(active)
	}
	m.latest(out, "lastScheduleTime")
	m.latest(out, "lastSuccessfulTime")
	return out
}

// pod is the status that the Pod has in the first cluster that has one: a Pod
// is in one cluster.
func (m *merger) pod() map[string]any {
	i := slices.IndexFunc(m.members, func(s MemberStatus) bool { return len(s.Status) > 0 })
	if i < 0 {
		return nil
	}
	one := newMerger(m.hub, m.members[i:i+1])
	out := clone(one.members[0].Status).(map[string]any)
	if out["observedGeneration"] != nil {
		delete(out, "observedGeneration")
		one.setObservedGeneration(out)
	}
	one.setConditions(out, nil)
	return out
}
