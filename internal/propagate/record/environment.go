package record

import (
	"maps"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// unrecorded is what a recording has in place of the value of an environment variable: such values are passwords more often than
// they should be, and nothing is decided by them. A hash would be no better, as a short password is found by trying.
const unrecorded = "(not recorded)"

// withoutValues is object without the values of the environment variables in it, wherever it has containers, or a policy's
// overrides of them. It does not change object, and shares with it what has none.
func withoutValues(object map[string]any) map[string]any {
	out, _ := hideFields(object, false)
	return out
}

// hide is withoutValues for any part of an object, and whether it is another. env: it is an environment variable, or several.
func hide(v any, env bool) (out any, other bool) {
	switch v := v.(type) {
	case map[string]any:
		return hideFields(v, env)
	case []any:
		return hideItems(v, env)
	}
	return v, false
}

func hideItems(list []any, env bool) (out []any, other bool) {
	out = list
	for i, item := range list {
		now, is := hide(item, env)
		if !is {
			continue
		}
		if !other {
			out, other = slices.Clone(list), true
		}
		out[i] = now
	}
	return out, other
}

func hideFields(m map[string]any, env bool) (out map[string]any, other bool) {
	path, _ := m["path"].(string)
	patches := strings.Contains(path+"/", "/env/") // m is an operation of a JSON patch; what envFrom has is names
	out = m
	for name, field := range m {
		within := env || name == "env" || patches && name == "value"
		now, is := hide(field, within && name != "valueFrom")
		if _, text := field.(string); text && within && name == "value" {
			now, is = unrecorded, true
		}
		if !is {
			continue
		}
		if !other {
			out, other = maps.Clone(m), true
		}
		out[name] = now
	}
	return out, other
}

// slimHistory is h without the values of environment variables.
func slimHistory(h rollout.History) rollout.History {
	out := slices.Clone(h)
	for i := range out {
		out[i].Template = withoutValues(out[i].Template)
	}
	return out
}

// slimTurns is turns without the values of environment variables.
func slimTurns(turns map[string]template.Turn) map[string]template.Turn {
	out := maps.Clone(turns)
	for cluster, turn := range out {
		turn.Template = withoutValues(turn.Template)
		out[cluster] = turn
	}
	return out
}

// slimRest is r without the values of environment variables.
func slimRest(r *decide.RememberedRest) *decide.RememberedRest {
	if r == nil {
		return nil
	}
	out := *r
	out.Pasts = maps.Clone(r.Pasts)
	for uid, past := range out.Pasts {
		past.History = slimHistory(past.History)
		out.Pasts[uid] = past
	}
	return &out
}
