package aggregate

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// generic merges the statuses of kinds of which nothing is known, custom
// resources most of all. Conditions are merged by type; counts of replicas
// are added up; lists are united; other values are shown where every placed
// cluster has the same, for one that is ahead must not speak for all.
func (m *merger) generic() map[string]any {
	if !m.reported() && len(m.prev) == 0 {
		return nil // a kind without a status, or one that is still to come
	}
	out := m.fields("observedGeneration")
	if m.says("observedGeneration") || m.prev["observedGeneration"] != nil {
		out["observedGeneration"] = m.observedGeneration()
	}
	return out
}

// fields merges all fields of the statuses but some.
func (m *merger) fields(but ...string) map[string]any {
	statuses := make([]value, 0, len(m.members))
	for i, s := range m.members {
		if s.Status != nil {
			statuses = append(statuses, value{i, s.Status})
		}
	}
	out := m.objects(m.prev, statuses)
	for _, f := range but {
		delete(out, f)
	}
	return out
}

// equal is the value of a field that every member has the same of.
func (m *merger) equal(field string) (any, bool) {
	var values []value
	for i, s := range m.members {
		if v, ok := s.Status[field]; ok {
			values = append(values, value{i, clone(v)})
		}
	}
	return m.same(values)
}

// same is the value that every member has, if there is one.
func (m *merger) same(values []value) (any, bool) {
	if len(values) == 0 || len(values) < m.quorum {
		return nil, false
	}
	first := clone(values[0].v)
	for _, v := range values[1:] {
		if !reflect.DeepEqual(first, clone(v.v)) {
			return nil, false
		}
	}
	return first, true
}

// objects merges objects field by field; prev is what the hub has there.
func (m *merger) objects(prev map[string]any, objects []value) map[string]any {
	var all []map[string]any
	for _, o := range objects {
		all = append(all, o.v.(map[string]any))
	}
	out := map[string]any{}
	for _, field := range keys(all...) {
		var values []value
		for _, o := range objects {
			if v, ok := o.v.(map[string]any)[field]; ok {
				values = append(values, value{o.member, v})
			}
		}
		if v, ok := m.value(field, prev[field], values); ok {
			out[field] = v
		}
	}
	return out
}

// value merges what members have in one field; false: nothing is shown.
func (m *merger) value(field string, prev any, values []value) (any, bool) {
	switch {
	case isReplicas(field) && every(values, func(v any) bool { _, ok := whole(v); return ok }):
		var sum int64
		for _, v := range values {
			sum += number(map[string]any{field: v.v}, field)
		}
		return sum, true
	case every(values, isObject):
		p, _ := prev.(map[string]any)
		if merged := m.objects(p, values); len(merged) > 0 {
			return merged, true
		}
		return m.same(values)
	case field == "conditions" && every(values, isConditions):
		if merged := m.conditions(prev, values, nil); len(merged) > 0 {
			return merged, true
		}
		return m.same(values)
	case every(values, isList):
		return m.lists(prev, values), true
	default:
		return m.same(values)
	}
}

// isReplicas is true for replicas, readyReplicas and the like.
func isReplicas(field string) bool {
	return field == "replicas" || strings.HasSuffix(field, "Replicas")
}

func every(values []value, is func(any) bool) bool {
	return !slices.ContainsFunc(values, func(v value) bool { return !is(v.v) })
}

func isObject(v any) bool { _, ok := v.(map[string]any); return ok }

func isList(v any) bool { _, ok := v.([]any); return ok }

// isConditions is true for a list of objects that all have a type.
func isConditions(v any) bool {
	l, ok := v.([]any)
	return ok && !slices.ContainsFunc(l, func(e any) bool {
		o, _ := e.(map[string]any)
		return text(o, "type") == ""
	})
}

// lists unites lists. Where the elements have names, as a Gateway's listeners
// and a route's parents do, those of the same name are merged into one.
func (m *merger) lists(prev any, lists []value) []any {
	if named := m.namedLists(prev, lists); named != nil {
		return named
	}
	var all []any
	for _, l := range lists {
		all = append(all, clone(l.v).([]any)...)
	}
	all = unique(all)
	if all == nil {
		all = []any{}
	}
	return all
}

// namedLists is nil unless every element has a name that is unique in its list.
func (m *merger) namedLists(prev any, lists []value) []any {
	var order []string
	byName := map[string][]value{}
	for _, l := range lists {
		seen := map[string]bool{}
		for _, e := range l.v.([]any) {
			name := nameOf(e)
			if name == "" || seen[name] {
				return nil
			}
			seen[name] = true
			if byName[name] == nil {
				order = append(order, name)
			}
			byName[name] = append(byName[name], value{l.member, e})
		}
	}
	before := map[string]map[string]any{}
	p, _ := prev.([]any)
	for _, e := range p {
		o, _ := e.(map[string]any)
		before[nameOf(e)] = o
	}
	var out []any
	for _, name := range order {
		holders := *m
		holders.quorum = len(byName[name]) // an element is the affair of those who have it
		out = append(out, holders.objects(before[name], byName[name]))
	}
	return out
}

// nameOf is what tells an element from the others of its list, or "".
func nameOf(e any) string {
	o, _ := e.(map[string]any)
	if name := text(o, "name"); name != "" {
		return name
	}
	if parent, ok := clone(o["parentRef"]).(map[string]any); ok {
		b, err := json.Marshal(parent)
		if err != nil {
			return "" // a number that JSON has no words for
		}
		return string(b) + text(o, "controllerName")
	}
	return ""
}
