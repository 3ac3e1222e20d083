package aggregate

import (
	"maps"
	"math"
	"slices"
	"time"
)

// object is the object in a field, nil (which can be read) if there is none.
func object(m map[string]any, field string) map[string]any {
	o, _ := m[field].(map[string]any)
	return o
}

// text is the string in a field.
func text(m map[string]any, field string) string {
	s, _ := m[field].(string)
	return s
}

// number is the count (or generation) in a field: 0 where there is none, or it
// is no whole number, or below zero, which no count is. It is cut where sums
// of it could overflow, far above anything that the API has.
func number(m map[string]any, field string) int64 {
	n, _ := whole(m[field])
	return min(max(0, n), 1<<48)
}

// whole is a JSON number as a whole one.
func whole(v any) (n int64, ok bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int32:
		return int64(v), true
	case int:
		return int64(v), true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), true
		}
	}
	return 0, false
}

// clone is a deep copy of a JSON value in which whole numbers are int64. What
// is no JSON value becomes nil.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = clone(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = clone(e)
		}
		return out
	case string, bool, float64, int64:
		return v
	case int32, int:
		n, _ := whole(v)
		return n
	default:
		return nil
	}
}

// keys is the sorted union of the keys of all objects.
func keys[V any](objects ...map[string]V) []string {
	all := map[string]bool{}
	for _, o := range objects {
		for k := range o {
			all[k] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// latestTime is the latest of the RFC 3339 times among the values, as it was
// written, or "" if there is none.
func latestTime(values []any) string { return extremeTime(values, time.Time.After) }

// earliestTime is the earliest of the RFC 3339 times among the values.
func earliestTime(values []any) string { return extremeTime(values, time.Time.Before) }

func extremeTime(values []any, better func(a, b time.Time) bool) string {
	var best time.Time
	var written string
	for _, v := range values {
		s, ok := v.(string)
		if !ok {
			continue
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			continue // somebody's own idea of a time cannot be compared
		}
		if written == "" || better(t, best) {
			best, written = t, s
		}
	}
	return written
}
