package aggregate

// wanted is how many replicas a member is to run: what its spec says once that
// is what the hub wants (an autoscaler of the member's may own it), its share
// until then.
func (s MemberStatus) wanted() int64 {
	live := s.Spec["replicas"] != nil
	switch {
	case s.Replicas != nil && !(s.Synced && live):
		return max(0, int64(*s.Replicas))
	case live:
		return number(s.Spec, "replicas")
	default:
		return 1 // the API's default
	}
}

// total is how many replicas the hub's object asks for.
func (m *merger) total() int64 {
	if m.spec["replicas"] == nil {
		return 1
	}
	return number(m.spec, "replicas")
}

// observeNowhere lets an object that is placed nowhere count as observed when
// there is nothing to run, so that waiting for it ends.
func (m *merger) observeNowhere() {
	if len(m.members) == 0 && m.total() == 0 {
		m.observed = true
	}
}

// progress sums counts that tools compare with what is wanted in total. One
// cluster that has more than its share (as when it is being scaled down) would
// hide that another has less: as long as any has, what is beyond a cluster's
// share does not count, and the sum stays below the total.
func (m *merger) progress(out map[string]any, total int64, wanted func(MemberStatus) int64, fields ...string) {
	m.sum(out, fields...)
	for _, f := range fields {
		var placed, within int64
		lacking := false
		for _, s := range m.members {
			w, n := wanted(s), number(s.Status, f)
			placed += w
			within += min(w, n)
			lacking = lacking || n < w
		}
		if n := number(out, f); lacking || placed < total {
			if most := max(0, min(within, total-1)); n > most {
				out[f] = most
			}
		}
	}
}

// dropZero removes fields that the API server would not write when zero.
func dropZero(out map[string]any, fields ...string) {
	for _, f := range fields {
		if n, ok := out[f].(int64); ok && n == 0 {
			delete(out, f)
		}
	}
}

// keepZero adds fields that the API server writes even when zero.
func keepZero(out map[string]any, fields ...string) {
	for _, f := range fields {
		if out[f] == nil {
			out[f] = int64(0)
		}
	}
}

// workloadRules are for the conditions of Deployments and ReplicaSets: a
// rollout has failed when it has in one cluster, and is over when it is in all.
func workloadRules() map[string]rule {
	return map[string]rule{
		"Available":      {wins: condFalse},
		"Progressing":    {wins: condFalse, first: "ProgressDeadlineExceeded", last: "NewReplicaSetAvailable"},
		"ReplicaFailure": {wins: condTrue},
	}
}

func (m *merger) deployment() map[string]any {
	m.observeNowhere()
	out := map[string]any{}
	m.setObservedGeneration(out)
	m.sum(out, "replicas", "unavailableReplicas", "terminatingReplicas")
	m.progress(out, m.total(), MemberStatus.wanted, "updatedReplicas", "readyReplicas", "availableReplicas")
	dropZero(out, "replicas", "unavailableReplicas", "updatedReplicas", "readyReplicas", "availableReplicas")
	m.highest(out, "collisionCount")
	m.setConditions(out, workloadRules())
	return out
}

// replicaSet also serves ReplicationControllers.
func (m *merger) replicaSet() map[string]any {
	m.observeNowhere()
	out := map[string]any{}
	m.setObservedGeneration(out)
	m.sum(out, "replicas", "terminatingReplicas")
	m.progress(out, m.total(), MemberStatus.wanted, "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
	dropZero(out, "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
	keepZero(out, "replicas")
	m.setConditions(out, workloadRules())
	return out
}

func (m *merger) statefulSet() map[string]any {
	m.observeNowhere()
	out := map[string]any{}
	m.setObservedGeneration(out)
	m.sum(out, "replicas")
	m.progress(out, m.total(), MemberStatus.wanted, "readyReplicas", "availableReplicas", "currentReplicas")
	m.progress(out, max(0, m.total()-partition(m.spec)), func(s MemberStatus) int64 {
		return max(0, s.wanted()-partition(s.Spec))
	}, "updatedReplicas")
	dropZero(out, "readyReplicas", "currentReplicas", "updatedReplicas")
	keepZero(out, "replicas", "availableReplicas")
	m.highest(out, "collisionCount")
	m.revisions(out)
	m.setConditions(out, nil)
	return out
}

// partition is the ordinal below which a StatefulSet's pods are not updated.
func partition(spec map[string]any) int64 {
	return number(object(object(spec, "updateStrategy"), "rollingUpdate"), "partition")
}

// revisions sets currentRevision and updateRevision, which tools compare with
// each other: they are equal when they are in every member. The names need not
// be the same in all members (a template that a member's webhook changes has
// another hash), so both come from one member: the first that is not done, or
// the first.
func (m *merger) revisions(out map[string]any) {
	var current, update string
	for _, s := range m.members {
		c, u := text(s.Status, "currentRevision"), text(s.Status, "updateRevision")
		if c == "" && u == "" {
			continue
		}
		if current == "" && update == "" || c != u {
			current, update = c, u
		}
		if c != u {
			break
		}
	}
	if current != "" {
		out["currentRevision"] = current
	}
	if update != "" {
		out["updateRevision"] = update
	}
}

func (m *merger) daemonSet() map[string]any {
	out := map[string]any{}
	m.setObservedGeneration(out)
	m.sum(out, "currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady",
		"updatedNumberScheduled", "numberAvailable", "numberUnavailable")
	dropZero(out, "updatedNumberScheduled", "numberAvailable", "numberUnavailable")
	keepZero(out, "currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
	m.highest(out, "collisionCount")
	m.setConditions(out, nil)
	return out
}
