package aggregate

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Statuses of a condition, and the reason of one that not every member has.
const (
	condTrue          = "True"
	condFalse         = "False"
	condUnknown       = "Unknown"
	reasonNotReported = "NotReported"
)

// namedClusters is how many clusters a condition's message quotes.
const namedClusters = 4

// rule says how the members' conditions of one type become one.
type rule struct {
	// wins is the status that one member is enough for: condFalse for what is
	// good when true (which then has to be True in every member), condTrue for
	// what is bad, or enough to have once (which members may leave out).
	wins string
	// first is a reason that goes before all others.
	first string
	// last is a reason that is given only if all members give it.
	last string
}

// defaultRule tells good conditions from bad ones by their names, as the API
// conventions would have them.
func defaultRule(conditionType string) rule {
	for _, bad := range []string{"Failed", "Failure", "Failing", "Degraded", "Stalled", "Error", "Conflict", "Conflicted", "Pressure", "Reconciling"} {
		if strings.HasSuffix(conditionType, bad) {
			return rule{wins: condTrue}
		}
	}
	return rule{wins: condFalse}
}

// value is what one member, by its index, has in some field.
type value struct {
	member int
	v      any
}

// conditions merges the members' lists of conditions by type; prev is the
// hub's list. Conditions are ordered by type.
func (m *merger) conditions(prev any, lists []value, rules map[string]rule) []any {
	byType := map[string][]value{}
	for _, l := range lists {
		for conditionType, c := range index(l.v) {
			byType[conditionType] = append(byType[conditionType], value{l.member, c})
		}
	}
	before := index(prev)
	var merged []any
	for _, conditionType := range keys(byType) {
		r, ok := rules[conditionType]
		if !ok {
			r = defaultRule(conditionType)
		}
		merged = append(merged, m.condition(conditionType, r, before[conditionType], byType[conditionType]))
	}
	return merged
}

// index is a list of conditions by type; the first of a type counts.
func index(list any) map[string]map[string]any {
	byType := map[string]map[string]any{}
	l, _ := list.([]any)
	for _, e := range l {
		c, _ := e.(map[string]any)
		if t := text(c, "type"); t != "" && byType[t] == nil {
			byType[t] = c
		}
	}
	return byType
}

// condition merges the conditions of one type that members have.
func (m *merger) condition(conditionType string, r rule, prev map[string]any, found []value) map[string]any {
	status, deciding := r.decide(found, len(found) < m.quorum)
	out := map[string]any{"type": conditionType, "status": status}
	m.copyOthers(out, found)
	if len(deciding) == 0 {
		out["reason"] = reasonNotReported
		out["message"] = m.notReported(found)
	} else {
		first := deciding[0].v.(map[string]any)
		if first["reason"] != nil {
			out["reason"] = text(first, "reason")
		}
		if message := m.message(deciding); message != "" || first["message"] != nil {
			out["message"] = message // kept when empty: some schemas require it
		}
	}
	m.times(out, prev, found)
	if g, ok := m.conditionGeneration(prev, found); ok {
		out["observedGeneration"] = g
	}
	return out
}

// decide is the merged status and the conditions that it comes from: none when
// it is that some member has not got the condition.
func (r rule) decide(found []value, incomplete bool) (status string, deciding []value) {
	opposite := map[string]string{condTrue: condFalse, condFalse: condTrue}[r.wins]
	var winning, undecided []value
	for _, f := range found {
		switch text(f.v.(map[string]any), "status") {
		case r.wins:
			winning = append(winning, f)
		case opposite:
		default:
			undecided = append(undecided, f)
		}
	}
	switch {
	case len(winning) > 0:
		return r.wins, r.prefer(winning)
	case len(undecided) > 0:
		return condUnknown, r.prefer(undecided)
	case incomplete && r.wins == condFalse:
		return condUnknown, nil
	default:
		return opposite, r.prefer(found)
	}
}

// prefer narrows the conditions down to those whose reason counts most.
func (r rule) prefer(deciding []value) []value {
	with := func(match func(reason string) bool) []value {
		return slices.DeleteFunc(slices.Clone(deciding), func(d value) bool { return !match(text(d.v.(map[string]any), "reason")) })
	}
	if r.first != "" {
		if some := with(func(reason string) bool { return reason == r.first }); len(some) > 0 {
			return some
		}
	}
	if r.last != "" {
		if some := with(func(reason string) bool { return reason != r.last }); len(some) > 0 {
			return some
		}
	}
	return deciding
}

// message is what all members say, or what each of the deciding ones says.
func (m *merger) message(deciding []value) string {
	first := text(deciding[0].v.(map[string]any), "message")
	agree := len(deciding) == m.quorum
	for _, d := range deciding {
		agree = agree && text(d.v.(map[string]any), "message") == first
	}
	if agree {
		return first
	}
	var parts []string
	for _, d := range deciding[:min(len(deciding), namedClusters)] {
		c := d.v.(map[string]any)
		said := text(c, "message")
		if said == "" {
			said = text(c, "reason")
		}
		parts = append(parts, strings.TrimSuffix(m.members[d.member].Cluster+": "+said, ": "))
	}
	if more := len(deciding) - namedClusters; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// notReported names the members that have not got a condition.
func (m *merger) notReported(found []value) string {
	var missing []string
	for i, s := range m.members {
		if !slices.ContainsFunc(found, func(f value) bool { return f.member == i }) {
			missing = append(missing, s.Cluster)
		}
	}
	names := strings.Join(missing[:min(len(missing), namedClusters)], ", ")
	if more := len(missing) - namedClusters; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return names + ": not reported yet"
}

// times sets a merged condition's times: the hub's own lastTransitionTime where
// the status has not changed, for the rest the latest of the members'.
func (m *merger) times(out, prev map[string]any, found []value) {
	for _, field := range []string{"lastTransitionTime", "lastUpdateTime", "lastProbeTime", "lastHeartbeatTime"} {
		var values []any
		var said bool
		for _, f := range found {
			v, ok := f.v.(map[string]any)[field]
			values = append(values, v)
			said = said || ok
		}
		latest := latestTime(values)
		if field == "lastTransitionTime" && text(prev, "status") == out["status"] && text(prev, field) != "" {
			latest = text(prev, field)
		}
		switch {
		case latest != "":
			out[field] = latest
		case said:
			out[field] = nil // what a zero metav1.Time is written as
		}
	}
}

// conditionGeneration is a merged condition's observedGeneration, if members
// have one: the hub's once all members' conditions are about their current
// specs and those are what the hub wants, until then what it was before.
func (m *merger) conditionGeneration(prev map[string]any, found []value) (int64, bool) {
	said := false
	observed := m.synced && len(found) == m.quorum
	for _, f := range found {
		c := f.v.(map[string]any)
		said = said || c["observedGeneration"] != nil
		observed = observed && number(c, "observedGeneration") >= m.members[f.member].Generation
	}
	if observed {
		return m.generation, said
	}
	before := min(m.generation, number(prev, "observedGeneration"))
	return before, said
}

// copyOthers copies the fields that are none of the usual ones and on which
// all members that have the condition agree.
func (m *merger) copyOthers(out map[string]any, found []value) {
	first := found[0].v.(map[string]any)
	for field, v := range first {
		switch field {
		case "type", "status", "reason", "message", "observedGeneration", "lastTransitionTime", "lastUpdateTime", "lastProbeTime", "lastHeartbeatTime":
			continue
		}
		v = clone(v)
		agree := true
		for _, f := range found {
			agree = agree && reflect.DeepEqual(v, clone(f.v.(map[string]any)[field]))
		}
		if agree {
			out[field] = v
		}
	}
}
