package aggregate

import "maps"

// Conditions of a Job. SuccessCriteriaMet and FailureTarget say how it is going
// to end, Complete and Failed that it has.
const (
	jobComplete = "Complete"
	jobSuccess  = "SuccessCriteriaMet"
	jobFailed   = "Failed"
	jobFailing  = "FailureTarget"
)

// job merges Jobs. The API server checks a Job's status strictly, and lets none
// of its ends be taken back: a Job that has ended at the hub stays as it was.
// It is complete when it is in every cluster. When it fails in one, it cannot
// succeed any more, and has failed once it has ended in all.
func (m *merger) job() map[string]any {
	before := index(m.prev["conditions"])
	if isTrue(before[jobComplete]) || isTrue(before[jobFailed]) {
		return clone(m.prev).(map[string]any)
	}
	out := map[string]any{}
	m.sum(out, "active", "ready", "terminating", "succeeded", "failed")
	for _, f := range []string{"succeeded", "failed"} { // which the API server lets nobody decrement
		if before := number(m.prev, f); number(out, f) < before {
			out[f] = before
		}
	}
	dropZero(out, "active", "succeeded", "failed")
	if len(m.members) == 1 {
		for _, f := range []string{"completedIndexes", "failedIndexes"} { // of no meaning when summed up
			if s := text(m.members[0].Status, f); s != "" {
				out[f] = s
			}
		}
	}

	end := m.jobEnd(isTrue(before[jobFailing]))
	started := m.startTime(end.ended)
	if started != "" {
		out["startTime"] = started
	}
	if end.ended && !end.failing {
		out["completionTime"] = m.completionTime(started)
	}
	if c := m.jobConditions(end); len(c) > 0 {
		out["conditions"] = c
	}
	return out
}

// jobEnd is how a Job ends: it is failing when it cannot succeed any more, and
// has ended when nothing of it runs any more.
type jobEnd struct{ ended, failing bool }

func (m *merger) jobEnd(failing bool) jobEnd {
	ended := len(m.members) > 0 && m.synced // a share that is still to be written may be raised
	var succeeded int64
	for _, s := range m.members {
		c := index(s.Status["conditions"])
		ended = ended && (isTrue(c[jobComplete]) || isTrue(c[jobFailed]))
		ended = ended && number(s.Status, "active") == 0 && number(s.Status, "terminating") == 0
		failing = failing || isTrue(c[jobFailed]) || isTrue(c[jobFailing])
		succeeded += number(s.Status, "succeeded")
	}
	if !failing && m.spec["successPolicy"] == nil && succeeded < number(m.spec, "completions") {
		ended = false // some of it is placed nowhere
	}
	return jobEnd{ended, failing}
}

// jobConditions is what the members agree on, with the four conditions of the
// end as the API server wants them together.
func (m *merger) jobConditions(end jobEnd) []any {
	once := rule{wins: condTrue}
	rules := map[string]rule{jobFailing: once, jobFailed: once}
	var lists []value
	for i, s := range m.members {
		if l, ok := s.Status["conditions"].([]any); ok {
			lists = append(lists, value{i, l})
		}
	}
	all := map[string]map[string]any{}
	for _, c := range m.conditions(m.prev["conditions"], lists, rules) {
		c := c.(map[string]any)
		all[text(c, "type")] = c
	}
	before := index(m.prev["conditions"])
	if end.failing {
		keepCondition(all, jobFailing, jobFailed, before[jobFailing])
	}
	if end.ended && end.failing {
		keepCondition(all, jobFailed, jobFailing, nil)
	}
	if end.ended && !end.failing {
		keepCondition(all, jobSuccess, jobComplete, nil)
	}
	for t, wanted := range map[string]bool{
		jobComplete: end.ended && !end.failing, jobSuccess: end.ended && !end.failing,
		jobFailed: end.ended && end.failing, jobFailing: end.failing,
	} {
		if !wanted {
			delete(all, t)
		}
	}
	var out []any
	for _, t := range keys(all) {
		out = append(out, all[t])
	}
	return out
}

// keepCondition sees to it that a condition is there and True: as the hub has
// it already, or with the words of its twin.
func keepCondition(all map[string]map[string]any, conditionType, twin string, before map[string]any) {
	switch {
	case isTrue(all[conditionType]):
	case isTrue(before):
		all[conditionType] = clone(before).(map[string]any)
	case all[twin] != nil:
		c := maps.Clone(all[twin])
		c["type"], c["status"] = conditionType, condTrue
		all[conditionType] = c
	}
}

func isTrue(condition map[string]any) bool { return text(condition, "status") == condTrue }

// startTime is the first of the members'. Once it is set it stays, unless the
// Job is suspended; one that has ended has one in any case.
func (m *merger) startTime(ended bool) string {
	if suspended, _ := m.spec["suspend"].(bool); !suspended && text(m.prev, "startTime") != "" {
		return text(m.prev, "startTime")
	}
	var times []any
	for _, s := range m.members {
		times = append(times, s.Status["startTime"])
	}
	if t := earliestTime(times); t != "" || !ended {
		return t
	}
	return text(object(m.hub, "metadata"), "creationTimestamp")
}

// completionTime is the last of the members', and never before the start, as
// it could be by the clock of another cluster.
func (m *merger) completionTime(started string) string {
	times := []any{started}
	for _, s := range m.members {
		times = append(times, s.Status["completionTime"])
	}
	return latestTime(times)
}
